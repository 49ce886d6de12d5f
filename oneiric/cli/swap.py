"""Commands that select another provider, or the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.activity import Domain, Key, Ref
from oneiric.cli.complete import providers, refs
from oneiric.cli.output import AsJSON, answered, foreign_aside, session_of, show_answer
from oneiric.cli.who import Actor, user

if TYPE_CHECKING:
    from oneiric.errors import JSONValue


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
    asked: dict[str, JSONValue] = {
        "ref": ref,
        "provider": provider,
        "clear": clear,
        "dry_run": dry_run,
        "actor": "cli",
    }
    with foreign_aside():
        answer = answered(session_of(context), "swap", asked)
    show_answer(answer, as_json=as_json)


def rollback(
    context: typer.Context,
    ref: Ref = "",
    *,
    domain: Domain = "",
    key: Key = "",
    actor: Actor = "",
    as_json: AsJSON = False,
) -> None:
    """Let who served a component before the last swap serve again.

    Only a running orchestrator knows who that was; without one it ends with exit code 5.
    """
    asked = {"ref": ref, "domain": domain, "key": key, "actor": actor or user()}
    with foreign_aside():
        answer = answered(session_of(context), "rollback", asked)
    show_answer(answer, as_json=as_json)
