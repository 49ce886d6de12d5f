"""One event on its way to one handler: attempts, limits, and what is kept in the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from oneiric.clock import rfc3339
from oneiric.core.guard import Call, Outcome, Pending
from oneiric.domains.events.handler import DeclinedError, HandlerOutcome, HandlerResult
from oneiric.errors import PausedError
from oneiric.ports.dead_letters import DeadLetter

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.core.guard import Guard
    from oneiric.domains.events.event import Event
    from oneiric.domains.events.handler import EventHandler
    from oneiric.domains.events.places import Places
    from oneiric.ports.dead_letters import DeadLetters

STORE_SECONDS = 30.0
HANDLED = HandlerOutcome.HANDLED
_RETRIED = (HandlerOutcome.FAILED, HandlerOutcome.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Means:
    """What deliveries need of the house."""

    guard: Guard
    clock: Clock
    letters: DeadLetters
    chance: Callable[[], float] = random.random


class Round:
    """One event told to some handlers: count the deliveries under way, wait until none is."""

    __slots__ = ("_over", "event", "keeps", "left", "means", "started")

    def __init__(self, means: Means, event: Event, left: int, *, keeps: bool) -> None:
        self.keeps = keeps
        self.means = means
        self.event = event
        self.left = left
        self.started = perf_counter()
        self._over: asyncio.Future[None] | None = None

    def done(self) -> None:
        """Count one less."""
        self.left -= 1
        if not self.left and self._over is not None and not self._over.done():
            self._over.set_result(None)

    async def wait(self) -> None:
        """Wait until all are done."""
        if self.left:
            self._over = asyncio.get_running_loop().create_future()
            await self._over


class Delivery(Call):
    """Tell one handler of one event, as often as its retry policy says, and keep the outcome.

    The first attempt costs one task; whatever comes after it runs in a task of its own, so
    that no delivery ever waits for another.
    """

    __slots__ = (
        "_attempts",
        "_places",
        "_round",
        "_storing",
        "_task",
        "handler",
        "result",
    )

    def __init__(self, told: Round, handler: EventHandler, places: Places | None) -> None:
        super().__init__(handler.timeout_seconds)
        self.handler = handler
        self.result: HandlerResult | None = None
        self._round = told
        self._places = places
        self._attempts = 0
        self._storing = False
        self._task: asyncio.Task[object] | None = None

    def begin(self) -> None:
        """Begin the first attempt now, if nothing stands in its way; the round hears of the end."""
        handler, told = self.handler, self._round
        if handler.blocking or (self._places is not None and not self._places.take()):
            self._task = told.means.guard.keep(self._finish(None))
        else:
            told.means.guard.start(self, partial(handler.function, told.event))

    async def run(self) -> HandlerResult:
        """Do all attempts in the task that calls, and tell the caller only."""
        return await self._pursue(None)

    async def keep_letter(self) -> None:
        """Put the event among the dead letters, for this handler."""
        assert self.result is not None
        result, means = self.result, self._round.means
        letter = DeadLetter(
            id=means.clock.new_id(),
            handler=self.handler.name,
            event=self._round.event.as_json(),
            reason=str(result.outcome),
            error=result.error,
            attempts=result.attempts,
            at=rfc3339(means.clock.now()),
        )
        self._storing = True
        kept = await means.guard.call(partial(means.letters.add, letter), limit=STORE_SECONDS)
        self._storing = False
        if kept.error is None:
            self.result = result._replace(letter=letter.id)
        else:
            error = f"{result.error}; its dead letter was not kept: {kept.reason}"
            self.result = result._replace(error=error)

    def cover(self) -> None:
        """Note that another exclusive handler took over."""
        assert self.result is not None
        self.result = self.result._replace(covered=True)

    def then(self, outcome: Outcome[object]) -> None:
        """Hear of the first attempt: be done, or go on in a task of its own."""
        if self._places is not None:
            self._places.give()
        told = self._round
        if outcome.error is None:
            took = (perf_counter() - told.started) * 1e3
            self.result = HandlerResult(self.handler.name, HANDLED, outcome.value, "", 1, took)
            told.done()
        else:
            self._attempts = 1
            self._task = told.means.guard.keep(self._finish(outcome))

    async def _finish(self, outcome: Outcome[Any] | None) -> None:
        try:
            result = await self._pursue(outcome)
            if self._round.keeps and result.is_missed:
                await self.keep_letter()
        finally:
            self._round.done()

    async def _pursue(self, outcome: Outcome[Any] | None) -> HandlerResult:
        """Make attempts until one succeeds or no more are allowed, from *outcome* on."""
        retry, means = self.handler.retry, self._round.means
        if outcome is None:
            outcome = await self._attempt()
        while _meaning(outcome) in _RETRIED and self._attempts < retry.attempts:
            delay = retry.backoff.delay(self._attempts, chance=means.chance())
            await means.clock.sleep(delay)
            outcome = await self._attempt()
        meaning = _meaning(outcome)
        called = self._attempts - (meaning is HandlerOutcome.DEFERRED)
        took = (perf_counter() - self._round.started) * 1e3
        self.result = HandlerResult(
            self.handler.name, meaning, outcome.value, outcome.reason, called, took
        )
        return self.result

    async def _attempt(self) -> Outcome[Any]:
        places = self._places
        if places is not None:
            await places.enter()
        try:
            self._attempts += 1
            return await self._called()
        finally:
            if places is not None:
                places.give()

    async def _called(self) -> Outcome[Any]:
        handler, guard = self.handler, self._round.means.guard
        function = partial(handler.function, self._round.event)
        if handler.blocking:
            return await guard.call(function, limit=handler.timeout_seconds, blocking=True)
        call = Pending(handler.timeout_seconds)
        guard.start(call, function)
        try:
            return await call.outcome
        finally:
            await guard.end((call,))

    @staticmethod
    async def end(
        deliveries: Sequence[Delivery], guard: Guard, election: asyncio.Task[object] | None
    ) -> None:
        """Cut short what is under way, and wait for it; a letter that is being kept is kept."""
        tasks = [each._task for each in deliveries if each._task is not None]
        for each in deliveries:
            if each._task is not None and not each._storing:
                each._task.cancel()
        if election is not None:
            tasks.append(election)
            if not any(each._storing for each in deliveries if each._task is None):
                election.cancel()
        cut_short = [each for each in deliveries if each.open and each.task is not None]
        await guard.end(cut_short)
        for each in cut_short:
            if each._places is not None:
                each._places.give()
        if tasks:
            await asyncio.wait(tasks)


def _meaning(outcome: Outcome[Any]) -> HandlerOutcome:
    if outcome.error is None:
        return HANDLED
    if isinstance(outcome.error, DeclinedError):
        return HandlerOutcome.DECLINED
    if isinstance(outcome.error, PausedError):
        return HandlerOutcome.DEFERRED
    return HandlerOutcome.TIMED_OUT if outcome.timed_out else HandlerOutcome.FAILED
