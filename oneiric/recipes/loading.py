"""Import scriptlets: under which names, and what they must be."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from importlib import invalidate_caches
from pathlib import Path

from oneiric.core.guard import attempt_within
from oneiric.errors import ForbiddenFactoryError, InvalidError, unknown
from oneiric.recipes.modules import INSTALLED
from oneiric.recipes.scriptlet import BaseScriptlet
from oneiric.recipes.stdout import caught, parted
from oneiric.targets import load


class _RecipePlace(str):
    """An entry of `sys.path` that stands there because recipes were run in that folder."""

    __slots__ = ()


def make_importable(folder: Path) -> None:
    """Let modules under *folder* be imported, after everything that is installed.

    Folders in which recipes were run before come after it. What was imported from there is
    forgotten where *folder* has something of the same name, so that each gets its own.
    """
    here = str(folder)
    earlier = [each for each in sys.path if isinstance(each, _RecipePlace) and each != here]
    if here not in sys.path:
        first = sys.path.index(earlier[0]) if earlier else len(sys.path)
        sys.path.insert(first, _RecipePlace(here))
    elif earlier and sys.path.index(here) > sys.path.index(earlier[0]):
        sys.path.remove(here)
        sys.path.insert(sys.path.index(earlier[0]), _RecipePlace(here))
    if earlier:
        _forget(set(earlier), folder)


def _forget(earlier: set[str], folder: Path) -> None:
    """Forget modules of *earlier* folders that hide those of the same name in *folder*."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        path = Path(str(file)) if file else None
        top = folder / name.partition(".")[0]
        if (
            path is not None
            and not path.is_relative_to(folder)
            and any(path.is_relative_to(each) for each in earlier)
            and not INSTALLED & set(path.parts)
            and (top.is_dir() or top.with_suffix(".py").is_file())
        ):
            del sys.modules[name]
    invalidate_caches()


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
