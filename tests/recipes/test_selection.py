"""Some of a recipe's steps are done: those asked for, if they get what they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from oneiric.errors import InvalidError
from oneiric.recipes.errors import SelectionError
from tests.recipes.conftest import Desk
from tests.recipes.runs import ran

RECIPE = """
    version: 2
    steps:
      - {name: load, module: steps, function: Log, args: {key: a.n_v1, value: 1},
         outputs: [a.n_v1]}
      - {name: twice, module: steps, function: Log, depends_on: [load],
         args: {key: b.n_v1, value: "${{ ctx['a.n_v1'] }}"}}
      - {name: other, module: steps, function: Log, args: {key: c.n_v1, value: 3}}
      - {name: shard, module: steps, function: Log, matrix: {part: [x, y]},
         args: {key: "s.${{ matrix.part }}_v1"}}
    finally:
      - {name: tidy, module: steps, function: Log, args: {key: t.n_v1}}
    """


@pytest.fixture
def recipe(desk: Desk) -> Path:
    """A recipe with a chain, a step beside it, a matrix and a final step."""
    return desk.write("r.yaml", RECIPE)


def test_only_the_steps_asked_for_are_done_and_the_final_ones(desk: Desk, recipe: Path) -> None:
    """The others are skipped, and say why; a pattern may fit one member of a matrix."""
    done = ran(recipe, only=("oth*", "shard/x"))
    assert sorted(desk.log) == ["c.n_v1", "s.x_v1", "t.n_v1"]
    assert done.run.state == "succeeded"
    assert done.statuses == {
        "load": "skipped",
        "twice": "skipped",
        "other": "ok",
        "shard/x": "ok",
        "shard/y": "skipped",
        "tidy": "ok",
    }
    assert done.whys["load"] == "it is not among the steps that were asked for"


def test_steps_may_be_skipped_final_ones_too(desk: Desk, recipe: Path) -> None:
    """What depends on a skipped step is done without it, where it needs nothing of it."""
    done = ran(recipe, skip=("shard", "tidy", "twice"))
    assert sorted(desk.log) == ["a.n_v1", "c.n_v1"]
    assert done.whys["tidy"] == "it was asked to be skipped"


def test_what_steps_depend_on_is_done_with_them_where_that_is_asked_for(
    desk: Desk, recipe: Path
) -> None:
    """The chain before the step is done, nothing else."""
    done = ran(recipe, only=("twice",), with_deps=True, skip=("tidy",))
    assert (desk.log, done.values) == (["a.n_v1", "b.n_v1"], {"a.n_v1": 1, "b.n_v1": 1})


@pytest.mark.parametrize("option", ["only", "skip", "refresh", "resume_from"])
def test_defect_recipes_14_a_name_that_no_step_has_is_an_error(
    desk: Desk, recipe: Path, option: str
) -> None:
    """The nearest name is told, nothing is done, and it is no success."""
    value = "lode" if option == "resume_from" else ("lode", "load")
    with pytest.raises(SelectionError, match=r"there is no step lode.*load") as raised:
        ran(recipe, **{option: value})
    assert (raised.value.exit_code, desk.log) == (2, [])


def test_defect_recipes_14_a_choice_that_leaves_nothing_is_an_error(
    desk: Desk, recipe: Path
) -> None:
    """An empty run is never a success."""
    with pytest.raises(SelectionError, match="no step is left"):
        ran(recipe, skip=("*",))
    assert desk.log == []


def test_a_key_that_nobody_will_make_is_an_error_that_says_who_makes_it(
    desk: Desk, recipe: Path
) -> None:
    """Before any step is done; values that are given stand in."""
    said = "twice needs the key a.n_v1, which load makes, and that is left out"
    with pytest.raises(SelectionError, match=said):
        ran(recipe, only=("twice",))
    assert desk.log == []
    done = ran(recipe, only=("twice",), context_in={"a.n_v1": 9})
    assert done.values["b.n_v1"] == 9


def test_who_makes_an_undeclared_key_is_known_from_the_last_run(desk: Desk) -> None:
    """Without one nothing is known, and the step that lacks the value fails."""
    text = RECIPE.replace("outputs: [a.n_v1]", "description: it makes a key")
    path = desk.write("r.yaml", text)
    assert ran(path, only=("twice",)).statuses["twice"] == "failed"
    ran(path)
    with pytest.raises(SelectionError, match="which load makes"):
        ran(path, only=("twice",))


def test_an_output_of_a_step_that_is_left_out_is_an_error(desk: Desk) -> None:
    """As is a key; one with a default is not needed."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {name: one, module: steps, function: Log, args: {key: a.n_v1}}
          - {name: two, module: steps, function: Log,
             args: {key: b.n_v1, value: "${{ steps.one.output.status }}"}}
          - {name: three, module: steps, function: Log,
             args: {key: c.n_v1, value: "${{ default(ctx['a.n_v1'], 7) }}"}}
        """,
    )
    with pytest.raises(SelectionError, match="two needs the output, which one makes"):
        ran(path, skip=("one",))
    assert ran(path, only=("three",)).values == {"c.n_v1": 7}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"resume": "x", "only": ("a",)}, "--resume and --only do not go together"),
        ({"resume_from": "x", "only_failed": "y"}, "--resume-from and --only-failed do not"),
        ({"with_deps": True}, "--with-deps adds to --only"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(
    recipe: Path, options: dict[str, object], said: str
) -> None:
    """Which is told in the words of the command line."""
    with pytest.raises(InvalidError, match=said):
        ran(recipe, **options)
