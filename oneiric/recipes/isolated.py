"""The child's side of a scriptlet in a process of its own: JSON comes in, and JSON goes out.

Begun with the `sys.path` of its parent, so that an import leads where it does there. What is
printed goes to stderr, except the one line with which this ends: `{"envelope", "written"}`, or
`{"code", "kinds", "reason", "envelope"}`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from oneiric.core.guard import attempt
from oneiric.documents import canonical
from oneiric.errors import JSONValue, OneiricError, RefusedError
from oneiric.recipes.context import Context
from oneiric.recipes.errors import StepError, kinds_of
from oneiric.recipes.loading import load_scriptlet, make_importable
from oneiric.recipes.modules import origin_of
from oneiric.recipes.old_names import map_old_names
from oneiric.recipes.python_step import run_scriptlet
from oneiric.recipes.stdout import parted


def main() -> int:
    """Do what stdin asks for; the step has failed if the line says so, not by the exit code."""
    given = json.load(sys.stdin.buffer)
    answer = os.dup(1)
    os.dup2(2, 1)  # what other code prints past Python must not be taken for the answer
    with parted():
        outcome = attempt(partial(_done, given))
    said = outcome.value if outcome.error is None else _failure(outcome.error, outcome.reason)
    with os.fdopen(answer, "wb") as file:
        file.write(canonical(said) + b"\n")
    sys.stderr.flush()
    return 0


def _done(given: Mapping[str, Any]) -> dict[str, JSONValue]:
    make_importable(Path.cwd())
    map_old_names()
    _check_origin(given["target"].partition(":")[0], given["origin"])
    context = Context(given["values"], strict=given["strict"])
    scriptlet = load_scriptlet(given["target"])
    envelope = run_scriptlet(
        scriptlet, given["step"], context, given["params"], codes=given["codes"]
    )
    last = {entry.key: entry for entry in context.history}
    written = [{"key": key, "value": each.new, "who": each.who} for key, each in last.items()]
    return {"envelope": envelope, "written": written}


def _check_origin(module: str, allowed: str) -> None:
    """Pass if an import runs the file that was allowed where this process was begun.

    Raises:
        RefusedError: it would be another file.
    """
    if (found := str(origin_of(module))) != allowed:
        raise RefusedError(f"the module {module} is {found}, and {allowed} was allowed")


def _failure(error: BaseException, reason: str) -> dict[str, JSONValue]:
    code = error.code if isinstance(error, OneiricError) else ""
    message = error.message if isinstance(error, OneiricError) else reason
    envelope = error.envelope if isinstance(error, StepError) else {}
    kinds: list[JSONValue] = [] if isinstance(error, StepError) else [*kinds_of(error)]
    return {"code": code, "kinds": kinds, "reason": message, "envelope": envelope}


if __name__ == "__main__":
    sys.exit(main())
