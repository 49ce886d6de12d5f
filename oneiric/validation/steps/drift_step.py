"""Steps that compare what runs with what was meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import InvalidError, JSONValue
from oneiric.validation.parts import report_of
from oneiric.validation.secrets import names_in, read_secrets

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.drift import DriftDetector, DriftReport
    from oneiric.ports.secrets import SecretStore

MOST_ITEMS = 200
"""How many differences, and things that were not checked, a journal keeps; the worst first."""


class DriftStep:
    """Have what drifted found, and hand the report on; the gate judges it."""

    def __init__(self, drift: Link[DriftDetector], secrets: Link[SecretStore]) -> None:
        self.drift = drift
        self.secrets = secrets

    async def run(self, payload: JSONValue) -> JSONValue:
        """Return the report."""
        ask = cast("dict[str, Any]", payload)["given"]["ask"]
        return await detected(self.drift, self.secrets, ask)


async def detected(
    drift: Link[DriftDetector], store: Link[SecretStore], ask: Mapping[str, JSONValue]
) -> JSONValue:
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
    return cast("JSONValue", secrets.masked(found))


def short(report: DriftReport) -> DriftReport:
    """Return a report with the worst of what it says."""
    items, unchecked = report.items[:MOST_ITEMS], report.unchecked[:MOST_ITEMS]
    return replace(report, items=items, unchecked=unchecked)
