"""What every contender does alike: sequential runs of steps that do nothing, kept in SQLite.

It is run by the Python of each contender, so it needs nothing but the standard library.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TypeAlias

DEFAULT = "default"
SYNCHRONOUS: Mapping[str, str] = {"full": "FULL", "normal": "NORMAL"}
MODES = (DEFAULT, *SYNCHRONOUS)
LEVELS: Mapping[int, str] = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}
PAYLOAD: Mapping[str, int] = {"order": 7}

Body: TypeAlias = Callable[[Mapping[str, int]], dict[str, int]]
Contender: TypeAlias = Callable[
    [Path, str, int, Body], AbstractContextManager[Callable[[], object]]
]
"""Opens a database in a mode, and gives what runs so many steps with that body once."""


class Connections:
    """See every connection to SQLite that this process opens, whoever opens it."""

    def __init__(self) -> None:
        self._seen: list[sqlite3.Connection] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "sqlite3.connect/handle" and isinstance(arguments[0], sqlite3.Connection):
            self._seen.append(arguments[0])

    def settings(self) -> str:
        """Return the journal modes and synchronous levels of those that can write, in words."""
        return ", ".join(sorted({_settings(each) for each in self._seen if _writes(each)}))


def _writes(connection: sqlite3.Connection) -> bool:
    try:
        return not connection.execute("PRAGMA query_only").fetchone()[0]
    except sqlite3.ProgrammingError:  # it is closed
        return False


def _settings(connection: sqlite3.Connection) -> str:
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    return f"{journal} {LEVELS[level]}"


def compete(contender: Contender) -> None:
    """Run what the command line asks for, and print the steps per second and the settings."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("steps", type=int)
    parser.add_argument("runs", type=int)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder).resolve() / "contest.sqlite"
        found = _timed(contender, path, given.mode, given.steps, given.runs)
        found["rows"] = _rows(path) / (given.steps * (given.runs + 1))
    sys.stdout.write(json.dumps(found) + "\n")


def _timed(
    contender: Contender, path: Path, mode: str, steps: int, runs: int
) -> dict[str, float | str]:
    done = 0

    def body(value: Mapping[str, int]) -> dict[str, int]:
        nonlocal done
        done += 1
        return dict(value)

    connections = Connections()
    with contender(path, mode, steps, body) as run:
        run()  # the first one makes tables, caches and threads
        begin = time.perf_counter()
        for _ in range(runs):
            run()
        spent = time.perf_counter() - begin
        if done != steps * (runs + 1):
            raise SystemExit(f"{done} steps were done, not {steps * (runs + 1)}")
        return {"rate": steps * runs / spent, "settings": connections.settings()}


def _rows(path: Path) -> int:
    """Count the rows of every table: what is not there was not kept."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        counts = [
            connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()
            for (name,) in names.fetchall()
        ]
    return sum(count for (count,) in counts)
