"""The command that opens a shell around a runtime."""

from __future__ import annotations

from typing import Annotated

import typer

from oneiric.cli.output import session_of


def shell(
    context: typer.Context,
    *,
    command: Annotated[
        str, typer.Option("--command", "-c", help="Run this text only, and end.", metavar="TEXT")
    ] = "",
    attach: Annotated[
        bool,
        typer.Option("--attach/--no-attach", help="Have magics ask the orchestrator that runs."),
    ] = True,
) -> None:
    """Open IPython with a runtime that is up, and magics that ask and tell it."""
    from oneiric.shell import AdminShell  # for who opens one

    operator = session_of(context).operator
    live = operator.live if attach else None
    raise typer.Exit(AdminShell(operator.orchestrator, live=live).run(command))
