"""Import scriptlets: under which names, and what they must be."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from pathlib import Path

from oneiric.core.guard import attempt_within
from oneiric.errors import ForbiddenFactoryError, InvalidError, unknown
from oneiric.recipes.scriptlet import BaseScriptlet
from oneiric.recipes.stdout import caught, parted
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


def scriptlet_problem(target: str, limit: float) -> str:
    """Import `module:Class`, in *limit* seconds, and return why it is no scriptlet, if it is none.

    What the module prints is no part of any answer.
    """
    module, _, name = target.partition(":")
    with parted(), caught():
        outcome = attempt_within(partial(load_scriptlet, target), limit)
    error, found = outcome.error, outcome.value
    if isinstance(found, type):
        parts = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        return f"{name} has no {parts} of its own" if inspect.isabstract(found) else ""
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return f"there is no module {module}"
    if isinstance(error, ForbiddenFactoryError):
        known = vars(sys.modules[module]) if module in sys.modules else {}
        if name not in known:
            return f"{module} has no class {unknown(name, filter(_is_public, known))}"
        return f"{module} has no class {name} of its own"
    if isinstance(error, InvalidError):
        return f"{name} is no scriptlet: it is not derived from oneiric.recipes.BaseScriptlet"
    return f"{module} cannot be imported: {outcome.reason}"


def _is_public(name: str) -> bool:
    return not name.startswith("_")
