"""Steps that compare what runs with what was meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import JSONValue

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.drift import DriftDetector, DriftReport

MOST_ITEMS = 200
"""How many differences, and things that were not checked, a journal keeps; the worst first."""


class DriftStep:
    """Have what drifted found, and hand the report on; the gate judges it."""

    def __init__(self, drift: Link[DriftDetector]) -> None:
        self.drift = drift

    async def run(self, payload: JSONValue) -> JSONValue:
        """Return the report."""
        return await detected(self.drift, cast("dict[str, Any]", payload)["given"]["ask"])


async def detected(drift: Link[DriftDetector], ask: Mapping[str, JSONValue]) -> JSONValue:
    """Return the report of whoever detects drift, short enough for a journal."""
    async with drift.use() as detector:
        return short(await detector.detect(ask)).as_json()


def short(report: DriftReport) -> DriftReport:
    """Return a report with the worst of what it says."""
    items, unchecked = report.items[:MOST_ITEMS], report.unchecked[:MOST_ITEMS]
    return replace(report, items=items, unchecked=unchecked)
