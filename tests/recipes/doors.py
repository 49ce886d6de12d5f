"""What a recipe is made to, or what is told of it, without a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from oneiric.recipes.allowed import Allowed
from oneiric.recipes.compiling import Compiled, compile_recipe
from oneiric.recipes.errors import RecipeError, RecipeRefusedError
from oneiric.recipes.loading import make_importable
from oneiric.recipes.reading import read_recipe
from oneiric.recipes.settings import RecipeSettings

Told = list[tuple[str, int, str]]


def compiled(
    path: Path,
    settings: RecipeSettings | None = None,
    *,
    patterns: Sequence[str] = (),
    max_parallel: int = 0,
) -> Compiled:
    """Return the plan of a recipe on a machine with these settings."""
    recipe = read_recipe(path)
    make_importable(recipe.folder)
    allowed = Allowed(settings or RecipeSettings(), recipe.folder, patterns=patterns)
    return compile_recipe(recipe, allowed=allowed, max_parallel=max_parallel)


def wrong(path: Path, settings: RecipeSettings | None = None) -> Told:
    """Return each problem of a wrong recipe: its key, its line, and what."""
    with pytest.raises(RecipeError) as raised:
        compiled(path, settings)
    return _told(path, raised.value)


def refused(
    path: Path, settings: RecipeSettings | None = None, *, patterns: Sequence[str] = ()
) -> Told:
    """Return what a recipe asks for that is not allowed, with which nothing else is wrong."""
    with pytest.raises(RecipeRefusedError) as raised:
        compiled(path, settings, patterns=patterns)
    assert raised.value.exit_code == 3
    return _told(path, raised.value)


def _told(path: Path, error: RecipeError | RecipeRefusedError) -> Told:
    found = []
    for problem in error.problems:
        file, _, line = problem.origin.rpartition(":")
        assert file == str(path)
        found.append((problem.key, int(line), problem.what))
    return found
