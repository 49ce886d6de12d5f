"""How components stand in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oneiric.documents.tables import json_table
from oneiric.errors import JSONValue
from oneiric.latency import Latency, LatencySummary

if TYPE_CHECKING:
    from oneiric.core.activity import Activity
    from oneiric.core.generation import LifecycleState
    from oneiric.core.ref import ComponentRef
    from oneiric.core.swap import SwapReport

HISTORY = 16


class SwapRecord:
    """Keep what the swaps of one place did: who served before, how long they took, failures."""

    def __init__(self) -> None:
        self.earlier: tuple[str, ...] = ()
        self.latency = Latency()
        self.failed = 0
        self.forced = 0

    def add(self, report: SwapReport, *, earlier: tuple[str, ...] | None = None) -> None:
        """Count a swap; with *earlier* it went back, and that is what served before it now."""
        self.forced += bool(report.forced)
        if not report.ok:
            self.failed += 1
            return
        self.latency.add(report.duration_ms)
        if earlier is not None:
            self.earlier = earlier
        elif report.before not in ("", report.after):
            self.earlier = (*self.earlier, report.before)[-HISTORY:]


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """How one place stands at this moment, in this process.

    `forced_drains` counts the swaps whose old instance was cleaned up while it was held.
    """

    ref: ComponentRef[Any]
    state: LifecycleState
    provider: str
    generation: int
    in_flight: int
    activity: Activity
    problem: str
    swaps: LatencySummary
    failed_swaps: int
    forced_drains: int

    def as_json(self) -> dict[str, JSONValue]:
        """Return the status as documented in `docs/reference/json.md`."""
        return json_table(self)


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What was in flight when a drain ended: nothing, or the holders that outlived it."""

    ref: ComponentRef[Any]
    in_flight: int
    holders: tuple[str, ...]
