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
    list[str] | None,
    typer.Option("--route", "-r", help="A further route; accept looks at those named alone."),
]
Shown = Annotated[
    list[str] | None,
    typer.Option("--shows", help="A path that shows the configuration as JSON.", metavar="PATH"),
]


@app.command(
    "accept", help="Note every difference that there is now as one that is as it should be."
)
@app.command(
    "record",
    help="Record what production is like now, in place of what was recorded under that name.",
)
def keep(
    context: typer.Context,
    name: Name = "default",
    *,
    route: Routes = None,
    shows: Shown = None,
    as_json: AsJSON = False,
) -> None:
    """Look at production, and keep what is found: all of it, or how it differs."""
    desk = desk_of(context)
    noted = desk.accept if context.info_name == "accept" else desk.record
    given: dict[str, JSONValue] = {"routes": route, "shown": shows}
    with foreign_aside():
        answer = noted(name, {option: value for option, value in given.items() if value})
    show_answer(answer, as_json=as_json)


@app.command("show")
def show(context: typer.Context, name: Name = "default", *, as_json: AsJSON = False) -> None:
    """Show what was recorded."""
    show_answer(desk_of(context).baseline(name), as_json=as_json)
