"""The routes of an application, read in a process of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oneiric.errors import OneiricError
from oneiric.ports.executor import Command, Executor
from oneiric.validation.drift.question import AppAsked

PROGRAM = Path(__file__).with_name("route_table.py")
_MAX_OUTPUT = 8 << 20
_LAST = 300


@dataclass(frozen=True, slots=True)
class TableRoute:
    """One route that an application registered; an empty method stands for any.

    `kinds` tells what fits the places of its path: `text`, `integer`, `number`, `uuid` or `other`.
    """

    method: str
    path: str
    needs_auth: bool | None = None
    kinds: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class RouteTable:
    """What an application registered, or why nobody knows.

    Args:
        kind: the framework.
        routes: its routes, with `{name}` for places.
        left_out: what it serves besides that is no plain route, such as static files.
        problem: why there are none.
    """

    kind: str = ""
    routes: tuple[TableRoute, ...] = ()
    left_out: tuple[str, ...] = ()
    problem: str = ""


async def read_route_table(app: AppAsked, folder: Path, executor: Executor) -> RouteTable:
    """Load *app* from *folder* in a child process, within its time, and return its routes."""
    command = Command(
        _arguments(app, folder),
        env={name: text.get_secret_value() for name, text in app.env.items()},
        timeout=app.timeout,
        max_output_bytes=_MAX_OUTPUT,
        mask=[text.get_secret_value() for text in app.env.values()],
    )
    try:
        result = await executor.run(command)
    except OneiricError as error:
        return RouteTable(problem=error.message)
    if not result.ok:
        return RouteTable(problem=f"loading {app.target} {result.reason}{_last(result.stderr)}")
    try:
        told = json.loads(result.stdout)
        if "error" in told:
            return RouteTable(problem=str(told["error"]))
        routes = tuple(_route(each) for each in told["routes"])
        return RouteTable(str(told["kind"]), routes, tuple(map(str, told["left_out"])))
    except (ValueError, LookupError, TypeError):
        return RouteTable(problem=f"loading {app.target} gave no table of routes")


def _route(told: Mapping[str, Any]) -> TableRoute:
    return TableRoute(told["method"], told["path"], told["auth"], told["kinds"])


def _arguments(app: AppAsked, folder: Path) -> list[str]:
    return [app.python or sys.executable, str(PROGRAM), app.target, str(folder.resolve())]


def _last(stderr: bytes) -> str:
    """Return the last line that the child said: what its application raised."""
    lines = stderr.decode(errors="replace").strip().splitlines()
    return f": {lines[-1][:_LAST]}" if lines else ""
