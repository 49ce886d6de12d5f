"""Commands about baselines: what production was like when it was good."""

from __future__ import annotations

from typing import Annotated

import typer

from oneiric.cli.output import AsJSON, foreign_aside, session_of, show_answer
from oneiric.validation.desk import ValidationDesk

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Record what production is like."
)

Name = Annotated[str, typer.Argument(help="The baseline.", metavar="NAME")]


@app.command("record")
def record(context: typer.Context, name: Name = "default", *, as_json: AsJSON = False) -> None:
    """Record what production is like now; one that is there is kept, see accept."""
    desk = _desk(context)
    with foreign_aside():
        answer = desk.record(name)
    show_answer(answer, as_json=as_json)


@app.command("show")
def show(context: typer.Context, name: Name = "default", *, as_json: AsJSON = False) -> None:
    """Show what was recorded."""
    show_answer(_desk(context).baseline(name), as_json=as_json)


@app.command("accept")
def accept(context: typer.Context, name: Name = "default", *, as_json: AsJSON = False) -> None:
    """Record what production is like now in place of what was recorded, and show the difference."""
    desk = _desk(context)
    with foreign_aside():
        answer = desk.accept(name)
    show_answer(answer, as_json=as_json)


def _desk(context: typer.Context) -> ValidationDesk:
    session = session_of(context)
    return ValidationDesk(session.config, session.profile)
