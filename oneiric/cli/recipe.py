"""Commands about recipes: check one, run it, look at its runs, approve what waits."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oneiric.cli.complete import runs as run_ids
from oneiric.cli.output import (
    AsJSON,
    colour,
    foreign_aside,
    session_of,
    show,
    show_answer,
    show_json,
    show_table,
    width,
)
from oneiric.cli.recipe_run import File, app
from oneiric.cli.who import Actor, user
from oneiric.documents import parse
from oneiric.recipes.compiling import PREFIX

if TYPE_CHECKING:
    from oneiric.recipes.desk import RecipeDesk
    from oneiric.runtime.runs import RunDesk

PIPED_WIDTH = 100

RunId = Annotated[
    str,
    typer.Argument(
        help="A run's id, or the beginning of one.", metavar="RUN", autocompletion=run_ids
    ),
]


class Drawn(StrEnum):
    """The languages in which a recipe's graph can be written."""

    MERMAID = "mermaid"
    DOT = "dot"


@app.callback()
def group() -> None:
    """Run recipes: ordered steps in a file, done by scriptlets, commands, requests and people."""


@app.command("validate")
def validate(
    context: typer.Context,
    recipes: Annotated[list[Path], typer.Argument(help="The recipes.", metavar="RECIPE...")],
    *,
    as_json: AsJSON = False,
) -> None:
    """Check recipes, and print everything that is wrong with each; no step is run.

    It ends with exit code 2 when something is wrong.
    """
    with foreign_aside():
        answer = _desk(context).validate(recipes)
    show_answer(answer, as_json=as_json)


@app.command("plan")
def plan(context: typer.Context, recipe: File, *, as_json: AsJSON = False) -> None:
    """Show the steps of a recipe in their order, and what each waits for; no step is run."""
    with foreign_aside():
        answer = _desk(context).plan(recipe)
    show_answer(answer, as_json=as_json)


@app.command("graph")
def graph(
    context: typer.Context,
    recipe: File,
    *,
    form: Annotated[Drawn, typer.Option("--format", help="The language.")] = Drawn.MERMAID,
    as_json: AsJSON = False,
) -> None:
    """Print the graph of a recipe, for Mermaid or Graphviz to draw."""
    with foreign_aside():
        answer = _desk(context).graph(recipe, form)
    show_answer(answer, as_json=as_json)


@app.command("list")
def list_recipes(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(help="Where to look, instead of where the configuration says."),
    ] = None,
    *,
    as_json: AsJSON = False,
) -> None:
    """List the recipes of the folders that the configuration names under `recipes.folders`."""
    with foreign_aside():
        answer = _desk(context).list(folders or ())
    show_answer(answer, as_json=as_json)


@app.command("runs")
def runs(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(help="Only runs of this recipe: its file, or that name's stem.")
    ] = "",
    *,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=10_000)] = 20,
    as_json: AsJSON = False,
) -> None:
    """List runs of recipes, the newest first."""
    name = f"{PREFIX}{Path(recipe).stem}" if recipe else ""
    answer = _runs(context).list(name=name, prefix=PREFIX, limit=limit)
    if as_json:
        show_json(answer.as_json())
        return
    rows = [
        (each.run_id, each.name.removeprefix(PREFIX), each.state, each.created_at[:19])
        for each in answer.records
    ]
    show_table(("run", "recipe", "state", "created"), rows, empty="no recipe was run")
    if answer.has_more:
        show(f"there are more than {limit}; --limit shows them")


@app.command("show")
def show_one(context: typer.Context, run_id: RunId, *, as_json: AsJSON = False) -> None:
    """Show a run of a recipe: its steps on an axis of time, and why each stands as it does.

    It ends with exit code 1 for a run that failed, and with 4 for one that waits for an
    approval. `oneiric run show` writes it as HTML, Markdown or JUnit.
    """
    from oneiric.cli.run import EXIT_CODES
    from oneiric.reports.document import document
    from oneiric.reports.timeline import timeline

    report = _runs(context).show(run_id, prefix=PREFIX)
    if as_json:
        show_json(document(report))
    else:
        columns = width() if sys.stdout.isatty() else PIPED_WIDTH
        show(timeline(report, width=columns, colour=colour()), styled=True)
    if code := EXIT_CODES.get(report.state, 0):
        raise typer.Exit(code)


@app.command("approve")
def approve(
    context: typer.Context,
    run_id: RunId,
    step: Annotated[str, typer.Argument(help="The step that waits.")],
    *,
    deny: Annotated[bool, typer.Option("--deny", help="Refuse it.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at the run.")] = "",
    actor: Actor = "",
    as_json: AsJSON = False,
) -> None:
    """Approve a step of a run that waits for it, or deny it."""
    answer = _desk(context).approve(run_id, step, denied=deny, reason=reason, actor=actor or user())
    show_answer(answer, as_json=as_json)


@app.command("step")
def step(
    context: typer.Context,
    target: Annotated[
        str, typer.Argument(help="The scriptlet, as module:Class.", metavar="MODULE:CLASS")
    ],
    *,
    params: Annotated[str, typer.Option(help="What it is given, as JSON.", metavar="JSON")] = "{}",
    as_json: AsJSON = False,
) -> None:
    """Run one scriptlet on its own, with an empty context, and print its line.

    It ends with exit code 1 if the scriptlet failed.
    """
    given = parse(params.encode(), "json", source="--params")
    desk = _desk(context)
    with foreign_aside():
        answer = desk.step(target, given)
    show_answer(answer, as_json=as_json)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of recipes, for editors that complete and check as one writes."""
    from oneiric.recipes.schema import recipe_schema

    show_json(recipe_schema())


def _desk(context: typer.Context) -> RecipeDesk:
    from oneiric.recipes.desk import RecipeDesk

    return RecipeDesk(session_of(context).operator.host)


def _runs(context: typer.Context) -> RunDesk:
    from oneiric.runtime.runs import RunDesk

    return RunDesk(session_of(context).operator.orchestrator)
