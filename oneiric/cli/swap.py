"""The command that selects another provider."""

from __future__ import annotations

from typing import Annotated

import typer

from oneiric.cli.complete import providers, refs
from oneiric.cli.output import AsJSON, foreign_aside, session_of, show, show_json, width


def swap(
    context: typer.Context,
    ref: Annotated[
        str, typer.Argument(help="domain:key, or a key.", metavar="REF", autocompletion=refs)
    ],
    *,
    provider: Annotated[str, typer.Option(help="Who shall serve.", autocompletion=providers)] = "",
    clear: Annotated[
        bool, typer.Option("--clear", help="End the selection of an earlier swap.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print which decisions would change.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """Select another provider for a component; the selection outranks the configuration."""
    operator = session_of(context).operator
    with foreign_aside():
        answer = operator.swap(ref, provider=provider, clear=clear, dry_run=dry_run)
    if as_json:
        show_json(answer.as_json())
        return
    show("\n".join(diff.render(width=width()) for diff in answer.changes) or "no decision changes")
    if clear and not answer.cleared:
        show(f"there was no selection of an earlier swap for {answer.ref}")
    elif dry_run:
        cleared = "; the selection of an earlier swap would be cleared" if clear else ""
        show(f"dry run: nothing was stored{cleared}")
    else:
        what = "the selection was cleared" if clear else f"{answer.provider} was selected"
        show(f"{answer.applied}: {what} for {answer.ref}; no running orchestrator was asked")
