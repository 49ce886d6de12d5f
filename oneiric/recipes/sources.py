"""What steps are done by, as digests by name: another makes another result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.expressions.rewrite import OPENING
from oneiric.recipes.caching import digest_of
from oneiric.recipes.places import own

if TYPE_CHECKING:
    from oneiric.recipes.compiling import Compiled
    from oneiric.recipes.reading import Recipe


def source_of(target: str) -> str:
    """Return the digest of the file in which a scriptlet, `module:Class`, is defined."""
    file = getattr(sys.modules.get(target.partition(":")[0]), "__file__", None)
    return digest_of(Path(file)) if file else "unknown"


def script_source(recipe: Recipe, script: str) -> tuple[str, str]:
    """Return the name and the digest of a script that a recipe has run.

    Raises:
        InvalidPathError: it lies where it may not.
    """
    return f"script {script}", digest_of(own(recipe, script))


def sources_within(child: Compiled) -> Iterator[tuple[str, str]]:
    """Yield what a recipe within another is made of, and those within it; files are read.

    Raises:
        InvalidPathError: a script lies where it may not.
    """
    recipe = child.recipe
    yield f"recipe {os.path.relpath(recipe.path, recipe.folder)}", recipe.digest
    for target in child.scriptlets.values():
        yield f"source of {target}", source_of(target)
    for placed in child.placed.values():
        if (script := placed.spec.script) and OPENING not in script:
            yield script_source(recipe, script)
    for each in child.children.values():
        yield from sources_within(each)
