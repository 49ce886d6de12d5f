"""Commands that decide who takes work: pause, resume, drain; and the one that shows it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.complete import domains, keys, refs, stored_refs
from oneiric.cli.output import AsJSON, session_of, show, show_json, show_table
from oneiric.cli.who import Actor, user

if TYPE_CHECKING:
    from oneiric.runtime.activity_answers import ActivityChange
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
    operator = session_of(context).operator
    named = operator.ref(ref, domain=domain, key=key)
    _show_change(operator.pause(named, note=note, actor=actor or user()), as_json=as_json)


def resume(
    context: typer.Context,
    ref: Stored = "",
    *,
    domain: Domain = "",
    key: Key = "",
    as_json: AsJSON = False,
) -> None:
    """Let a component that is paused or draining take work again."""
    operator = session_of(context).operator
    named = operator.ref(ref, domain=domain, key=key)
    _show_change(operator.resume(named), as_json=as_json)


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
    operator = session_of(context).operator
    named = operator.ref(ref, domain=domain, key=key)
    progress = _progress()
    try:
        answer = operator.drain(
            named,
            note=note,
            actor=actor or user(),
            wait=wait or timeout is not None,
            limit=timeout,
            told=progress,
        )
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{named} stays draining; oneiric resume {named} ends that\n")
        raise
    _show_change(answer, as_json=as_json)


def activity(context: typer.Context, *, domain: Domain = "", as_json: AsJSON = False) -> None:
    """List what is paused or draining: since when, who said so, and why."""
    answer = session_of(context).operator.activity(domain=domain)
    if as_json:
        show_json(answer.as_json())
        return
    rows = [
        (
            each.ref if each.is_offered else f"{each.ref} (offered by nobody)",
            each.activity.state,
            each.in_flight if each.shares else "-",
            each.as_json()["since"] or "-",
            each.activity.actor or "-",
            each.activity.note or "-",
        )
        for each in answer.entries
    ]
    headers = ("component", "activity", "in flight", "since", "by", "note")
    show_table(headers, rows, empty="everything takes work")


def _show_change(answer: ActivityChange, *, as_json: bool) -> None:
    if as_json:
        show_json(answer.as_json())
        return
    if answer.activity == answer.before:
        show(f"{answer.ref} was active already{_but(answer)}")
        return
    state = answer.activity.state
    within = f"running processes follow within {answer.poll_interval:g} s"
    if answer.shares is None:
        show(f"{answer.applied}: {answer.ref} is {state}; {within}{_but(answer)}")
    elif answer.shares:
        count = len(answer.shares)
        who = "the running process has" if count == 1 else f"{count} running processes have"
        show(f"{answer.applied}: {answer.ref} is drained; {who} none in flight")
    else:
        show(f"{answer.applied}: {answer.ref} is {state}; no running process answered")


def _but(answer: ActivityChange) -> str:
    """Say what keeps an offer from work although it is active itself."""
    if answer.activity.state != "active" or answer.takes_work:
        return ""
    return f"; but {answer.ref.partition('@')[0]} is {answer.place}"


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
