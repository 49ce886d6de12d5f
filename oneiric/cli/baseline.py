"""Commands about baselines: what production was like when it was good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.desks import desk_of
from oneiric.cli.output import AsJSON, foreign_aside, show_answer

if TYPE_CHECKING:
    from oneiric.errors import JSONValue

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Record what production is like."
)

Name = Annotated[str, typer.Argument(help="The baseline.", metavar="NAME")]
Routes = Annotated[
    list[str] | None, typer.Option("--route", "-r", help="A route besides those of the contract.")
]
Shown = Annotated[
    list[str] | None,
    typer.Option("--shows", help="A path that shows the configuration as JSON.", metavar="PATH"),
]


@app.command("record")
def record(
    context: typer.Context,
    name: Name = "default",
    *,
    route: Routes = None,
    shows: Shown = None,
    as_json: AsJSON = False,
) -> None:
    """Record what production is like now, in place of what was recorded under that name."""
    desk = desk_of(context)
    with foreign_aside():
        answer = desk.record(name, _asked(route, shows))
    show_answer(answer, as_json=as_json)


@app.command("show")
def show(context: typer.Context, name: Name = "default", *, as_json: AsJSON = False) -> None:
    """Show what was recorded."""
    show_answer(desk_of(context).baseline(name), as_json=as_json)


@app.command("accept")
def accept(
    context: typer.Context,
    name: Name = "default",
    *,
    route: Routes = None,
    shows: Shown = None,
    as_json: AsJSON = False,
) -> None:
    """Note every difference that there is now as one that is as it should be."""
    desk = desk_of(context)
    with foreign_aside():
        answer = desk.accept(name, _asked(route, shows))
    show_answer(answer, as_json=as_json)


def _asked(route: list[str] | None, shows: list[str] | None) -> dict[str, JSONValue]:
    given: dict[str, JSONValue] = {"routes": route, "shown": shows}
    return {name: value for name, value in given.items() if value}
