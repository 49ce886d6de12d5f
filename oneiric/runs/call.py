"""One call of a step's body: opened, called once its start is stored, closed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any, Protocol, cast

from oneiric.core.guard import Call, Guard, Outcome, attempt
from oneiric.documents.copies import plain
from oneiric.errors import JSONValue, OneiricError
from oneiric.runs.body import Assigned, Bodies, Body, Given
from oneiric.runs.context import StepContext
from oneiric.runs.schedule import Launch

_CACHE_SECONDS = 5.0
_LONGEST_MESSAGE = 2_000


class ResultCache(Protocol):
    """What the engine needs of a cache of results; the cache port fits."""

    async def get(self, key: str) -> JSONValue | bytes:
        """Return the value of *key*, or None when there is none."""

    async def set(self, key: str, value: JSONValue) -> None:
        """Keep *value*."""


class StepCall(Call):
    """A step that was launched, and what came of it."""

    def __init__(
        self, launch: Launch, context: StepContext, report: Callable[[StepCall], None]
    ) -> None:
        super().__init__(launch.step.timeout_seconds or math.inf)
        self.launch = launch
        self.context = context
        self.go: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.body: Body | None = None
        self.is_started = self.is_cached = False
        self.outcome: Outcome[object] | None = None
        self._report = report

    def then(self, outcome: Outcome[object]) -> None:
        self.outcome = outcome
        self._report(self)

    async def work(self, bodies: Bodies, cache: ResultCache | None, guard: Guard) -> Given:
        """Do the step's work: what the guard calls. A cache that fails is as good as none."""
        key = self.launch.cache_key
        if cache is not None and key:
            found = await guard.call(partial(cache.get, key), limit=_CACHE_SECONDS)
            if isinstance(found.value, Mapping) and "result" in found.value:
                self.is_cached = True
                cached: JSONValue = found.value["result"]
                return cached
        async with bodies.open(self.launch.step.target) as body:
            self.body = body
            self._report(self)
            await self.go
            result = await self._call(body, guard)
        if cache is not None and key and not isinstance(result, Assigned):
            kept: JSONValue = {"result": result}
            await guard.call(partial(cache.set, key, kept), limit=_CACHE_SECONDS)
        return result

    async def _call(self, body: Body, guard: Guard) -> Given:
        function = partial(body, self.context, self.launch.input)
        if not body.is_blocking:
            result = function()
            return await result if isawaitable(result) else result
        outcome: Outcome[Any] = await guard.call(function, limit=math.inf, blocking=True)
        if outcome.error:
            raise outcome.error
        return cast("Given", outcome.value)


def told(outcome: Outcome[object]) -> tuple[dict[str, JSONValue], frozenset[str]]:
    """Return what the journal keeps of a failure, and the names that a retry may know it by."""
    error = outcome.error
    own = error if isinstance(error, OneiricError) else None
    code = "timeout" if outcome.timed_out else own.code if own else "failed"
    text = own.message if own else outcome.reason
    message = text[:_LONGEST_MESSAGE].encode("utf-8", "replace").decode()
    found: dict[str, JSONValue] = {"code": code, "message": message, "type": type(error).__name__}
    if own and (details := attempt(lambda: plain(dict(own.details()))).value):
        found["details"] = details
    return found, frozenset({code, *(kind.__name__ for kind in type(error).__mro__)})
