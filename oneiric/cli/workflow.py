"""Commands about workflows: look at one, run it, have it run elsewhere, look at its runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.output import AsJSON, colour, session_of, show, show_json, show_table, width
from oneiric.cli.run import EXIT_CODES, PIPED_WIDTH, RunId
from oneiric.documents import parse
from oneiric.domains.workflows.bridge import DECISIONS
from oneiric.domains.workflows.topology import drawing, mermaid
from oneiric.errors import InvalidError
from oneiric.reports.document import document
from oneiric.reports.timeline import timeline
from oneiric.runtime.workflows import WorkDesk
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.reports import RunReport

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
    answer = _desk(context).plan(_one(key, workflow, needed=False))
    if as_json:
        show_json(answer.as_json())
        return
    for problem in answer.problems:
        sys.stderr.write(printable(f"warning: {problem}\n"))
    if as_mermaid:
        show("\n".join(map(mermaid, answer.plans.values())))
        return
    for name, each in answer.plans.items():
        shape = answer.topologies[name]
        queue = f"{shape['queue_category']}@{shape['queue_provider'] or 'nobody'}"
        counts = f"{shape['node_count']} nodes, {shape['edge_count']} edges"
        drawn = drawing(each, columns=width())
        show(f"{name}@{shape['provider']}  {counts}, queue {queue}\n\n{drawn}\n")
    if not answer.plans:
        show("there are no workflows")


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
    """Run a workflow in this process, and print what came of it.

    It ends with exit code 1 for a run that failed, and with 4 for one that waits for somebody
    outside.
    """
    answer = _desk(context).run(
        _one(key, workflow),
        _table(given, "--context"),
        resume=resume,
        force=force,
        checkpoints=checkpoints,
        notice=_notice,
    )
    if answer.looked and not answer.resumed:
        _notice("no run was left unfinished, so a new one was begun")
    if as_json:
        show_json(answer.as_json())
    else:
        how = "resumed" if answer.resumed else "local"
        show(f"{how}: {answer.key} {answer.state}, run {answer.run.run_id}")
        if answer.run.error:
            show(f"{answer.run.error.get('code')}: {answer.run.error.get('message')}")
        show(json.dumps(answer.run.results, indent=2, ensure_ascii=False))
    raise typer.Exit(answer.exit_code)


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
    answer = _desk(context).enqueue(
        _one(key, workflow),
        _table(given, "--context"),
        metadata=_table(metadata, "--metadata"),
        category=category,
        queue=provider,
    )
    if as_json:
        show_json(answer.as_json())
        return
    where = f"adapter:{answer.queue_category}@{answer.queue_provider}"
    show(f"enqueued: {answer.message.key}, run {answer.message.run_id}, in {where}")


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
    return WorkDesk(session_of(context).operator.orchestrator)


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
    sys.stderr.write(printable(f"{text}\n"))
    sys.stderr.flush()
