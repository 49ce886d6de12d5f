"""The files that a step names: below the folder of its run, and where the recipe allows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.errors import InvalidPathError, RefusedError
from oneiric.recipes.confining import inside

if TYPE_CHECKING:
    from oneiric.recipes.reading import Recipe


def within(recipe: Recipe, name: str) -> Path:
    """Return the real path of what a step reads or writes.

    Raises:
        InvalidPathError: it lies outside of the folder of the run, by its links too.
        RefusedError: it is under none of the `allow.paths` of the recipe, or of one above it.
    """
    found = own(recipe, name)
    for allow in recipe.allows:
        if allow.paths is not None and not any(
            found.is_relative_to(own(recipe, each)) for each in allow.paths
        ):
            raise RefusedError(f"the path {name} is under none of allow.paths")
    return found


def own(recipe: Recipe, name: str) -> Path:
    """Return the real path of a file of the recipe itself: a script, or a schema.

    Raises:
        InvalidPathError: it lies outside of the folder of the run, by its links too.
    """
    path = Path(name)
    if path.is_absolute():
        if not path.is_relative_to(recipe.folder):
            raise InvalidPathError(name, f"it lies outside of {recipe.folder}")
        path = path.relative_to(recipe.folder)
    return inside(recipe.folder, str(path))
