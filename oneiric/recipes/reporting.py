"""The reports that a recipe, or whoever runs it, asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError, OneiricError, unknown
from oneiric.files import write_atomic
from oneiric.recipes.log import tell
from oneiric.reports.document import document
from oneiric.reports.dot import dot
from oneiric.reports.html import html
from oneiric.reports.junit import junit
from oneiric.reports.markdown import markdown
from oneiric.reports.mermaid import mermaid
from oneiric.reports.report import RunReport
from oneiric.runs.event import Data, EventKind, RunEvent

if TYPE_CHECKING:
    from oneiric.recipes.reading import Recipe
    from oneiric.runs.plan import Plan


def _json(report: RunReport) -> str:
    return f"{json.dumps(document(report), ensure_ascii=False, indent=2)}\n"


FORMATS: Mapping[str, Callable[[RunReport], str]] = MappingProxyType(
    {"html": html, "markdown": markdown, "junit": junit, "json": _json}
)
"""The forms of reports, by name."""

GRAPHS: Mapping[str, Callable[[RunReport], str]] = MappingProxyType(
    {"mermaid": mermaid, "dot": dot}
)
"""The forms of drawings, by name."""


def write_report(report: RunReport, form: str, path: Path | None) -> None:
    """Write one report to a file, or to stderr without one.

    Raises:
        InvalidError: there is no such form.
        UnavailableError: the file cannot be written.
    """
    if form not in FORMATS:
        raise InvalidError(f"there is no form of report {unknown(form, FORMATS)}")
    text = FORMATS[form](report)
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
    return GRAPHS[form](RunReport.of([created]))
