"""What tests of databases ask, and how they read what was found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftReport
from oneiric.ports.executor import Executor
from oneiric.validation.drift.database import DatabaseQuestion
from oneiric.validation.providers.database import database_drift

AT = "2026-11-20T09:30:00.000000Z"
MODELS = "store.models:Base"


@dataclass
class Question:
    """What the detector is asked, as far as it matters here."""

    repo_path: str
    database: DatabaseQuestion


async def drift(executor: Executor, folder: Path, **asked: Any) -> DriftReport:
    """Compare, and return what was found as a report."""
    question = Question(str(folder), DatabaseQuestion(**asked))
    items, unchecked, checked, absent = await database_drift(question, executor)
    missing: dict[str, JSONValue] = {**absent}
    return DriftReport(
        at=AT, items=tuple(items), unchecked=tuple(unchecked), checked=checked, absent=missing
    )


def told(report: DriftReport) -> set[tuple[str, str, str]]:
    """Return code, severity and place of each difference."""
    return {(item.code, str(item.severity), item.place) for item in report.items}


def reasons(report: DriftReport) -> str:
    """Return why things were not checked."""
    return "\n".join(f"{each.place}: {each.reason} ({each.hint})" for each in report.unchecked)
