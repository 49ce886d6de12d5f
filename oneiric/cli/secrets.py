"""Commands about secrets."""

from __future__ import annotations

from typing import Annotated

import typer

from oneiric.cli.output import AsJSON, colour, foreign_aside, session_of, show, show_json, width

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Have running components follow changed secrets.",
)


@app.callback()
def group() -> None:
    """Have running components follow changed secrets."""


@app.command("rotate")
def rotate(
    context: typer.Context,
    *,
    keys: Annotated[
        str, typer.Option(help="The names of the secrets, parted by commas.", metavar="NAME,NAME")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="All that are in use or kept.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Forget what is kept of secrets, read them anew, and swap what was made with old ones.

    Secrets are kept by an orchestrator that runs, and by no other process. It ends with 1 where
    a secret could not be read or a swap did not hold.
    """
    operator = session_of(context).operator
    names = [name.strip() for name in keys.split(",") if name.strip()]
    with foreign_aside():
        report = operator.secrets.rotate(names, every=every)
    if as_json:
        show_json(report.as_json())
    else:
        show(report.render(columns=width(), colour=colour()))
    raise typer.Exit(report.exit_code)
