"""Recipes within recipes: found, and checked, before any step is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from oneiric.errors import InvalidError, OneiricError, Problem
from oneiric.files import confined
from oneiric.recipes.compiling import Compiled
from oneiric.recipes.errors import RecipeError

MOST_DEEP = 10
"""How many recipes may run each other, one within the other."""


class Compile(Protocol):
    """Read and compile a recipe that the last of *above* runs."""

    def __call__(self, path: Path, /, *, above: tuple[Path, ...]) -> Compiled:
        """Return what was compiled."""


def with_children(found: Compiled, above: tuple[Path, ...], compile_: Compile) -> Compiled:
    """Return *found* with the recipes that its steps run; the last of *above* is its own.

    Raises:
        RecipeError: every problem with them, each in its own file.
    """
    children: dict[str, Compiled] = {}
    known: dict[str, Compiled] = {}
    problems: list[Problem] = []
    for name, placed in found.placed.items():
        text = placed.spec.recipe
        if placed.spec.type != "recipe":
            continue
        try:
            if text not in known:
                known[text] = compile_(_path(found, text, above), above=above)
            children[name] = known[text]
        except RecipeError as error:
            problems += [each for each in error.problems if each not in problems]
        except OneiricError as error:
            problems.append(found.recipe.problem(f"{placed.at}.recipe", error.message))
    if problems:
        raise RecipeError(str(found.recipe.path), problems)
    return replace(found, children=children)


def _path(found: Compiled, text: str, above: Sequence[Path]) -> Path:
    if "${{" in text:
        raise InvalidError("which recipe is run must be known before: no expression stands here")
    path = confined(found.recipe.folder, text)
    if path in above:
        ring = " -> ".join(each.name for each in (*above[above.index(path) :], path))
        raise InvalidError(f"recipes run each other: {ring}")
    if len(above) >= MOST_DEEP:
        raise InvalidError(f"more than {MOST_DEEP} recipes, one within the other")
    return path
