"""The reports that a recipe, or whoever runs it, asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError, OneiricError, unknown
from oneiric.files import write_atomic
from oneiric.recipes.log import tell
from oneiric.reports.forms import report_text
from oneiric.reports.report import RunReport
from oneiric.runs.event import Data, EventKind, RunEvent
from oneiric.targets import load

if TYPE_CHECKING:
    from oneiric.recipes.reading import Recipe
    from oneiric.runs.plan import Plan


GRAPHS: Mapping[str, str] = MappingProxyType(
    {"mermaid": "oneiric.reports.mermaid:mermaid", "dot": "oneiric.reports.dot:dot"}
)
"""Who writes the forms of drawings, by name."""


def write_report(report: RunReport, form: str, path: Path | None) -> None:
    """Write one report to a file, or to stderr without one.

    Raises:
        InvalidError: there is no such form.
        UnavailableError: the file cannot be written.
    """
    text = report_text(report, form)
    if path is None:
        tell(text.rstrip("\n"))
    else:
        write_atomic(path, text.encode())


def write_reports(recipe: Recipe, report: RunReport) -> None:
    """Write what the recipe asks for; one that cannot be written is told of on stderr."""
    for each in recipe.spec.reports:
        try:
            write_report(report, each.format, recipe.folder / each.path if each.path else None)
        except OneiricError as error:
            tell(f"the {each.format} report is not written: {error.message}")


def drawn(plan: Plan, form: str) -> str:
    """Return the graph of a plan of which nothing is done yet, as `mermaid` or `dot`.

    Raises:
        InvalidError: there is no such form.
    """
    if form not in GRAPHS:
        raise InvalidError(f"there is no form of graph {unknown(form, GRAPHS)}")
    data: Data = {"plan": plan.as_json(), "digest": plan.digest}
    created = RunEvent("plan", EventKind.RUN_CREATED, "1970-01-01T00:00:00.000000Z", "", data, 1)
    return str(load(GRAPHS[form], ("oneiric",))(RunReport.of([created])))
