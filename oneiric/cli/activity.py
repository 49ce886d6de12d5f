"""Commands that decide who takes work: pause, resume, drain; and the one that shows it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.complete import domains, keys, refs, stored_refs
from oneiric.cli.output import AsJSON, answered, session_of, show_answer
from oneiric.cli.who import Actor, user

if TYPE_CHECKING:
    from oneiric.runtime.drain import Share

_REF_HELP = "domain:key, a key, or one offer domain:key@provider."
Ref = Annotated[str, typer.Argument(help=_REF_HELP, metavar="REF|KEY", autocompletion=refs)]
Stored = Annotated[
    str, typer.Argument(help=_REF_HELP, metavar="REF|KEY", autocompletion=stored_refs)
]
Domain = Annotated[
    str, typer.Option(help="One domain, such as adapter or service.", autocompletion=domains)
]
Key = Annotated[str, typer.Option(help="The key, if not given before.", autocompletion=keys)]
Note = Annotated[str, typer.Option(help="Why; it is told to whoever is refused.")]


def pause(
    context: typer.Context,
    ref: Ref = "",
    *,
    domain: Domain = "",
    key: Key = "",
    note: Note = "",
    actor: Actor = "",
    as_json: AsJSON = False,
) -> None:
    """Let a component take no new work, in any process; what is in flight goes on."""
    asked = {"ref": ref, "domain": domain, "key": key, "note": note, "actor": actor or user()}
    show_answer(answered(session_of(context), "pause", asked), as_json=as_json)


def resume(
    context: typer.Context,
    ref: Stored = "",
    *,
    domain: Domain = "",
    key: Key = "",
    as_json: AsJSON = False,
) -> None:
    """Let a component that is paused or draining take work again."""
    asked = {"ref": ref, "domain": domain, "key": key, "actor": user()}
    show_answer(answered(session_of(context), "resume", asked), as_json=as_json)


def drain(
    context: typer.Context,
    ref: Ref = "",
    *,
    domain: Domain = "",
    key: Key = "",
    note: Note = "",
    actor: Actor = "",
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when no process has any of it in flight.")
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option(
            help="Seconds to wait, which --wait need not be given for; lifecycle.drain_timeout"
            " unless given.",
            min=0,
            max=86_400,
        ),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Let a component take no new work, and wait for what is in flight.

    It ends with exit code 5 when something still is after the timeout, and names who holds it.
    """
    asked = {"ref": ref, "domain": domain, "key": key, "note": note, "actor": actor or user()}
    waits = {"wait": wait or timeout is not None, "limit": timeout}
    try:
        answer = answered(session_of(context), "drain", {**asked, **waits}, told=_progress())
    except KeyboardInterrupt:
        named = ref or f"{domain}:{key}".removeprefix(":")
        sys.stderr.write(f"\n{named} stays draining; oneiric resume {named} ends that\n")
        raise
    show_answer(answer, as_json=as_json)


def activity(context: typer.Context, *, domain: Domain = "", as_json: AsJSON = False) -> None:
    """List what is paused or draining: since when, who said so, and why."""
    answer = answered(session_of(context), "activity", {"domain": domain})
    show_answer(answer, as_json=as_json)


def _progress() -> Callable[[Sequence[Share]], None]:
    """Return what shows a watching person how much is in flight; others see nothing of it."""
    shown = ""

    def show_progress(shares: Sequence[Share]) -> None:
        nonlocal shown
        answered = sum(share.in_flight is not None for share in shares)
        count = sum(share.in_flight or 0 for share in shares)
        text = f"{count} in flight; {answered} of {len(shares)} processes answered"
        if text != shown and sys.stderr.isatty():
            sys.stderr.write(f"{text}\n")
        shown = text

    return show_progress
