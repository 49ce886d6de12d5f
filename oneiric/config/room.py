"""What a room adds to the configuration: a section of its own, and variables that set its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """Say which section a room reads, what may stand in it, and which variables set its keys.

    An entry point in the group `oneiric.settings` names one as `package.module:attr`.

    Args:
        section: the name of the section, a top-level table of the file.
        model: the settings of the section.
        variables: single names to dotted keys, `SNIPARA_API_KEY` to `validation.api_key`.
    """

    section: str
    model: type[BaseModel]
    variables: Mapping[str, str] = field(default_factory=dict)
