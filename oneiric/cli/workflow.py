"""Commands about workflows: look at one, run it, have it run elsewhere, look at its runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.output import (
    AsJSON,
    answered,
    colour,
    session_of,
    show,
    show_answer,
    show_json,
    show_table,
    tell,
    width,
)
from oneiric.cli.run import EXIT_CODES, PIPED_WIDTH, RunId
from oneiric.documents import parse
from oneiric.domains.workflows.bridge import DECISIONS
from oneiric.errors import InvalidError
from oneiric.reports.document import document
from oneiric.reports.timeline import timeline

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.reports import RunReport
    from oneiric.runtime.workflows import WorkDesk

HELP = "Plan workflows, run them, and look at their runs."

app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)

Key = Annotated[str, typer.Argument(help="The workflow's key.", metavar="[KEY]")]
Named = Annotated[str, typer.Option("--workflow", help="The same, as an option.", metavar="KEY")]


@app.callback()
def group() -> None:
    """Plan workflows, run them, and look at their runs."""


@app.command("plan")
def plan(
    context: typer.Context,
    key: Key = "",
    *,
    workflow: Named = "",
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid flowchart.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Show the steps of a workflow, or of all, and what each waits for, without running it."""
    named = _one(key, workflow, needed=False)
    asked: dict[str, JSONValue] = {"workflow": named, "mermaid": as_mermaid}
    show_answer(answered(session_of(context), "workflow-plan", asked), as_json=as_json)


@app.command("run")
def run(
    context: typer.Context,
    key: Key = "",
    *,
    workflow: Named = "",
    given: Annotated[
        str, typer.Option("--context", help="The run's context, a JSON table.", metavar="JSON")
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume-checkpoint", help="Go on with the newest unfinished run.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Go on even if the workflow has changed since.")
    ] = False,
    checkpoints: Annotated[
        bool,
        typer.Option(
            "--workflow-checkpoints/--no-workflow-checkpoints", help="Store what each step did."
        ),
    ] = True,
    as_json: AsJSON = False,
) -> None:
    """Run a workflow, and print what came of it.

    Without checkpoints it is run in this process, even where an orchestrator runs. It ends with
    exit code 1 for a run that failed, and with 4 for one that waits for somebody outside.
    """
    asked: dict[str, JSONValue] = {
        "workflow": _one(key, workflow),
        "context": _table(given, "--context"),
        "resume": resume,
        "force": force,
    }
    session = session_of(context)
    if checkpoints:
        answer = answered(session, "workflow-run", asked, notice=_notice)
    else:  # such a run lives and dies with its process
        answer = session.operator.work.run(**asked, checkpoints=False, notice=_notice)  # type: ignore[arg-type]
    show_answer(answer, as_json=as_json)


@app.command("enqueue")
def enqueue(
    context: typer.Context,
    key: Key = "",
    *,
    workflow: Named = "",
    given: Annotated[
        str, typer.Option("--context", help="The run's context, a JSON table.", metavar="JSON")
    ] = "",
    metadata: Annotated[
        str, typer.Option(help="What the run keeps besides, a JSON table.", metavar="JSON")
    ] = "",
    category: Annotated[
        str, typer.Option("--queue-category", help="The adapter to use instead of its own.")
    ] = "",
    provider: Annotated[str, typer.Option(help="The queue's provider.")] = "",
    as_json: AsJSON = False,
) -> None:
    """Put a message into a queue, for whichever worker takes it."""
    asked: dict[str, JSONValue] = {
        "workflow": _one(key, workflow),
        "context": _table(given, "--context"),
        "metadata": _table(metadata, "--metadata"),
        "category": category,
        "queue": provider,
    }
    show_answer(answered(session_of(context), "workflow-enqueue", asked), as_json=as_json)


@app.command("runs")
def runs(
    context: typer.Context,
    key: Key = "",
    *,
    workflow: Named = "",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 20,
    as_json: AsJSON = False,
) -> None:
    """List the runs of a workflow, the newest first."""
    answer = _desk(context).runs(_one(key, workflow), limit=limit)
    if as_json:
        show_json(answer.as_json())
        return
    rows = [(each.run_id, each.state, each.created_at[:19]) for each in answer.records]
    show_table(("run", "state", "created"), rows, empty="it was never run")
    if answer.has_more:
        show(f"there are more than {limit}; --limit shows them")


@app.command("show")
def show_one(
    context: typer.Context,
    run_id: RunId,
    *,
    as_json: AsJSON = False,
) -> None:
    """Show a run: its steps on an axis of time, and why who did each was chosen.

    It ends with exit code 1 for a run that failed, and with 4 for one that waits for somebody
    outside.
    """
    report = _desk(context).show(run_id)
    if as_json:
        show_json(document(report))
    else:
        columns = width() if sys.stdout.isatty() else PIPED_WIDTH
        show(timeline(report, width=columns, colour=colour()), styled=True)
        show("")
        headers = ("step", "done by", "version", "why they", "decision")
        show_table(headers, _decided(report), empty="no step was begun")
    if code := EXIT_CODES.get(report.state, 0):
        raise typer.Exit(code)


def _decided(report: RunReport) -> list[tuple[object, ...]]:
    """Return who did each step that was begun, and why they were chosen when the run began."""
    kept = report.run.metadata.get(DECISIONS)
    decisions: Mapping[str, JSONValue] = kept if isinstance(kept, Mapping) else {}
    rows: list[tuple[object, ...]] = []
    for step in report.steps:
        made = step.run.provenance
        found = decisions.get(step.run.step.target)
        said: Mapping[str, JSONValue] = found if isinstance(found, Mapping) else {}
        if not made.provider:
            continue
        is_same = said.get("digest") == made.decision_digest
        why = said.get("why") if is_same else "decided anew since the run began"
        digest = made.decision_digest.removeprefix("sha256:")[:12]
        rows.append((step.name, made.provider, made.version or "-", why, digest))
    return rows


def _desk(context: typer.Context) -> WorkDesk:
    return session_of(context).operator.work


def _one(key: str, option: str, *, needed: bool = True) -> str:
    if key and option and key != option:
        raise InvalidError(f"two workflows were given, {key} and {option}")
    if needed and not (key or option):
        raise InvalidError("name a workflow", hint="oneiric workflow plan shows what there is")
    return key or option


def _table(text: str, source: str) -> Mapping[str, JSONValue] | None:
    if not text:
        return None
    value = parse(text.encode(), "json", source=source)
    if not isinstance(value, Mapping):
        raise InvalidError(f"{source} is a JSON table", hint=f"""{source} '{{"order_id": 7}}'""")
    return value


def _notice(text: str) -> None:
    tell([text])
