"""What a run is given: texts or values, held to what the recipe declares."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from oneiric.domains.host import host
from oneiric.errors import InvalidError
from oneiric.recipes import RecipeError, run_recipe
from oneiric.recipes.errors import InputError
from oneiric.recipes.inputs import Inputs, checked_inputs, params
from oneiric.recipes.reading import read_recipe
from oneiric.recipes.running import RecipeRunner
from tests.recipes.conftest import Desk
from tests.recipes.doors import wrong

STEPS = "\nsteps: [{name: a, type: shell, run: [ls]}]\n"


def inputs(desk: Desk, declared: str, given: Mapping[str, object]) -> Inputs:
    """Return the inputs of a recipe that declares them so, on one line."""
    path = desk.write("r.yaml", f"inputs: {declared}{STEPS}")
    return checked_inputs(read_recipe(path), given)


def problems(desk: Desk, declared: str, given: Mapping[str, object]) -> list[str]:
    """Return what is wrong with what was given."""
    with pytest.raises(InputError) as raised:
        inputs(desk, declared, given)
    assert raised.value.exit_code == 2
    return [f"{each.key}: {each.what}" for each in raised.value.problems]


@pytest.mark.parametrize(
    ("type_", "given", "value"),
    [
        ("str", "3", "3"),
        ("int", "-3", -3),
        ("int", 3, 3),
        ("float", "1e3", 1000.0),
        ("float", 3, 3.0),
        ("bool", "Yes", True),
        ("bool", "off", False),
        ("path", Path("a/b"), "a/b"),
        ("list", "[1, {}]", [1, {}]),
        ("list", ["a"], ["a"]),
        ("dict", '{"a": null}', {"a": None}),
    ],
)
def test_texts_and_values_become_what_is_declared(
    desk: Desk, type_: str, given: object, value: object
) -> None:
    """As whoever runs it wrote them on a command line, or has them in a program."""
    found = inputs(desk, f"{{x: {{type: {type_}}}}}", {"x": given}).open["x"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        ("str", 3),
        ("int", "3.0"),
        ("int", True),
        ("int", "9" * 16),
        ("int", 2**60),
        ("float", "nan"),
        ("float", float("inf")),
        ("bool", "maybe"),
        ("bool", 1),
        ("list", "{}"),
        ("list", "[1"),
        ("dict", "[]"),
        ("dict", {1: 2}),
        ("list", [object()]),
        ("path", None),
    ],
)
def test_values_of_other_types_are_refused(desk: Desk, type_: str, given: object) -> None:
    """Without being quoted."""
    (told,) = problems(desk, f"{{x: {{type: {type_}}}}}", {"x": given})
    assert told.startswith("inputs.x: it must be ")


def test_everything_wrong_with_inputs_is_told_at_once(desk: Desk) -> None:
    """Unknown ones, missing ones, and those out of bounds."""
    (desk.folder / "there").touch()
    declared = (
        "{src: {type: path, must_exist: true}, limit: {type: int, min: 1, max: 9},"
        " mode: {choices: [fast, slow]}, id: {pattern: '[a-z]+'}, needed: {},"
        " asked: {required: true, default: x}, file: {type: path, must_exist: true, default: no}}"
    )
    given = {"src": "gone", "limit": "0", "mode": "fats", "id": "A1", "limt": 3}
    assert problems(desk, declared, given) == [
        "inputs: there is no input limt; did you mean limit?",
        "inputs.src: there is no such file: gone",
        "inputs.limit: it must be 1 at least",
        "inputs.mode: it must be one of fast, slow",
        "inputs.id: it does not fit the pattern [a-z]+",
        "inputs.needed: it is required",
        "inputs.asked: it is required",
        "inputs.file: there is no such file: no",
    ]


def test_defaults_fill_what_is_not_given(desk: Desk) -> None:
    """What is not required and has none is null."""
    declared = "{a: {default: x}, b: {type: int, required: false}, c: {type: int, default: 3}}"
    assert inputs(desk, declared, {"c": 4}).open == {"a": "x", "b": None, "c": 4}


def test_no_problem_quotes_a_secret_input(desk: Desk) -> None:
    """Neither its value nor what it may be; and no text shows it."""
    declared = (
        "{a: {secret: true, choices: [hush, quiet]}, b: {secret: true, pattern: 'h.*'},"
        " c: {secret: true, type: path, must_exist: true}}"
    )
    told = problems(desk, declared, {"a": "loud", "b": "loud", "c": "loud"})
    assert not any(word in line for line in told for word in ("loud", "hush", "h.*"))
    found = inputs(desk, "{a: {secret: true}, b: {}}", {"a": "hush", "b": "x"})
    assert (found.open, found.secret) == ({"b": "x"}, {"a": "hush"})
    assert "hush" not in repr(found)


def test_what_is_declared_must_be_possible(desk: Desk) -> None:
    """Defaults and choices are held to their own declaration."""
    path = desk.write(
        "r.yaml",
        """
        inputs:
          a: {type: int, default: x}
          b: {type: int, min: 3, max: 1}
          c: {min: 3}
          d: {type: int, choices: [1, two], default: 3}
          e: {pattern: "("}
          f: {type: bool, must_exist: true}
          g: {pattern: "a+", default: b}
        steps:
          - {name: a, type: shell, run: [ls]}
        """,
    )
    assert wrong(path) == [
        ("inputs.a.default", 2, "it must be a whole number"),
        ("inputs.b.min", 3, "it is above max"),
        ("inputs.c", 4, "min and max are for numbers"),
        ("inputs.d.choices.1", 5, "it must be a whole number"),
        ("inputs.d.default", 5, "it must be one of 1, two"),
        ("inputs.e.pattern", 6, "it is no regular expression"),
        ("inputs.f.must_exist", 7, "it is for paths"),
        ("inputs.g.default", 8, "it does not fit the pattern a+"),
    ]


def test_params_are_names_and_values(desk: Desk) -> None:
    """A text without an equals sign is an error, and is not quoted, for it may be a secret."""
    assert params(["a=1", "b= x =y", "a=2"]) == {"a": "2", "b": " x =y"}
    for text in ("hush", "=hush"):
        with pytest.raises(InvalidError) as raised:
            params([text])
        assert "hush" not in str(raised.value)


def test_a_run_is_held_to_its_inputs(desk: Desk) -> None:
    """No step is run on wrong ones; texts are given to steps as what they stand for."""
    path = desk.write(
        "r.yaml",
        """
        inputs: {n: {type: int, max: 9}}
        steps:
          - {name: a, module: steps, function: Write,
             args: {key: a.n_v1, value: "${{ inputs.n }}"}}
        """,
    )
    assert run_recipe(path, {"n": "3"}, checkpoints=False).get("a.n_v1") == 3
    with pytest.raises(RecipeError, match="9 at most"):
        run_recipe(path, {"n": "10"}, checkpoints=False)


def test_no_journal_holds_a_secret_input(desk: Desk) -> None:
    """Neither the input of the run nor its plan, nor that of a step that names it."""
    path = desk.write(
        "r.yaml",
        """
        inputs: {token: {secret: true, default: none}, name: {default: x}}
        steps:
          - {name: a, module: steps, function: Write,
             args: {key: a.n_v1, value: "it is ${{ inputs.token }}", all: "${{ inputs }}"}}
        """,
    )

    async def events() -> str:
        async with host(checkpoints=False) as on:
            runner = RecipeRunner(on)
            run = await runner.run(runner.compile(path), {"token": "hush-hush"})
            return repr([event.data for event in await on.journal.read(run.run_id)])

    told = asyncio.run(events())
    assert "hush" not in told
    assert "'name': 'x'" in told
