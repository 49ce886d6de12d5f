"""The command that takes work from a queue."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from oneiric.cli.output import AsJSON, operator_for, session_of, show, show_json, tell
from oneiric.runtime.stop import StopSignals


def work(
    context: typer.Context,
    *,
    events: Annotated[
        bool, typer.Option("--events", help="Messages are events; tell their handlers.")
    ] = False,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="End when the queue is empty; nothing is begun that no message asks for."
        ),
    ] = False,
    queue: Annotated[
        str, typer.Option(help="The queue's provider, instead of who serves.", metavar="PROVIDER")
    ] = "",
    concurrency: Annotated[
        int, typer.Option(help="Messages at a time; 0 for what is configured.", min=0, max=1_000)
    ] = 0,
    as_json: AsJSON = False,
) -> None:
    """Take messages from the queue and run what they ask for, until SIGTERM or SIGINT.

    It also begins what tasks and workflows schedule, and takes up runs that were left; with
    --once or --events it does neither.
    """

    def notice(text: str) -> None:
        tell([f"worker {text}"])

    with nullcontext() if once else StopSignals() as stop:
        from oneiric.runtime.workflows import WorkDesk  # takes its time

        session = session_of(context)
        operator = operator_for(session, works=True, serves=not (once or as_json))
        answer = WorkDesk(operator.orchestrator).work(
            events=events, once=once, queue=queue, concurrency=concurrency, notice=notice, stop=stop
        )
    if as_json:
        show_json(answer.as_json())
        return
    report = answer.report
    show(f"done: {report.done}, given back: {report.back}, set aside: {report.aside}")
