"""One message in, one recorded run out: take work from a queue, and settle it when it is stored."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from oneiric.core.guard import attempt_async
from oneiric.core.logging import get_logger
from oneiric.domains.events.event import Event
from oneiric.domains.events.runs import DISPATCH, PLAN
from oneiric.domains.messages import InvalidMessageError, WorkMessage, read_message
from oneiric.errors import (
    DocumentError,
    InvalidError,
    NotFoundError,
    OneiricError,
    RunExistsError,
    UnavailableError,
)

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.core.guard import Guard
    from oneiric.domains.events import EventBridge
    from oneiric.domains.tasks import TaskBridge
    from oneiric.domains.workflows import WorkflowBridge
    from oneiric.ports.queue import QueueMessage
    from oneiric.runs.engine import RunEngine, RunHandle
    from oneiric.runs.run import Run

T = TypeVar("T")

READ_SECONDS = 1.0
CALL_SECONDS = 30.0
_BEATS = 3


class Fate(StrEnum):
    """What becomes of a message: its work is recorded, others shall try, or nobody can."""

    DONE = "done"
    BACK = "back"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of one message, and why where that is not plain."""

    fate: Fate
    reason: str = ""


class Inbox(Protocol):
    """What a worker needs of a queue; the queue port's consumers fit."""

    async def read(self, *, count: int = 1, timeout: float = 0) -> list[QueueMessage]:
        """Return up to *count* messages; wait at most *timeout* seconds for the first."""

    async def ack(self, *messages: QueueMessage) -> int:
        """Forget messages whose work is done."""

    async def nack(self, *messages: QueueMessage, requeue: bool = True) -> int:
        """Give messages back to be delivered at once, or set them aside for good."""

    async def extend(self, *messages: QueueMessage) -> int:
        """Keep messages for longer, as work goes on."""

    async def visibility(self) -> float:
        """Return the seconds after which others get a message that is not prolonged."""


class Processor(Protocol):
    """Do what one message asks for."""

    async def __call__(self, message: QueueMessage) -> Handled:
        """Return when what came of it is recorded; errors mean that others shall try."""


class RunMessages(Processor):
    """Make each message one run under the id that it names, whoever brings it and how often.

    A run that is known is not begun again: one that was left is taken up, one that is over or
    waits for somebody outside is recorded already.
    """

    def __init__(self, tasks: TaskBridge, workflows: WorkflowBridge) -> None:
        self._tasks = tasks
        self._workflows = workflows
        self._engine: RunEngine = workflows.engine

    async def __call__(self, message: QueueMessage) -> Handled:
        try:
            asked = read_message(message.body)
        except (InvalidMessageError, DocumentError) as error:
            return Handled(Fate.ASIDE, error.message)
        run = await self.process(asked)
        return Handled(Fate.DONE, f"{run.run_id} {'waits' if run.is_waiting else run.state}")

    async def process(self, asked: WorkMessage) -> Run:
        """Return the run when it is over, or waits for somebody outside.

        Raises:
            LockedError: somebody else works on it.
            InvalidMessageError: there is a run of that id that does something else.
            OneiricError: it was not begun; `WorkflowBridge.start` tells why.
        """
        try:
            handle = await self._begun(asked)
        except RunExistsError:
            known = await self._known(asked)
            return known if known.state.is_over else await self._taken_up(known)
        return await handle.settled()

    async def _begun(self, asked: WorkMessage) -> RunHandle:
        metadata = {**(asked.metadata or {}), "queued_at": asked.queued_at}
        run_id, given = asked.run_id, asked.given
        if asked.name == DISPATCH:
            return await self._engine.start(PLAN, given, run_id=run_id, metadata=metadata)
        bridge = self._workflows if asked.kind == "workflow" else self._tasks
        return await bridge.start(
            asked.key, given, provider=asked.provider, run_id=run_id, metadata=metadata
        )

    async def _known(self, asked: WorkMessage) -> Run:
        run, name = await self._engine.get(asked.run_id), asked.name
        if run.plan.name != name:
            raise InvalidMessageError(f"the run {run.run_id} is one of {run.plan.name}, not {name}")
        return run

    async def _taken_up(self, run: Run) -> Run:
        handle: RunHandle = await self._engine.resume(run.run_id)
        return await handle.settled()


class EventMessages(Processor):
    """Tell the handlers of each message that is an event; what they miss are dead letters."""

    def __init__(self, events: EventBridge) -> None:
        self._events = events

    async def __call__(self, message: QueueMessage) -> Handled:
        try:
            event = Event.from_bytes(message.body, source=f"message {message.id}")
        except InvalidError as error:
            return Handled(Fate.ASIDE, error.message)
        results = await self._events.dispatch(event)
        lost = [each.handler for each in results if each.is_missed and not each.letter]
        if lost:
            return Handled(Fate.BACK, f"no dead letter was kept for {', '.join(lost)}")
        return Handled(Fate.DONE, f"{event.type} to {len(results)} handlers")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLimits:
    """How much a worker takes on, and its times in seconds.

    `beat` is how often messages that are worked on are prolonged in the queue; it is more often
    where a third of the queue's own time is less. One that cannot be worked on now is given back
    after `back`; one that failed to begin `deliveries` times is set aside.
    """

    concurrency: int = 4
    beat: float = 15.0
    back: float = 5.0
    deliveries: int = 5
    grace: float = 30.0


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """How many messages a worker finished, gave back and set aside."""

    done: int = 0
    back: int = 0
    aside: int = 0

    def counted(self, fate: Fate) -> WorkerReport:
        """Return the report with one more."""
        name = str(fate)
        return replace(self, **{name: getattr(self, name) + 1})


class Worker:
    """Take messages from a queue and process them, several at a time, until told to stop.

    A message is acknowledged only after what it asked for is recorded. While it is worked on
    it is prolonged in the queue, so that nobody else gets it; if this process ends, somebody
    does. One that nobody can read is set aside, with the reason in the log.

    Args:
        queue: what is held for as long as the worker runs.
        process: does what a message asks for.
        clock: paces it.
        guard: calls the queue.
        limits: how much at a time, and how long.
        let_go: called when the grace has passed and work is still under way; it ends that.
    """

    def __init__(
        self,
        queue: Inbox,
        process: Processor,
        *,
        clock: Clock,
        guard: Guard,
        limits: WorkerLimits | None = None,
        let_go: Callable[[], Awaitable[object]] | None = None,
        told: Callable[[str], object] = str,
    ) -> None:
        self.report = WorkerReport()
        self._queue = queue
        self._process = process
        self._clock = clock
        self._guard = guard
        self._limits = limits or WorkerLimits()
        self._let_go = let_go
        self._told = told
        self._held: dict[str, QueueMessage] = {}
        self._busy: set[asyncio.Task[None]] = set()
        self._later: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopping = False
        self._log = get_logger(__name__)

    def stop(self) -> None:
        """Take no more messages, and end when those under way are done or the grace is over."""
        self._stopping = True
        self._changed.set()

    def hurry(self) -> None:
        """Stop, and give back at once what is under way."""
        self.stop()
        for task in list(self._busy):
            task.cancel()

    async def run(self, *, until_empty: bool = False) -> WorkerReport:
        """Work until `stop`, or with *until_empty* until there is nothing left to do.

        Raises:
            UnavailableError: with *until_empty*, the queue cannot be read.
        """
        async with asyncio.TaskGroup() as group:
            beat = group.create_task(self._beat())
            try:
                is_readable = await self._read(group, until_empty=until_empty)
                await self._drain()
            finally:
                beat.cancel()
        if not is_readable:
            raise UnavailableError("the queue cannot be read", hint="the log says why")
        return self.report

    async def _read(self, group: asyncio.TaskGroup, *, until_empty: bool) -> bool:
        """Take messages until there is an end to it; tell whether the queue could be read."""
        while not self._stopping:
            free = self._limits.concurrency - len(self._busy)
            if free <= 0:
                await self._change()
                continue
            read = partial(self._queue.read, count=free, timeout=0 if until_empty else READ_SECONDS)
            found = await self._ask(read, "read")
            if found is None:
                if until_empty:
                    return False
                await self._clock.sleep(READ_SECONDS)
            elif not found and until_empty:
                if not self._busy:
                    return True
                await self._change()
            for message in found or ():
                self._held[message.receipt + message.id] = message
                task = group.create_task(self._work(message, group))
                self._busy.add(task)
                task.add_done_callback(self._ended)
        return True

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._busy.discard(task)
        self._later.discard(task)
        self._changed.set()

    async def _work(self, message: QueueMessage, group: asyncio.TaskGroup) -> None:
        outcome = await attempt_async(self._process(message))
        if outcome.error is None:
            assert outcome.value is not None
            handled = outcome.value
        else:
            handled = self._failed(message, outcome.error)
        if handled.fate is Fate.BACK and not self._stopping:
            task = group.create_task(self._give_back_later(message, handled))
            self._later.add(task)
            task.add_done_callback(self._ended)
        else:
            await self._settle(message, handled)

    def _failed(self, message: QueueMessage, error: BaseException) -> Handled:
        reason = error.message if isinstance(error, OneiricError) else f"{error!r}"
        if isinstance(error, InvalidMessageError):
            return Handled(Fate.ASIDE, reason)
        hopeless = isinstance(error, InvalidError | NotFoundError) or not isinstance(
            error, OneiricError
        )
        if hopeless and message.delivery_count >= self._limits.deliveries:
            return Handled(Fate.ASIDE, reason)
        return Handled(Fate.BACK, reason)

    async def _give_back_later(self, message: QueueMessage, handled: Handled) -> None:
        await self._clock.sleep(self._limits.back)
        await self._settle(message, handled)

    async def _settle(self, message: QueueMessage, handled: Handled) -> None:
        queue, fate = self._queue, handled.fate
        if fate is Fate.DONE:
            call = partial(queue.ack, message)
        else:
            call = partial(queue.nack, message, requeue=fate is Fate.BACK)
        self._held.pop(message.receipt + message.id, None)
        await self._ask(call, f"settle as {fate}")
        self.report = self.report.counted(fate)
        self._told(str(fate))
        told = {"message": message.id, "reason": handled.reason}
        if fate is Fate.ASIDE:
            self._log.error("message-set-aside", **told)
        elif fate is Fate.BACK:
            self._log.warning("message-given-back", **told)
        else:
            self._log.info("message-done", **told)

    async def _beat(self) -> None:
        """Prolong what is worked on, for as long as the worker runs."""
        while True:
            kept = await self._ask(self._queue.visibility, "tell its visibility timeout")
            await self._clock.sleep(min(self._limits.beat, (kept or math.inf) / _BEATS))
            if self._held:
                await self._ask(partial(self._queue.extend, *self._held.values()), "extend")

    async def _drain(self) -> None:
        for task in list(self._later):
            task.cancel()
        if self._busy:
            self._log.info("worker-draining", messages=len(self._busy))
            await asyncio.wait(set(self._busy), timeout=self._limits.grace)
        for task in list(self._busy):
            task.cancel()
        if self._busy and self._let_go is not None:
            await self._let_go()
        for message in list(self._held.values()):
            await self._settle(message, Handled(Fate.BACK, "the worker stops"))

    async def _ask(self, call: Callable[[], Awaitable[T]], what: str) -> T | None:
        """Ask the queue, and return its answer, or None with a logged reason."""
        outcome = await self._guard.call(call, limit=CALL_SECONDS + READ_SECONDS)
        if outcome.error is not None:
            self._log.error("queue-failed", doing=what, reason=outcome.reason)
            return None
        return cast("T", outcome.value)
