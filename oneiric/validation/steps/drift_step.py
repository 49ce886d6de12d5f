"""Steps that compare what runs with what was meant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import InvalidError, JSONValue, Problem
from oneiric.ports.drift import DriftReport
from oneiric.validation.parts import report_of
from oneiric.validation.secrets import names_in, read_secrets

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.drift import DriftDetector
    from oneiric.ports.secrets import SecretStore
    from oneiric.runs.context import StepContext
    from oneiric.validation.ledger import Ledger

MOST_ITEMS = 200
"""How many differences, and things that were not checked, a journal keeps; the worst first."""


class DriftStep:
    """Have what drifted found, and hand the report on; the gate judges it."""

    def __init__(
        self, ledger: Link[Ledger], drift: Link[DriftDetector], secrets: Link[SecretStore]
    ) -> None:
        self.ledger = ledger
        self.drift = drift
        self.secrets = secrets

    async def run(self, payload: JSONValue, *, context: StepContext) -> JSONValue:
        """Return the report, and a seal by which the gate knows it."""
        given = cast("dict[str, Any]", payload)["given"]
        report = await detected(self.drift, self.secrets, given["ask"])
        async with self.ledger.use() as book:
            seal = await asyncio.to_thread(book.seal, given["task"], context.run_id, report)
        return {**report, "seal": seal}


async def told_report(
    ledger: Link[Ledger], task: str, run_id: str, told: Mapping[str, JSONValue]
) -> tuple[DriftReport, list[Problem]]:
    """Return the report that a journal keeps of a step of drift, and what is wrong with it."""
    report = {name: each for name, each in told.items() if name != "seal"}
    seal = str(told.get("seal", ""))
    async with ledger.use() as book:
        is_ours = await asyncio.to_thread(book.is_sealed, task, run_id, report, seal)
    what = "it is not the report that was made"
    return DriftReport.from_json(report), [] if is_ours else [Problem("drift", what, "journal")]


async def detected(
    drift: Link[DriftDetector], store: Link[SecretStore], ask: Mapping[str, JSONValue]
) -> dict[str, JSONValue]:
    """Return the report of whoever detects drift, short enough for a journal, without secrets.

    Raises:
        InvalidError: the question refers to a secret that is missing.
        UnavailableError: whoever was asked gave no report.
    """
    secrets = await read_secrets(store, names_in(ask))
    if secrets.problem:
        raise InvalidError(secrets.problem)
    async with drift.use() as detector:
        found = short(await report_of(detector, secrets.filled(ask))).as_json()
    return cast("dict[str, JSONValue]", secrets.masked(found))


def short(report: DriftReport) -> DriftReport:
    """Return a report with the worst of what it says."""
    items, unchecked = report.items[:MOST_ITEMS], report.unchecked[:MOST_ITEMS]
    return replace(report, items=items, unchecked=unchecked)
