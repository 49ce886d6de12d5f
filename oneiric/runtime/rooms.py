"""The sections that rooms add to the configuration, found as data: the runtime names no room."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from importlib_metadata import distribution
from pydantic import BaseModel

from oneiric.config import RoomSettings
from oneiric.runtime.discovery import OWN
from oneiric.runtime.settings import SECTIONS, VARIABLES

GROUP = "oneiric.settings"


@dataclass(frozen=True, slots=True)
class Rooms:
    """What may stand in the configuration: sections, and variables that set their keys."""

    sections: Mapping[str, type[BaseModel]]
    variables: Mapping[str, str]


def rooms() -> Rooms:
    """Return the sections of the runtime and of every other room of the house."""
    sections, variables = dict(SECTIONS), dict(VARIABLES)
    for point in distribution(OWN).entry_points.select(group=GROUP):
        found = point.load()
        assert isinstance(found, RoomSettings)
        sections[found.section] = found.model
        variables |= found.variables
    return Rooms(sections, variables)
