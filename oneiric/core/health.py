"""What a health probe found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from oneiric.documents.tables import json_table
from oneiric.errors import JSONValue


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Tell whether a component can do its work, and what supports that.

    A component's `health` returns one of these or a bool; anything else counts as unhealthy,
    since an unchecked thing is never healthy.

    >>> HealthReport.of(True).healthy, HealthReport.of(None).detail
    (True, 'health returned NoneType, not a bool or HealthReport')
    """

    healthy: bool
    detail: str = ""
    data: Mapping[str, JSONValue] = field(default_factory=dict)

    @classmethod
    def of(cls, value: object) -> HealthReport:
        """Make a report of what a component's `health` returned."""
        if isinstance(value, HealthReport):
            return value
        if isinstance(value, bool):
            return cls(value, "" if value else "health returned False")
        kind = type(value).__name__
        return cls(healthy=False, detail=f"health returned {kind}, not a bool or HealthReport")

    def __bool__(self) -> bool:
        return self.healthy

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"healthy", "detail", "data"}`."""
        return json_table(self)
