"""Which tools a repository is made for, by the files that are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from oneiric.documents import parse
from oneiric.errors import JSONValue, OneiricError
from oneiric.files import read_bounded

Tool: TypeAlias = Sequence[str]
"""A program and its arguments."""

MAX_BYTES = 4 << 20
_LOCKS: Mapping[str, str] = MappingProxyType(
    {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn", "bun.lockb": "bun"}
)
_PYTHON = ("pyproject.toml", "setup.cfg", "setup.py")


def linters(folder: Path) -> list[Tool]:
    """Return the linters that may be meant, the likeliest first."""
    return [*_scripts(folder, "lint"), *_python(folder, ["ruff", "check", "."], "ruff.toml")]


def checkers(folder: Path) -> list[Tool]:
    """Return the checkers of types that may be meant, the likeliest first."""
    found = [*_scripts(folder, "typecheck", "type-check")]
    if (folder / "tsconfig.json").is_file():
        found.append(["npx", "--no-install", "tsc", "--noEmit"])
    return [*found, *_python(folder, ["mypy", "."], "mypy.ini"), *_python(folder, ["pyright"])]


def builders(folder: Path) -> list[Tool]:
    """Return the build tools that may be meant, the likeliest first."""
    return [*_scripts(folder, "build"), *_python(folder, ["python3", "-m", "build"])]


def _scripts(folder: Path, *names: str) -> Iterator[Tool]:
    """Yield how the first script of `package.json` that is there is run."""
    scripts = _package(folder).get("scripts")
    runner = next((tool for file, tool in _LOCKS.items() if (folder / file).is_file()), "npm")
    for name in names:
        if isinstance(scripts, Mapping) and scripts.get(name):
            yield [runner, "run", name]
            return


def _package(folder: Path) -> Mapping[str, JSONValue]:
    try:
        found = parse(read_bounded(folder / "package.json", limit=MAX_BYTES), "json")
    except OneiricError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _python(folder: Path, tool: Tool, *files: str) -> Iterator[Tool]:
    if any((folder / name).is_file() for name in (*_PYTHON, *files)):
        yield tool
