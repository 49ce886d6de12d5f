"""Commands that look and change nothing: list, explain, status, plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.complete import domains, keys, providers, refs
from oneiric.cli.output import (
    AsJSON,
    answered,
    session_of,
    show_answer,
    show_json,
    show_table,
)

if TYPE_CHECKING:
    from oneiric.errors import JSONValue

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
    asked: dict[str, JSONValue] = {"domain": domain, "shadowed": shadowed}
    show_answer(answered(session_of(context), "list", asked), as_json=as_json)


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
    asked: dict[str, JSONValue] = {
        "ref": ref,
        "domain": domain,
        "key": key,
        "provider": provider,
        "needs": wanted,
        "assume": assume or [],
    }
    answer = answered(session_of(context), "explain", asked)
    show_answer(answer, as_json=as_json, coloured=True)


def status(context: typer.Context, *, domain: Domain = "", as_json: AsJSON = False) -> None:
    """Show how each component stands: who would serve, who does, and how swaps went."""
    answer = answered(session_of(context), "status", {"domain": domain})
    show_answer(answer, as_json=as_json)


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
