"""Commands about runs: look at them, follow them, tell them something, look after them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from oneiric.cli.complete import runs
from oneiric.cli.output import (
    AsJSON,
    colour,
    session_of,
    show,
    show_json,
    show_table,
    width,
)
from oneiric.cli.who import Actor, user
from oneiric.documents import parse
from oneiric.errors import JSONValue
from oneiric.files import write_atomic
from oneiric.reports import RunReport
from oneiric.reports.document import document
from oneiric.reports.happening import event_document, happening
from oneiric.reports.html import html
from oneiric.reports.junit import junit
from oneiric.reports.markdown import markdown
from oneiric.reports.mermaid import mermaid
from oneiric.reports.timeline import timeline
from oneiric.runs.event import RunEvent
from oneiric.runtime.runs import RunDesk, Told
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from oneiric.runtime.run_answers import RunCarried

PIPED_WIDTH = 100
EXIT_CODES: Mapping[str, int] = MappingProxyType({"failed": 1, "canceled": 1, "waiting": 4})

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Look at runs, and tell them something."
)

RunId = Annotated[
    str,
    typer.Argument(help="A run's id, or the beginning of one.", metavar="RUN", autocompletion=runs),
]


Force = Annotated[
    bool, typer.Option("--force", help="Go on even if what it is a run of has changed since.")
]


class Format(StrEnum):
    """The forms in which a run can be shown."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    MERMAID = "mermaid"
    JUNIT = "junit"
    HTML = "html"


_FORMS: Mapping[Format, Callable[[RunReport], str]] = MappingProxyType(
    {
        Format.JSON: lambda report: json.dumps(document(report), indent=2, ensure_ascii=False),
        Format.MARKDOWN: markdown,
        Format.MERMAID: mermaid,
        Format.JUNIT: junit,
        Format.HTML: html,
    }
)


@app.callback()
def group() -> None:
    """Look at runs, and tell them something."""


@app.command("list")
def list_runs(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Option(help="Only runs of this plan.")] = "",
    open_only: Annotated[
        bool, typer.Option("--open", help="Only runs that have not ended.")
    ] = False,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 20,
    as_json: AsJSON = False,
) -> None:
    """List runs, the newest first."""
    answer = _desk(context).list(name=name, open_only=open_only, limit=limit)
    if as_json:
        show_json(answer.as_json())
        return
    rows = [
        (each.run_id, each.name, each.state, each.created_at[:19], "yes" if each.is_held else "-")
        for each in answer.records
    ]
    show_table(("run", "name", "state", "created", "held"), rows, empty="there are no runs")
    if answer.has_more:
        show(f"there are more than {limit}; --limit shows them")


@app.command("show")
def show_run(
    context: typer.Context,
    run: RunId,
    *,
    form: Annotated[Format, typer.Option("--format", help="How to show it.")] = Format.TEXT,
    output: Annotated[
        Path | None, typer.Option(help="Write it to this file instead of the terminal.")
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Show one run: its steps on an axis of time, and why each stands as it does.

    It ends with exit code 1 for a run that failed or was canceled, and with 4 for one that
    waits for somebody outside.
    """
    report = _desk(context).show(run)
    wanted = Format.JSON if as_json else form
    if output is not None:
        text = (
            timeline(report, width=PIPED_WIDTH) if wanted is Format.TEXT else _FORMS[wanted](report)
        )
        write_atomic(output, printable(text.rstrip("\n") + "\n").encode())
    elif wanted is Format.TEXT:
        show(_timeline(report), styled=True)
    else:
        show(_FORMS[wanted](report).rstrip("\n"))
    _end(report)


@app.command()
def follow(context: typer.Context, run: RunId, *, as_json: AsJSON = False) -> None:
    """Print what happens to a run as it happens, until it ends; with --json a line an event.

    It ends with exit code 1 for a run that failed or was canceled.
    """
    tell = _lines(sys.stdout, as_json=as_json)
    _end(_desk(context).follow(run, tell))


@app.command()
def signal(
    context: typer.Context,
    run: RunId,
    name: Annotated[str, typer.Argument(help="The signal that a step waits for.")],
    *,
    value: Annotated[str, typer.Option(help="The step's result, as JSON.")] = "null",
    error: Annotated[
        str, typer.Option(help="Why the step failed, as a refusal does, instead of a result.")
    ] = "",
    step: Annotated[
        str, typer.Option(help="The step; else the first that waits for the signal.")
    ] = "",
    actor: Actor = "",
    as_json: AsJSON = False,
) -> None:
    """Complete a step that waits for somebody outside, as an approval does."""
    given: JSONValue = parse(value.encode(), "json", source="--value")
    said = Told(actor or user(), error)
    answer = _desk(context).signal(run, name, given, step=step, said=said)
    if as_json:
        show_json(answer.as_json())
        return
    who = "" if answer.is_awaited else "; nobody waits for it yet, so it is kept"
    show(f"{_applied(answer.applied)}: {name} was signaled to {answer.run_id}{who}")


@app.command()
def cancel(
    context: typer.Context,
    run: RunId,
    *,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at the run.")] = "",
    actor: Actor = "",
    as_json: AsJSON = False,
) -> None:
    """Ask that a run be canceled; asked again, its final steps are stopped too."""
    answer = _desk(context).cancel(run, said=Told(actor or user(), reason))
    if as_json:
        show_json(answer.as_json())
        return
    what = "was canceled" if answer.applied == "local" else "was asked to cancel"
    show(f"{_applied(answer.applied)}: {answer.run_id} {what}")


@app.command()
def resume(
    context: typer.Context, run: RunId, *, force: Force = False, as_json: AsJSON = False
) -> None:
    """Go on with a run that was left, in this process, and print what came of it.

    It ends with exit code 1 for a run that failed, with 3 for one that another process holds,
    and with 4 for one that waits for somebody outside.
    """
    from oneiric.runtime.carried import CarryDesk  # brings all that runs need

    desk = CarryDesk(session_of(context).operator.orchestrator)
    _show_carried(desk.resume(run, force=force, tell=_progress(as_json=as_json)), as_json=as_json)


@app.command()
def retry(
    context: typer.Context,
    run: RunId,
    *,
    force: Force = False,
    leave: Annotated[
        bool, typer.Option("--leave", help="Only open it, for whichever worker takes it up.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Open a run that failed or was canceled, and do again what did not succeed.

    It ends as `oneiric run resume` does.
    """
    from oneiric.runtime.carried import CarryDesk  # brings all that runs need

    desk = CarryDesk(session_of(context).operator.orchestrator)
    tell = _progress(as_json=as_json)
    _show_carried(desk.retry(run, force=force, leave=leave, tell=tell), as_json=as_json)


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where the copy goes.", metavar="FILE")],
    *,
    as_json: AsJSON = False,
) -> None:
    """Copy the state database, safely while it is used."""
    answer = _desk(context).backup(file)
    if as_json:
        show_json(answer.as_json())
        return
    show(f"{answer.path}: {answer.size:,} bytes")


@app.command()
def prune(
    context: typer.Context,
    *,
    before: Annotated[
        str, typer.Option(help="Runs that ended before this time, or are older, as 30d or 12h.")
    ] = "",
    keep: Annotated[
        int | None, typer.Option(help="Keep so many of those that ended last.", min=0)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Delete runs that have ended, and give their space back."""
    answer = _desk(context).prune(before=before, keep=keep, dry_run=dry_run)
    if as_json:
        show_json(answer.as_json())
        return
    what = "would be deleted" if dry_run else "deleted"
    show(f"runs {what}: {answer.runs}")


@app.command()
def check(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """Check that the state database is whole, and each run stands as its events say.

    It ends with exit code 1 when something is wrong.
    """
    answer = _desk(context).check()
    if as_json:
        show_json(answer.as_json())
    else:
        found = answer.found
        show("\n".join(found.problems) or f"sound: {found.runs} runs, {found.events} events")
    if not answer.found.is_sound:
        raise typer.Exit(1)


def _lines(stream: TextIO, *, as_json: bool = False) -> Callable[[RunEvent], None]:
    """Return what writes each event that it is told as a line."""
    began = ""

    def tell(event: RunEvent) -> None:
        nonlocal began
        began = began or event.at
        if as_json:
            line = json.dumps(event_document(event), ensure_ascii=False)
        else:
            line = happening(event, began_at=began)
        stream.write(printable(line) + "\n")
        stream.flush()

    return tell


def _progress(*, as_json: bool) -> Callable[[RunEvent], object]:
    """Return what tells a person on stderr how a run comes on; a program gets the end alone."""
    return str if as_json else _lines(sys.stderr)


def _show_carried(answer: RunCarried, *, as_json: bool) -> None:
    found = answer.as_json()
    if as_json:
        show_json(found)
    else:
        what = "was opened again" if answer.applied == "stored" else found["state"]
        show(f"{_applied(answer.applied)}: {found['run_id']}, {found['name']}, {what}")
        if isinstance(error := found["error"], Mapping):
            show(f"{error.get('code')}: {error.get('message')}")
        if answer.applied == "local":
            show(json.dumps(found["results"], indent=2, ensure_ascii=False))
    raise typer.Exit(answer.exit_code)


def _desk(context: typer.Context) -> RunDesk:
    return RunDesk(session_of(context).operator.orchestrator)


def _timeline(report: RunReport) -> str:
    columns = width() if sys.stdout.isatty() else PIPED_WIDTH
    return timeline(report, width=columns, colour=colour())


def _end(report: RunReport) -> None:
    if code := EXIT_CODES.get(report.state, 0):
        raise typer.Exit(code)


def _applied(applied: str) -> str:
    return "stored, for whoever takes the run up" if applied == "stored" else applied
