"""Recipes within recipes: found, and checked, before any step is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from oneiric.errors import InvalidError, JSONValue, OneiricError, Problem, unknown
from oneiric.expressions import ExpressionError, expressions_in
from oneiric.expressions.rewrite import OPENING
from oneiric.files import confined
from oneiric.recipes.checks import steps_of
from oneiric.recipes.compiling import Compiled
from oneiric.recipes.errors import RecipeError, RecipeRefusedError
from oneiric.recipes.inputs import is_required, wrong_with
from oneiric.recipes.reading import Recipe, read_recipe
from oneiric.recipes.recipe import StepSpec
from oneiric.recipes.secrets import is_secret

MOST_DEEP = 10
"""How many recipes may run each other, one within the other."""
MOST_WITHIN = 500
"""How many recipes one may run in all, those within others counted for each that runs them."""


class Compile(Protocol):
    """Compile one recipe, without those that its steps run."""

    def __call__(self, recipe: Recipe, /) -> Compiled:
        """Return what was compiled."""


def compiled_whole(recipe: Recipe, compile_: Compile) -> Compiled:
    """Return a recipe compiled, with the recipes that its steps run.

    Raises:
        RecipeError: every problem with it and with them, each in its own file.
        RecipeRefusedError: nothing is wrong, but it or they ask for what is not allowed.
    """
    nesting = _Nesting(compile_)
    found = nesting.compiled(recipe, (recipe.path.resolve(),), ())
    if nesting.problems:
        kind = RecipeError if nesting.is_wrong else RecipeRefusedError
        raise kind(str(recipe.path), list(nesting.problems.values()))
    assert found is not None
    return found


class _Nesting:
    """One pass over a recipe and those within it, which notes all that is wrong and goes on."""

    def __init__(self, compile_: Compile) -> None:
        self.compile = compile_
        self.problems: dict[tuple[str, str, str], Problem] = {}
        self.is_wrong = False
        self.count = 0

    def compiled(
        self, recipe: Recipe, above: tuple[Path, ...], groups: tuple[str, ...]
    ) -> Compiled | None:
        """Return a recipe with its children, as far as nothing is wrong with it and with them.

        The last of *above* is its own path; *groups* are those whose turn the recipes above have.
        """
        found = self._alone(recipe)
        groups = (*groups, recipe.spec.concurrency.group)
        known: dict[str, Compiled | None] = {}
        for at, step in steps_of(recipe.spec):
            if step.type != "recipe" or not step.recipe:
                continue
            if step.recipe not in known:
                known[step.recipe] = self._child(recipe, at, step, above, groups)
            if child := known[step.recipe]:
                for key, what in _misgiven(step, child.recipe, recipe):
                    self._note([recipe.problem(f"{at}.{key}", what)])
        if found is None:
            return None
        texts = {name: each.spec.recipe for name, each in found.placed.items()}
        children = {name: child for name, text in texts.items() if (child := known.get(text))}
        return replace(found, children=children)

    def _alone(self, recipe: Recipe) -> Compiled | None:
        try:
            return self.compile(recipe)
        except RecipeError as error:
            self._note(error.problems)
        except RecipeRefusedError as error:
            self._note(error.problems, is_wrong=False)
        return None

    def _child(
        self,
        recipe: Recipe,
        at: str,
        step: StepSpec,
        above: tuple[Path, ...],
        groups: tuple[str, ...],
    ) -> Compiled | None:
        try:
            self.count += 1
            if self.count > MOST_WITHIN:
                raise InvalidError(f"more than {MOST_WITHIN} recipes within one")
            path = _path(recipe, step.recipe, above)
            child = read_recipe(path, folder=recipe.folder)
        except RecipeError as error:
            self._note(error.problems)
            return None
        except OneiricError as error:
            self._note([recipe.problem(f"{at}.recipe", error.message)])
            return None
        if (group := child.spec.concurrency.group) and group in groups:
            what = f"it is of the group {group}, whose turn this run has: it would wait for ever"
            self._note([recipe.problem(f"{at}.recipe", what)])
        return self.compiled(replace(child, above=recipe.allows), (*above, path), groups)

    def _note(self, problems: Sequence[Problem], *, is_wrong: bool = True) -> None:
        self.problems |= {(each.origin, each.key, each.what): each for each in problems}
        self.is_wrong = self.is_wrong or is_wrong


def _path(recipe: Recipe, text: str, above: Sequence[Path]) -> Path:
    if OPENING in text:
        raise InvalidError("which recipe is run must be known before: no expression stands here")
    path = confined(recipe.folder, text)
    if path in above:
        ring = " -> ".join(each.name for each in (*above[above.index(path) :], path))
        raise InvalidError(f"recipes run each other: {ring}")
    if len(above) >= MOST_DEEP:
        raise InvalidError(f"more than {MOST_DEEP} recipes, one within the other")
    return path


def _misgiven(step: StepSpec, child: Recipe, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the inputs that a step gives, as far as it is known before."""
    declared = child.spec.inputs
    for name, value in step.inputs.items():
        if name not in declared:
            yield "inputs", f"{child.path.name} has no input {unknown(name, declared)}"
        elif OPENING not in str(value):
            for why in wrong_with(declared[name], value):
                yield f"inputs.{name}", why
        elif not declared[name].secret and _names_secret(value, recipe):
            what = (
                f"{child.path.name} does not say that {name} is secret: its journal would keep it"
            )
            yield f"inputs.{name}", what
    for name, spec in declared.items():
        if name not in step.inputs and is_required(spec):
            yield "inputs", f"{child.path.name} requires {name}"


def _names_secret(value: JSONValue, recipe: Recipe) -> bool:
    """Tell whether a value that a recipe gives names a secret of it, however deep."""
    if isinstance(value, Mapping):
        return any(_names_secret(each, recipe) for each in value.values())
    if isinstance(value, list):
        return any(_names_secret(each, recipe) for each in value)
    secret = {f"inputs.{name}" for name, each in recipe.spec.inputs.items() if each.secret}
    known = [*recipe.spec.secrets, *secret]
    try:
        parts = list(expressions_in(value)) if isinstance(value, str) else []
    except ExpressionError:
        return False
    return any(is_secret(part, known) for part in parts)
