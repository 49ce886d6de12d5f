"""The names by which older scriptlets import what they need, mapped to ours."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import MappingProxyType, ModuleType

import oneiric.recipes

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "orchestrator.context": "Context",
        "orchestrator.runner": "run_recipe",
        "orchestrator.scriptlets.python.core.base": "BaseScriptlet",
        "orchestrator.scriptlets.python.core.logging_util": "get_logger",
        "orchestrator.scriptlets.python.core.resource": "track_resources",
    }
)
"""Each old module, and which of our names it has."""

_PACKAGES = frozenset(
    name.rsplit(".", depth)[0] for name in NAMES for depth in range(1, name.count(".") + 1)
)


class OldNames(MetaPathFinder, Loader):
    """Find the old modules before anybody else does, whatever lies in the folder."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return what loads *fullname*, if it is one of the old names."""
        return ModuleSpec(fullname, self) if fullname in NAMES else None

    def exec_module(self, module: ModuleType) -> None:
        """Put our name into an old module."""
        name = NAMES[module.__name__]
        setattr(module, name, getattr(oneiric.recipes, name))


class OldPackages(MetaPathFinder, Loader):
    """Stand in for the packages around the old names where nobody else has them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return an empty package for *fullname*, if it is one around the old names."""
        return ModuleSpec(fullname, self, is_package=True) if fullname in _PACKAGES else None

    def exec_module(self, module: ModuleType) -> None:
        """Leave the package empty."""


def map_old_names() -> None:
    """Let scriptlets import by the old names from now on."""
    if not any(isinstance(finder, OldNames) for finder in sys.meta_path):
        sys.meta_path.insert(0, OldNames())
        sys.meta_path.append(OldPackages())
