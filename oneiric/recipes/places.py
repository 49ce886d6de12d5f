"""The files that a step may name: below the folder of its run, and where the recipe allows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.errors import InvalidPathError, RefusedError
from oneiric.recipes.confining import inside

if TYPE_CHECKING:
    from oneiric.recipes.reading import Recipe


def within(recipe: Recipe, name: str) -> Path:
    """Return the real path of what a step names.

    Raises:
        InvalidPathError: it lies outside of the folder of the run, by its links too.
        RefusedError: it is under none of the recipe's `allow.paths`.
    """
    found = _below(recipe.folder, name)
    paths = recipe.spec.allow.paths
    if paths is not None and not any(
        found.is_relative_to(_below(recipe.folder, each)) for each in paths
    ):
        raise RefusedError(f"the path {name} is under none of allow.paths")
    return found


def _below(folder: Path, name: str) -> Path:
    path = Path(name)
    if path.is_absolute():
        if not path.is_relative_to(folder):
            raise InvalidPathError(name, f"it lies outside of {folder}")
        path = path.relative_to(folder)
    return inside(folder, str(path))
