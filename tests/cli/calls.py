"""Calls of the command line in this process, what they gave, and runs to call them about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from oneiric.demo.plugin import PLUGIN
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.work import Work

if TYPE_CHECKING:
    from oneiric.runs.plan import Plan

Given: TypeAlias = tuple[int, str, str]
"""Exit code, stdout and stderr."""
Call: TypeAlias = Callable[..., Given]


def document(given: Given, code: int = 0) -> Any:
    """Return the JSON that a command printed, which must be all that it printed."""
    assert (given[0], given[2]) == (code, ""), given
    return json.loads(given[1])


def answer(given: Given, code: int = 0) -> Any:
    """Return the document that a command printed, whatever it said beside."""
    assert given[0] == code, given
    return json.loads(given[1])


def with_work(folder: Path, work: Callable[[Work], Awaitable[Any]]) -> Any:
    """Do something with everything composed in *folder*, and return what it gave."""

    async def done() -> Any:
        async with Work(RuntimeOrchestrator.open(folder=folder, plugins=(PLUGIN,))) as found:
            return await work(found)

    return asyncio.run(done())


def left(folder: Path, run_id: str, *, plan: Plan | None = None) -> None:
    """Leave a run that nobody has taken up: of the demonstration's workflow, or of *plan*."""

    async def store(work: Work) -> None:
        what = plan or work.workflows.plan("word-report")
        await work.engine.enqueue(what, {"text": "a b c"}, run_id=run_id)

    with_work(folder, store)
