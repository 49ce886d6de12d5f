"""Whether a task is still what its run was begun with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from oneiric.documents import canonical
from oneiric.runs.check import changes
from oneiric.runs.run import Run
from oneiric.validation.compiling import Compiled
from oneiric.validation.errors import TaskChangedError
from oneiric.validation.projection import LAST_GATE


def check_unchanged(run: Run, compiled: Compiled) -> None:
    """Pass if *run* does what its task asks for today.

    Raises:
        TaskChangedError: it does not; carries a line for each step that differs.
    """
    differs = [*changes(run.plan, compiled.plan), *_given(run, compiled)]
    if differs:
        raise TaskChangedError(compiled.task.id, run.run_id, differs)


def _given(run: Run, compiled: Compiled) -> Iterator[str]:
    """Yield what differs in what the steps of both are given."""
    was, now = (
        cast("Mapping[str, Mapping[str, Any]]", each["steps"])
        for each in (cast("Mapping[str, Any]", run.input), compiled.input)
    )
    for name in (each for each in was if each in now):
        old, new = was[name], now[name]
        keys = sorted({*old, *new})
        differ = [key for key in keys if canonical(old.get(key)) != canonical(new.get(key))]
        if told := [key for key in differ if key != "declared"]:  # that of the whole task, in short
            yield f"~ {name}: {', '.join(told)}"
        elif differ and name == LAST_GATE:
            yield "~ the task"
