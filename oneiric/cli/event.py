"""Commands about events: emit one, list who handles them, and what was not handled."""

from __future__ import annotations

from typing import Annotated

import typer

from oneiric.cli.output import AsJSON, answered, session_of, show_answer, show_json, show_table
from oneiric.documents import parse
from oneiric.errors import InvalidError

HELP = "Emit events, list who handles them, replay what was not handled."
REPLAY = "replay"

app = typer.Typer(no_args_is_help=True, add_completion=False, help=HELP)


@app.callback()
def group() -> None:
    """Emit events, list who handles them, replay what was not handled."""


@app.command("emit")
def emit(
    context: typer.Context,
    *,
    topic: Annotated[str, typer.Option(help="What happened, as in order.created.")],
    payload: Annotated[str, typer.Option(help="The data, one JSON value.")] = "null",
    as_json: AsJSON = False,
) -> None:
    """Dispatch an event to the handlers that want it, and print what came of each."""
    data = parse(payload.encode(), "json", source="--payload")
    asked = {"topic": topic, "payload": data}
    show_answer(answered(session_of(context), "event-emit", asked), as_json=as_json)


@app.command("list")
def list_handlers(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """List the handlers in the order in which they are told, and their topics."""
    answer = session_of(context).operator.events.handlers()
    if as_json:
        show_json(answer.as_json())
        return
    rows = [
        (
            each.name,
            ", ".join(each.topics),
            each.priority,
            each.fanout,
            each.max_concurrency or "-",
            f"{each.timeout_seconds:g} s",
            each.retry.attempts,
            len(each.filters),
        )
        for each in answer.handlers
    ]
    headers = (
        "handler",
        "topics",
        "priority",
        "fan-out",
        "at a time",
        "limit",
        "attempts",
        "filters",
    )
    show_table(headers, rows, empty="nobody handles events")


@app.command("dead-letters")
def dead_letters(
    context: typer.Context,
    action: Annotated[
        str, typer.Argument(help="replay, to tell the handlers again.", metavar="[replay]")
    ] = "",
    letter: Annotated[
        str, typer.Argument(help="The id of one letter; all without it.", metavar="[ID]")
    ] = "",
    *,
    as_json: AsJSON = False,
) -> None:
    """List the events that a handler did not handle, or replay them to it."""
    if action not in ("", REPLAY):
        raise InvalidError(
            f"dead-letters does not {action}", hint="oneiric event dead-letters replay [ID]"
        )
    events = session_of(context).operator.events
    if action == REPLAY:
        replayed = events.replay(letter)
        if as_json:
            show_json(replayed.as_json())
        else:
            rows = [
                (
                    each.letter.id,
                    each.letter.handler,
                    "settled" if each.success else "kept",
                    each.problem or "; ".join(result.error for result in each.results),
                )
                for each in replayed.replays
            ]
            show_table(("letter", "handler", "now", "why"), rows, empty="no dead letters")
        raise typer.Exit(replayed.exit_code)
    answer = events.dead_letters()
    if as_json:
        show_json(answer.as_json())
        return
    found = [
        (each.id, each.at, each.event.get("type"), each.handler, each.reason, each.error)
        for each in answer.letters
    ]
    headers = ("letter", "at", "topic", "handler", "reason", "error")
    show_table(headers, found, empty="no dead letters")
