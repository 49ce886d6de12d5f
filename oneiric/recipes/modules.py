"""Where a module would come from, found without importing it or anything around it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path

INSTALLED = frozenset(("site-packages", "dist-packages"))
"""Folders whose modules were installed, wherever they lie."""


def origin_of(module: str) -> Path | None:
    """Return the file that an import of *module* would run.

    It is an empty path for what is built into Python, and None where nobody has it.
    """
    return (_origins(module) or (None,))[-1]


def is_local(module: str, folder: Path) -> bool:
    """Tell whether *module* and all around it are files below *folder*, not installed there."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        return False
    origins = _origins(module)
    if not origins or origins[-1] == Path():
        return False
    return all(_is_below(folder, each) for each in origins if each != Path())


def is_hidden(module: str, folder: Path) -> bool:
    """Tell whether *folder* has a file of that module which is not the one that is imported."""
    file = folder.joinpath(*module.split("."))
    origin = origin_of(module)
    is_there = file.with_suffix(".py").is_file() or (file / "__init__.py").is_file()
    return is_there and origin is not None and not origin.is_relative_to(folder)


def _is_below(folder: Path, origin: Path) -> bool:
    if not origin.is_relative_to(folder):
        return False
    return not INSTALLED & set(origin.relative_to(folder).parts)


def _origins(module: str) -> list[Path]:
    """Return the files that an import runs, those of packages first; empty ones for no file.

    The list is empty where nobody has the module.
    """
    origins: list[Path] = []
    search: Sequence[str] | None = None
    name = ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        if not (found := _found(name, search)):
            return []
        origin, search = found
        origins.append(Path(origin).resolve() if origin else Path())
    return origins


def _found(name: str, search: Sequence[str] | None) -> tuple[str, Sequence[str]] | None:
    """Return the file of a module and where those inside it are looked for."""
    known = sys.modules.get(name)
    if known is not None:
        file = getattr(known, "__file__", None)
        return str(file or ""), [str(each) for each in getattr(known, "__path__", ())]
    if search is not None and not search:
        return None
    spec = _spec(name, search)
    if spec is not None and spec.has_location and spec.origin:
        return spec.origin, spec.submodule_search_locations or ()
    folders = list(_folders(name.rpartition(".")[2], search))
    return ("", folders) if folders or spec is not None else None


def _spec(name: str, search: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        with suppress(ImportError, KeyError, ValueError):
            if spec := finder.find_spec(name, search):
                return spec
    return None


def _folders(tail: str, search: Sequence[str] | None) -> Iterator[str]:
    """Yield the folders of a package without a file of its own."""
    for place in sys.path if search is None else search:
        folder = Path(place, tail)
        if folder.is_dir():
            yield str(folder)
