"""Recipes run by the command line, each in a process of its own, and what that left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.commands import Finished, oneiric


def recipe(*arguments: str | Path, folder: Path) -> Finished:
    """Run `oneiric recipe` in *folder*."""
    return oneiric("recipe", *map(str, arguments), folder=folder)


def line_of(done: Finished) -> Mapping[str, Any]:
    """Return the one line that a run printed, which must be all that it printed on stdout."""
    assert done.out.count("\n") == 1, (done.out, done.err)
    found: Mapping[str, Any] = json.loads(done.out)
    return found
