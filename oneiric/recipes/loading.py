"""Import scriptlets: under which names, and what they must be."""

from __future__ import annotations

import sys
from pathlib import Path

from oneiric.errors import InvalidError
from oneiric.recipes.scriptlet import BaseScriptlet
from oneiric.targets import load


def make_importable(folder: Path) -> None:
    """Let modules under *folder* be imported, after everything that is installed."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def load_scriptlet(target: str) -> type[BaseScriptlet]:
    """Import `module:Class` and return the class.

    Raises:
        ForbiddenFactoryError: the module does not define it.
        InvalidError: it is no scriptlet.
        ImportError: the module cannot be imported.
    """
    found = load(target, (target.partition(":")[0],))
    if not isinstance(found, type) or not issubclass(found, BaseScriptlet):
        hint = "a scriptlet is a class derived from oneiric.recipes.BaseScriptlet"
        raise InvalidError(f"{target} is no scriptlet", hint=hint)
    return found
