"""Load a wheel's modules under its digest, so that two versions of one package live at once.

A version is the package `_oneiric_wheels.w<sha256>`, its top-level modules are below it, and the
import statements of its code are led there: the code has builtins of its own, whose `__import__`
knows the wheel's names. What the interpreter keeps of modules (`sys.modules`, `sys.meta_path`)
is the only state; `forget_wheel` takes a version out of it. The finder, which knows no names but
these, stays once it was needed.
"""

from __future__ import annotations

import builtins
import linecache
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec, NamespaceLoader, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

ROOM = "_oneiric_wheels"
_BUILTINS = "__oneiric_builtins__"
_MODULES = "__oneiric_modules__"


class WheelLoader(SourceFileLoader):
    """Run a module of a wheel with the builtins of its version; byte code is not kept.

    So the unpacked files stay as they were checked, and nothing but source is ever run.
    """

    def __init__(self, name: str, path: str, own: dict[str, Any]) -> None:
        super().__init__(name, path)
        self._builtins = own

    def get_code(self, fullname: str) -> CodeType:
        """Return the code of the module, compiled from its source."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Run the module."""
        vars(module)["__builtins__"] = self._builtins
        super().exec_module(module)


class WheelFinder:
    """Find modules of wheels, by their whole name only."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return how to load the module, or None where it is none of a wheel's.

        Raises:
            ModuleNotFoundError: its version was forgotten.
        """
        if not fullname.startswith(f"{ROOM}."):
            return None
        digest = fullname.split(".", 2)[1]
        version = sys.modules.get(f"{ROOM}.{digest}")
        if version is None:
            raise ModuleNotFoundError(f"the wheel {digest[1:13]} was let go", name=fullname)
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None or isinstance(spec.loader, NamespaceLoader):
            return spec
        if not isinstance(spec.loader, SourceFileLoader):
            return None
        own: dict[str, Any] = getattr(version, _BUILTINS)
        spec.loader = WheelLoader(fullname, spec.loader.path, own)
        return spec


def load_module(folder: Path, sha256: str, modules: frozenset[str], name: str) -> ModuleType:
    """Import the module *name* of the wheel that is unpacked in *folder*, and return it.

    Args:
        folder: where the wheel's files are.
        sha256: its digest.
        modules: its top-level names; imports of these find the wheel's own.
        name: as the wheel's own code would import it.

    Raises:
        ImportError: there is none, or an import of its fails; its own errors are raised as they
            are.
    """
    prefix = _prefix(sha256)
    if ROOM not in sys.modules:
        room = ModuleType(ROOM, "Wheels, each under its digest.")
        room.__path__ = []
        sys.modules.setdefault(ROOM, room)
    if prefix not in sys.modules:
        version = ModuleType(prefix, "One version of one wheel.")
        version.__path__ = [str(folder)]
        setattr(version, _MODULES, modules)
        setattr(version, _BUILTINS, {**vars(builtins), "__import__": _led(prefix, modules)})
        sys.modules.setdefault(prefix, version)
    if not any(isinstance(finder, WheelFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, WheelFinder())
    builtins.__import__(f"{prefix}.{name}")
    return sys.modules[f"{prefix}.{name}"]


def is_loaded(sha256: str, name: str) -> bool:
    """Tell whether `load_module` would give the module *name* at once: its import has ended."""
    module = sys.modules.get(f"{_prefix(sha256)}.{name}")
    return module is not None and not getattr(module.__spec__, "_initializing", False)


def is_of_wheel(module: str, sha256: str) -> bool:
    """Tell whether a module of this name belongs to the wheel's version."""
    return module.startswith(f"{_prefix(sha256)}.")


def modules_of(sha256: str) -> frozenset[str]:
    """Return the top-level names of a wheel that is loaded, else none."""
    found: frozenset[str] = getattr(sys.modules.get(_prefix(sha256)), _MODULES, frozenset())
    return found


def loaded_wheels() -> frozenset[str]:
    """Return the digests of the wheels that are loaded in this process."""
    start = f"{ROOM}.w"
    names = tuple(sys.modules)
    return frozenset(
        name.removeprefix(start)
        for name in names
        if name.startswith(start) and name.count(".") == 1
    )


def forget_wheel(sha256: str) -> bool:
    """Take a wheel's modules out of the process; tell whether there were any.

    Objects made of them live on as long as somebody holds them, but an import that their code
    does from then on fails: forget a version only when its last instance is closed.
    """
    prefix = _prefix(sha256)
    version = sys.modules.pop(prefix, None)
    for name in tuple(sys.modules):
        if name.startswith(f"{prefix}."):
            sys.modules.pop(name, None)
    for root in getattr(version, "__path__", ()):
        for path in tuple(sys.path_importer_cache):
            if path == root or path.startswith(f"{root}/"):
                sys.path_importer_cache.pop(path, None)
        for path in tuple(linecache.cache):
            if path.startswith(f"{root}/"):
                linecache.cache.pop(path, None)
    return version is not None


def _prefix(sha256: str) -> str:
    return f"{ROOM}.w{sha256}"


def _led(prefix: str, modules: frozenset[str]) -> Callable[..., ModuleType]:
    """Return an `__import__` that finds the wheel's own *modules* under *prefix*."""

    def led(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  as the builtin has them
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        top = name.partition(".")[0]
        if level or top not in modules:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{prefix}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{prefix}.{top}"]

    return led
