"""Load what text names, `package.module:attr`, if it lies under an allowed prefix."""

import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from typing import Any

from oneiric.errors import ForbiddenFactoryError


def is_target(text: str) -> bool:
    """Tell whether *text* is `package.module:attr`, one attribute and no more.

    >>> is_target("oneiric.clock:Clock"), is_target("os:path.join")
    (True, False)
    """
    module, colon, attribute = text.partition(":")
    return (
        bool(colon) and attribute.isidentifier() and all(map(str.isidentifier, module.split(".")))
    )


def is_allowed(module: str, allowed: Iterable[str]) -> bool:
    """Tell whether *module* is one of the *allowed* packages or lies inside one.

    >>> is_allowed("oneiric.adapters", ["oneiric"]), is_allowed("oneiric_evil", ["oneiric"])
    (True, False)
    """
    return any(module == prefix or module.startswith(f"{prefix}.") for prefix in allowed)


def load(target: str, allowed: Iterable[str]) -> Callable[..., Any]:
    """Import `package.module:attr` and return what it names.

    Both the module and the home of what it names must be allowed, so that an allowed
    module cannot lend out what it imported from elsewhere.

    Raises:
        ForbiddenFactoryError: either is not, or the target names nothing that can be called.
        ImportError: the module cannot be imported.
    """
    prefixes = frozenset((allowed,) if isinstance(allowed, str) else allowed)
    if not is_target(target):
        raise ForbiddenFactoryError(target, "it is not package.module:attr", allowed=prefixes)
    module, _, attribute = target.partition(":")
    if not is_allowed(module, prefixes):
        raise ForbiddenFactoryError(
            target, f"{module} is under no allowed prefix", allowed=prefixes
        )
    found: Any = getattr(import_module(module), attribute, None)
    if not callable(found):
        raise ForbiddenFactoryError(
            target, f"{module} has no callable {attribute}", allowed=prefixes
        )
    home = target_of(found).partition(":")[0]
    if not is_allowed(home, prefixes):
        raise ForbiddenFactoryError(
            target, f"{attribute} comes from {home}, under no allowed prefix", allowed=prefixes
        )
    return found  # type: ignore[no-any-return]


def target_of(found: object) -> str:
    """Return `module:name` of where a callable was defined, as text would name it.

    A partial is what it completes, a method its function, an instance its class.

    >>> target_of(partial(is_allowed)), target_of(dict)
    ('oneiric.targets:is_allowed', 'builtins:dict')
    """
    while isinstance(found, partial):
        found = found.func
    if not hasattr(found, "__qualname__"):
        found = type(found)
    home = getattr(found, "__module__", None) or "builtins"
    return f"{home}:{getattr(found, '__qualname__', '')}"


def is_loaded(target: str) -> bool:
    """Tell whether `load` would find the module imported already, and so be quick."""
    return target.partition(":")[0] in sys.modules
