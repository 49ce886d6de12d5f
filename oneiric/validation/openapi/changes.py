"""A difference with its place, before anybody judged it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oneiric.errors import JSONValue
from oneiric.validation.openapi.schemas import Key


@dataclass(frozen=True, slots=True)
class Found:
    """One difference: its rule, its place, and what was and is."""

    rule: str
    place: str
    facts: Mapping[str, JSONValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Use:
    """A place that uses a pair of schemas: what they are, on which side, and where."""

    key: Key
    side: str
    place: str
