"""The front of a package: its public names, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def opener(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return the `__getattr__` of *package*, whose public names live in the modules *homes*.

    >>> opener("oneiric", {"Clock": "oneiric.clock"})("Clock").__name__
    'Clock'
    """

    def opened(name: str) -> object:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return opened
