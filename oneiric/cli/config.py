"""Commands about the configuration."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from oneiric.cli.output import AsJSON, foreign_aside, session_of, show, show_json, show_table

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Show the configuration, and who set what."
)


@app.callback()
def group() -> None:
    """Show the configuration, and who set what."""


@app.command("show")
def show_settings(
    context: typer.Context,
    *,
    sources: Annotated[
        bool, typer.Option("--sources", help="Say which file and line, or what else, set each.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Print every effective setting, secrets redacted."""
    operator = session_of(context).operator
    with foreign_aside():
        answer = operator.settings(sources=sources)
    if as_json:
        show_json(answer.as_json())
        return
    show(f"file {answer.file or 'none'}, profile {answer.profile}\n")
    headers = ("setting", "value", "set by") if sources else ("setting", "value")
    rows = [
        (each.path, json.dumps(each.value, ensure_ascii=False), each.origin)[: len(headers)]
        for each in answer.settings
    ]
    show_table(headers, rows, empty="no settings")
