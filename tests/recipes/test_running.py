"""Recipes run as the plans that they are compiled to."""

from __future__ import annotations

import pytest

from oneiric.recipes import RecipeError, RecipeFailedError, run_recipe
from tests.recipes.conftest import Desk


def test_a_recipe_returns_what_its_steps_wrote_and_who_did(desk: Desk) -> None:
    """The context has values, and a history that can be read and called."""
    path = desk.write(
        "r.yaml",
        """
        inputs:
          n: {type: int, default: 3}
        steps:
          - {idx: 2, name: second, module: steps, function: Write,
             args: {key: b.copy_v1, value: "${{ ctx['a.n_v1'] }}"}}
          - {idx: 1, name: first, module: steps, function: Write,
             args: {key: a.n_v1, value: "${{ inputs.n }}"}}
        """,
    )
    context = run_recipe(path, {"n": 3}, checkpoints=False)
    assert context.to_dict() == {"a.n_v1": 3, "b.copy_v1": 3}
    said = [(entry.key, entry.who, entry.step) for entry in context.history()]
    assert said == [("a.n_v1", "write", "first"), ("b.copy_v1", "write", "second")]
    assert list(context.history) == list(context.history())


def test_what_a_failed_step_wrote_is_not_merged(desk: Desk) -> None:
    """The run fails with the reason that the step gave, and what comes after is not begun."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {idx: 1, name: fail, module: steps, function: Fail}
          - {idx: 2, name: later, module: steps, function: Write, args: {key: a.n_v1}}
        """,
    )
    with pytest.raises(RecipeFailedError, match="fail: no luck") as raised:
        run_recipe(path, checkpoints=False)
    assert raised.value.run.context.values == {}


def test_defect_recipes_3_success_is_enforced(desk: Desk) -> None:
    """A step that wrote another key than it had to has failed, whatever it printed."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - name: write
            module: steps
            function: Write
            args: {key: a.n_v1}
            success: {ctx_has_keys: [other.key_v1]}
        """,
    )
    with pytest.raises(RecipeFailedError, match=r"the context has no other\.key_v1"):
        run_recipe(path, checkpoints=False)


def test_all_that_is_wrong_is_told_at_once_with_its_line(desk: Desk) -> None:
    """No step is run."""
    path = desk.write(
        "r.yaml",
        """
        version: 2
        steps:
          - {name: a, module: steps, function: Write, retires: 3}
          - {name: b, type: shell, run: [echo], module: steps, timeout: soon}
        """,
    )
    with pytest.raises(RecipeError) as raised:
        run_recipe(path, checkpoints=False)
    assert [(problem.key, problem.origin) for problem in raised.value.problems] == [
        ("steps.0.retires", f"{path}:3"),
        ("steps.1.timeout", f"{path}:4"),
    ]
