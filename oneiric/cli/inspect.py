"""Commands that look and change nothing: list, explain, status, plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.complete import domains, keys, providers, refs
from oneiric.cli.output import AsJSON, colour, session_of, show, show_json, show_table, width

if TYPE_CHECKING:
    from oneiric.runtime.answers import Explanation

Domain = Annotated[
    str,
    typer.Option(help="One domain, such as adapter or service.", autocompletion=domains),
]


def list_components(
    context: typer.Context,
    *,
    domain: Domain = "",
    shadowed: Annotated[
        bool, typer.Option("--shadowed", help="List who does not serve, and why.")
    ] = False,
    as_json: AsJSON = False,
) -> None:
    """List who serves each component, and by which rule."""
    listing = session_of(context).operator.list(domain=domain, shadowed=shadowed)
    if as_json:
        show_json(listing.as_json())
        return
    rows = [
        (decision.ref, each.provider, each.place, each.why, each.candidate.source)
        if each
        else (decision.ref, "-", "nobody", decision.problem.message if decision.problem else "", "")
        for decision, each in listing.standings()
    ]
    show_table(
        ("component", "provider", "standing", "why", "source"),
        rows,
        empty="nothing is shadowed" if shadowed else "nothing is on offer",
    )
    show("\n".join(f"warning: {warning}" for warning in listing.warnings()))


def explain(
    context: typer.Context,
    ref: Annotated[
        str,
        typer.Argument(help="domain:key, or a key.", metavar="REF|KEY", autocompletion=refs),
    ] = "",
    *,
    domain: Domain = "",
    key: Annotated[
        str, typer.Option(help="The key, if not given before.", autocompletion=keys)
    ] = "",
    provider: Annotated[
        str, typer.Option(help="Ask for this provider.", autocompletion=providers)
    ] = "",
    needs: Annotated[
        list[str] | None,
        typer.Option(help="Capabilities needed, separated by commas; may be repeated."),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(help="Assume select=PROVIDER or withdraw=PROVIDER; may be repeated."),
    ] = None,
    as_json: AsJSON = False,
) -> None:
    """Say who serves a component, where everybody else stands, and why.

    It ends with exit code 6 when nobody may serve.
    """
    wanted = [need.strip() for each in needs or () for need in each.split(",") if need.strip()]
    answer = session_of(context).operator.explain(
        ref, domain=domain, key=key, provider=provider, needs=wanted, assume=assume or ()
    )
    if as_json:
        show_json(answer.as_json())
    else:
        _show_explanation(answer)
    if answer.decision.problem is not None:
        raise typer.Exit(answer.decision.problem.exit_code)


def _show_explanation(answer: Explanation) -> None:
    show(answer.decision.render(width=width(), colour=colour()), styled=True)
    if answer.dormant:
        show(f"  note: {answer.dormant}")
    if answer.diff:
        show(f"\nchanged by the assumptions:\n{answer.diff.render(width=width())}")
    elif answer.diff is not None:
        show("\nthe assumptions change nothing")


def status(context: typer.Context, *, domain: Domain = "", as_json: AsJSON = False) -> None:
    """Show how each component stands: who would serve, who does, and how swaps went."""
    answer = session_of(context).operator.status(domain=domain)
    if as_json:
        show_json(answer.as_json())
        return
    show(f"{answer.app}, {answer.environment}; profile {answer.profile}\n")
    rows = [
        (
            each.ref,
            decision.winner.provider if decision.winner else "nobody",
            each.state,
            each.activity.state,
            each.in_flight,
            decision.selection.origin if decision.selection else "-",
        )
        for decision, each in answer.rows
    ]
    show_table(
        ("component", "winner", "state", "activity", "in flight", "selected by"),
        rows,
        empty="nothing is on offer",
    )
    show("\n".join(f"note: {ref}: {each}" for ref, each in answer.dormant.items()))


def plugins(context: typer.Context, *, as_json: AsJSON = False) -> None:
    """List the plugins of installed distributions, and what each brought."""
    answer = session_of(context).operator.plugins()
    if as_json:
        show_json(answer.as_json())
        return
    rows = [
        (
            plugin.distribution,
            plugin.version,
            plugin.group,
            plugin.error
            or plugin.skipped
            or ", ".join(str(each.offer) for each in plugin.candidates),
        )
        for plugin in answer.plugins
    ]
    show_table(("distribution", "version", "group", "brought"), rows, empty="no plugins")
