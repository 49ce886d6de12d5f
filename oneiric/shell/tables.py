"""What was answered as tables that fit the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.table import Table
from rich.text import Text

from oneiric.text.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oneiric.shell.verbs import Said

Row: TypeAlias = Sequence[object]
_GOOD = frozenset({"ready", "selected", "succeeded", "active", "yes"})
_BAD = frozenset({"failed", "rejected", "nobody", "canceled", "paused", "draining", "no"})


def rendered(said: Said) -> RenderableType:
    """Return an answer as a table where its document is known, else as the text it brought."""
    known = _TABLES.get(str(said.document.get("schema")))
    return known(said.document) if known is not None else Text(printable(said.text))


def table(headers: Sequence[str], rows: Iterable[Row], *, title: str, empty: str) -> Table | Text:
    """Return rows below their headers; *empty* where there are none."""
    found = Table(title=Text(printable(title)), title_justify="left", box=None, pad_edge=False)
    for header in headers:
        found.add_column(header, overflow="fold")
    for row in rows:
        found.add_row(*map(_cell, row))
    return found if found.row_count else Text(empty)


def _cell(value: object) -> Text:
    text = "" if value is None else printable(str(value))
    return Text(text, style="green" if text in _GOOD else "red" if text in _BAD else "")


def _status(document: Mapping[str, Any]) -> RenderableType:
    rows = [
        (
            each["ref"],
            each["winner"] or "nobody",
            each["state"],
            each["provider"],
            each["activity"]["state"],
            each["in_flight"],
        )
        for each in document["status"]
    ]
    headers = ("component", "winner", "state", "serves", "activity", "in flight")
    title = f"{document['app']}, {document['environment']}; {document['applied']}"
    return table(headers, rows, title=title, empty="nothing is on offer")


def _decision(document: Mapping[str, Any]) -> RenderableType:
    rows = [
        (each["standing"], each["provider"], each["why"], each["source"])
        for each in document["standings"]
    ]
    changed = document.get("assumed")
    assumed = f", as assumed: {changed['before']} -> {changed['after']}" if changed else ""
    title = f"{document['ref']}{assumed}"
    headers = ("standing", "provider", "why", "source")
    return table(headers, rows, title=title, empty="nobody may serve")


def _runs(document: Mapping[str, Any]) -> RenderableType:
    rows = [
        (each["run_id"], each["name"], each["state"], each["created_at"][:19])
        for each in document["runs"]
    ]
    title = "runs, the newest first" if document["has_more"] else "runs"
    return table(("run", "name", "state", "created"), rows, title=title, empty="there are no runs")


def _activity(document: Mapping[str, Any]) -> RenderableType:
    rows = [
        (
            each["ref"],
            each["state"],
            sum(share["in_flight"] or 0 for share in each["processes"]),
            (each["since"] or "")[:19],
            each["actor"],
            each["note"],
        )
        for domain in document["domains"].values()
        for each in domain["entries"]
    ]
    headers = ("component", "activity", "in flight", "since", "by", "note")
    return table(headers, rows, title="activity", empty="everything takes work")


def _health(document: Mapping[str, Any]) -> RenderableType:
    rows = [
        (each["ref"], each["provider"], "yes" if each["healthy"] else "no", each["detail"])
        for each in document["components"]
    ]
    headers = ("component", "provider", "healthy", "detail")
    return table(headers, rows, title="health", empty="nothing is up")


_TABLES: Mapping[str, Callable[[Mapping[str, Any]], RenderableType]] = MappingProxyType(
    {
        "oneiric.status/1": _status,
        "oneiric.decision/1": _decision,
        "oneiric.runs/1": _runs,
        "oneiric.activity/1": _activity,
        "shell-health": _health,
    }
)
