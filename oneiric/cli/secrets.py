"""Commands about secrets."""

from __future__ import annotations

from typing import Annotated

import typer

from oneiric.cli.output import AsJSON, answered, session_of, show_answer

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
    names = [name.strip() for name in keys.split(",") if name.strip()]
    answer = answered(session_of(context), "secrets-rotate", {"keys": names, "every": every})
    show_answer(answer, as_json=as_json)
