"""Commands about ledgers: list the proofs of a task, and verify that nobody touched them."""

from __future__ import annotations

from typing import Annotated

import typer

from oneiric.cli.desks import desk_of
from oneiric.cli.output import AsJSON, show_answer

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="List proofs, and verify their ledger."
)

TaskId = Annotated[str, typer.Argument(help="The id of a task.", metavar="TASK")]


@app.command("list")
def list_proofs(
    context: typer.Context,
    task: Annotated[str, typer.Argument(help="Only of this task.", metavar="TASK")] = "",
    *,
    run: Annotated[str, typer.Option(help="Only of this run.", metavar="RUN")] = "",
    as_json: AsJSON = False,
) -> None:
    """List the proofs of a task in order; without a task, the ledgers that there are."""
    desk = desk_of(context)
    answer = desk.proofs(task, run) if task else desk.ledgers()
    show_answer(answer, as_json=as_json, coloured=True)


@app.command("verify")
def verify(
    context: typer.Context,
    task: TaskId,
    *,
    head: Annotated[
        str,
        typer.Option(help="An end that was recorded elsewhere.", metavar="ENTRIES:DIGEST"),
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """Verify the ledger of a task: signatures, order, and that nothing is missing.

    Its end is compared with the recorded one, and with those in the journals of the task's runs.
    The pictures that its proofs name have to be there as they were. It ends with 1 if anything is
    wrong.
    """
    show_answer(desk_of(context).verify(task, head), as_json=as_json, coloured=True)
