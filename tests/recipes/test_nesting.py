"""What is wrong with recipes within recipes, and what they may not: told before any step is run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from oneiric.recipes import RecipeError, run_recipe
from oneiric.recipes.errors import RecipeRefusedError
from oneiric.recipes.nesting import MOST_WITHIN
from tests.recipes.conftest import Desk

FIRST = "  - {name: t, type: shell, run: [touch, ran]}\n"


def told(desk: Desk, text: str, kind: type[Exception] = RecipeError) -> list[tuple[str, str]]:
    """Return what a recipe is refused for: each place and what, and see that nothing was run."""
    path = desk.write("r.yaml", text)
    with pytest.raises(kind) as raised:
        run_recipe(path, checkpoints=False)
    assert type(raised.value) is kind
    assert not (desk.folder / "ran").exists()
    problems = raised.value.problems  # type: ignore[attr-defined]
    return [(Path(each.origin).name, each.what) for each in problems]


def test_what_is_wrong_within_is_told_together_with_what_is_wrong_outside(desk: Desk) -> None:
    """At every depth, and what is not allowed along with what is wrong."""
    desk.write("inner.yaml", "version: 2\nsteps:\n  - {name: a, type: shell}\n")
    desk.write(
        "child.yaml",
        "steps:\n"
        "  - {name: a, module: subprocess, function: Popen}\n"
        "  - {name: b, type: recipe, recipe: inner.yaml}\n",
    )
    found = told(
        desk,
        f"version: 2\nsteps:\n{FIRST}"
        "  - {name: b, type: recipe, recipe: child.yaml}\n"
        "  - {name: c, type: http, depends_on: [d]}\n",
    )
    assert found == [
        ("r.yaml:5", "there is no step d"),
        ("r.yaml:5", "a http step needs url"),
        ("child.yaml:2", "the module subprocess is not allowed here"),
        ("inner.yaml:3", "a shell step needs run or script"),
    ]


def test_what_is_not_allowed_within_is_refused_as_what_is_not_outside(desk: Desk) -> None:
    """With exit code 3, where nothing is wrong."""
    desk.write("child.yaml", "steps:\n  - {name: a, module: subprocess, function: Popen}\n")
    text = (
        f"steps:\n{FIRST}"
        "  - {name: b, type: recipe, recipe: child.yaml}\n"
        "  - {name: c, module: os, function: X}\n"
    )
    assert told(desk, text, RecipeRefusedError) == [
        ("r.yaml:4", "the module os is not allowed here"),
        ("child.yaml:2", "the module subprocess is not allowed here"),
    ]


def test_a_recipe_narrows_those_within_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules, paths and the shell: what it does not allow itself it cannot have done for it."""
    monkeypatch.setenv("ONEIRIC_RECIPES__ALLOW_SHELL", "true")
    desk.write(
        "child.yaml",
        "allow: {shell: true}\n"
        "steps:\n"
        "  - {name: a, type: shell, run: echo}\n"
        "  - {name: b, module: steps, function: Write}\n",
    )
    desk.write("paths.yaml", "steps:\n  - {name: a, type: shell, run: ['true'], cwd: other}\n")
    text = (
        f"allow: {{modules: [x.*]}}\nsteps:\n{FIRST}  - {{name: c, type: recipe, recipe: FILE}}\n"
    )
    assert told(desk, text.replace("FILE", "child.yaml"), RecipeRefusedError) == [
        ("child.yaml:3", "text for a shell needs allow.shell in the recipe that runs this one too"),
        ("child.yaml:4", "steps is not among the allow.modules of a recipe that runs this one"),
    ]
    text = text.replace("modules: [x.*]", "paths: [data]")
    assert told(desk, text.replace("FILE", "paths.yaml")) == [
        ("paths.yaml:2", "other: it is in none of data"),
    ]


def test_paths_within_that_show_in_a_run_are_narrowed_too(desk: Desk) -> None:
    """What an expression says must lie where each recipe above allows it."""
    desk.write("data/x", "")
    desk.write("other/x", "")
    desk.write(
        "child.yaml",
        """
        inputs: {where: {}}
        steps: [{name: a, type: shell, run: ['true'], cwd: "${{ inputs.where }}"}]
        """,
    )
    text = "allow: {paths: [data]}\nsteps: [{name: s, type: recipe, recipe: child.yaml, inputs: I}]"
    run_recipe(desk.write("r.yaml", text.replace("I}", "{where: data}}")), checkpoints=False)
    with pytest.raises(Exception, match=r"other is under none of allow\.paths"):
        run_recipe(desk.write("r.yaml", text.replace("I}", "{where: other}}")), checkpoints=False)


def test_inputs_that_a_recipe_within_cannot_be_given_are_told_before(desk: Desk) -> None:
    """Unknown, missing and wrong ones, with the line of the step; not what an expression says."""
    desk.write(
        "child.yaml",
        """
        inputs: {n: {type: int, max: 9}, src: {type: path, must_exist: true}}
        steps: [{name: a, type: shell, run: ['true']}]
        """,
    )
    text = f"steps:\n{FIRST}  - {{name: s, type: recipe, recipe: child.yaml, inputs: GIVEN}}\n"
    assert told(desk, text.replace("GIVEN", "{n: 10, scr: x}")) == [
        ("r.yaml:3", "it must be 9 at most"),
        ("r.yaml:3", "child.yaml has no input scr; did you mean src?"),
        ("r.yaml:3", "child.yaml requires src"),
    ]
    given = '{n: "${{ 1 }}", src: ran}'  # a step before it makes the file
    run_recipe(desk.write("r.yaml", text.replace("GIVEN", given)), checkpoints=False)


def test_a_recipe_within_may_not_be_of_a_group_whose_turn_the_run_has(desk: Desk) -> None:
    """It would wait for its own parent, however far that is above."""
    desk.write("inner.yaml", "concurrency: {group: g}\nsteps: [{name: a, type: shell, run: [ls]}]")
    desk.write("child.yaml", "steps:\n  - {name: a, type: recipe, recipe: inner.yaml}\n")
    text = (
        f"concurrency: {{group: g}}\nsteps:\n{FIRST}  - {{name: s, type: recipe, recipe: FILE}}\n"
    )
    what = "it is of the group g, whose turn this run has: it would wait for ever"
    assert told(desk, text.replace("FILE", "inner.yaml")) == [("r.yaml:4", what)]
    assert told(desk, text.replace("FILE", "child.yaml")) == [("child.yaml:2", what)]


def test_recipes_that_unfold_without_end_are_refused_in_time(desk: Desk) -> None:
    """Ten files that each run two of the next would be thousands; they are counted."""
    for number in range(9):
        for name in "ab":
            desk.write(
                f"{name}{number}.yaml",
                f"steps:\n  - {{name: x, type: recipe, recipe: a{number + 1}.yaml}}\n"
                f"  - {{name: y, type: recipe, recipe: b{number + 1}.yaml}}\n"
                f"  - {{name: z, type: recipe, recipe: b{number + 1}.yaml}}\n",
            )
    for name in "ab":
        desk.write(f"{name}9.yaml", "steps: [{name: a, type: shell, run: ['true']}]")
    begun = time.monotonic()
    found = told(desk, f"steps:\n{FIRST}  - {{name: s, type: recipe, recipe: a0.yaml}}\n")
    assert f"more than {MOST_WITHIN} recipes within one" in {what for _, what in found}
    assert len(found) < 50
    assert time.monotonic() - begun < 60
