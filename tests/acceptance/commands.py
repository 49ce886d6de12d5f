"""Run `oneiric` and `main.py` as a person would: each in a process and a folder of its own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left: exit code, data, and what it said beside."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document that it printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    def __iter__(self) -> Any:
        return iter((self.code, self.out, self.err))


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a quiet terminal of 80 columns, and *more*.

    Where coverage is measured, it is measured in there too.
    """
    names = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "COLUMNS": "80", **(more or {})}


def run(*command: str, folder: Path, variables: Mapping[str, str] | None = None) -> Finished:
    """Run *command* with this Python in *folder* to its end."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def oneiric(*arguments: str, folder: Path, variables: Mapping[str, str] | None = None) -> Finished:
    """Run a command of `oneiric` in *folder*."""
    return run("-m", "oneiric.cli", *arguments, folder=folder, variables=variables)


def listing(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file and folder below *folder*, with its time of change and content."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def error_of(finished: Finished) -> tuple[int, str]:
    """Return exit code and code of an error told in one line, without a traceback."""
    assert finished.out == ""
    assert "Traceback" not in finished.err
    found = re.match(r"error\[([a-z-]+)\]: .+\n", finished.err)
    assert found, finished.err
    return finished.code, found[1]
