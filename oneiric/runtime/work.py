"""Everything that does work, composed over one runtime: engine, tasks, workflows, worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from oneiric.domains import ALL
from oneiric.domains.messages import CATEGORY
from oneiric.domains.recovery import Recovery
from oneiric.domains.scheduler import Scheduler
from oneiric.domains.steps import ComponentBodies
from oneiric.domains.tasks import TaskBridge
from oneiric.domains.worker import EventMessages, RunMessages, Worker, WorkerLimits, WorkerReport
from oneiric.domains.workflows import WorkflowBridge
from oneiric.ports.cache import CACHE
from oneiric.runs.engine import RunEngine
from oneiric.runs.journal import Journal, MemoryJournal
from oneiric.runtime.noticed_journal import NoticedJournal
from oneiric.runtime.notification_route import NOTIFY
from oneiric.runtime.run_notices import RunNotices
from oneiric.runtime.settings import RunSettings, WorkerSettings
from oneiric.runtime.stop import StopSignals
from oneiric.runtime.watched_journal import WatchedJournal
from oneiric.stores.journal import Durability, SqliteJournal
from oneiric.stores.results import ResultStore
from oneiric.stores.schedules import ScheduleStore

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from oneiric.clock import Clock
    from oneiric.core.handle import Link
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.errors import JSONValue
    from oneiric.ports.queue import Queue, QueueMessage
    from oneiric.runs.run import Run
    from oneiric.runtime.operator import Operator
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.telemetry import RuntimeTelemetryRecorder


class Work:
    """Run tasks and workflows, and whatever a queue or the calendar asks for.

    Making one opens nothing. Use it as `async with`: entering enters the runtime; leaving
    stops what is under way, which others can take up, and closes everything.

    Args:
        runtime: whose components do the work, and where its state is kept.
        checkpoints: whether runs outlive the process; else they are kept in memory.
        is_entered: whether somebody else enters and leaves the runtime.
    """

    def __init__(
        self,
        runtime: RuntimeOrchestrator,
        *,
        checkpoints: bool = True,
        is_entered: bool = False,
    ) -> None:
        settings, worker = runtime.config.section("runs"), runtime.config.section("worker")
        assert isinstance(settings, RunSettings)
        assert isinstance(worker, WorkerSettings)
        self.runtime = runtime
        self.lease_seconds = settings.lease_seconds
        self.results = ResultStore(runtime.paths.results)
        self._settings = worker
        self._at_once = settings.recover_at_once
        clock, lifecycle = runtime.clock, runtime.lifecycle
        journal: Journal = MemoryJournal(clock)
        if checkpoints:
            durability = Durability(settings.durability)
            path = runtime.paths.database
            journal = SqliteJournal(path, clock=clock, durability=durability)
        self.journal = WatchedJournal(journal, lambda: runtime.measures.runs)
        self.notices = RunNotices(runtime, self.journal, find=self._under_way, kept=checkpoints)
        self.bodies = ComponentBodies(
            lifecycle,
            runtime.actions,
            then={NOTIFY: self.notices.step},
            events=lambda: runtime.events,
        )
        self.engine = RunEngine(
            self.bodies,
            journal=NoticedJournal(self.journal, self.notices),
            clock=clock,
            guard=lifecycle.builder.guard,
            cache=_LinkedCache(lifecycle),
            lease_seconds=settings.lease_seconds,
        )
        self.tasks = TaskBridge(ALL["task"], lifecycle, engine=self.engine, verbs=runtime.activity)
        self.workflows = WorkflowBridge(
            ALL["workflow"],
            lifecycle,
            engine=self.engine,
            journal=self.journal,
            bodies=self.bodies,
            verbs=runtime.activity,
        )
        runtime.activity.work = self.workflows.under_way
        self._is_entered = is_entered
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if not self._is_entered:
            await self._stack.enter_async_context(self.runtime)
        self._stack.callback(self.results.close)
        self._stack.push_async_callback(self.journal.aclose)
        self._stack.push_async_callback(self._record)
        self._stack.push_async_callback(self.engine.close)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def folder(self) -> Path:
        """Where the configuration was looked for, and `.oneiric_cache` is kept."""
        return self.runtime.config.folder

    @property
    def clock(self) -> Clock:
        """The source of time."""
        return self.runtime.clock

    @property
    def lifecycle(self) -> LifecycleManager:
        """Who brings components up."""
        return self.runtime.lifecycle

    def section(self, name: str) -> BaseModel:
        """Return the settings of one section of the configuration."""
        return self.runtime.config.section(name)

    def _under_way(self, run_id: str) -> Run | None:
        return next((run for run in self.engine.under_way if run.run_id == run_id), None)

    async def _record(self) -> None:
        """Write what is to be told of the last runs while they can still be read."""
        recorder: RuntimeTelemetryRecorder | None = vars(self.runtime).get("telemetry")
        if recorder is not None:
            await recorder.flush(self.journal.read)

    def worker(self, *, queue: str = "", events: bool = False, concurrency: int = 0) -> Worker:
        """Return a worker on the queue, asked for by its provider if need be.

        With *events* its messages are events for handlers, else they ask for runs.

        Raises:
            NoCandidateError, UnknownSelectionError: there is no such queue.
        """
        lifecycle, settings = self.runtime.lifecycle, self._settings
        candidate = self.runtime.resolver.resolve(f"adapter:{CATEGORY}", provider=queue)
        link = lifecycle.link(candidate.offer if queue else candidate.ref)
        return Worker(
            _LinkedQueue(link),
            EventMessages(self.runtime.events)
            if events
            else RunMessages(self.tasks, self.workflows),
            clock=self.runtime.clock,
            guard=lifecycle.builder.guard,
            limits=WorkerLimits(
                concurrency=concurrency or settings.concurrency,
                beat=settings.beat_seconds,
                back=settings.back_seconds,
                deliveries=settings.max_deliveries,
                grace=settings.grace_seconds,
            ),
            let_go=self.engine.close,
            told=self.runtime.measures.message,
        )

    def recovery(self) -> Recovery:
        """Return who takes up the runs that somebody left."""
        clock, at_once = self.runtime.clock, self._at_once
        return Recovery(self.engine, self.journal, self.bodies, clock=clock, at_once=at_once)

    def scheduler(self) -> Scheduler:
        """Return who begins what is due."""
        store = ScheduleStore(self.runtime.paths.database)
        return Scheduler(self.tasks, self.workflows, store, clock=self.runtime.clock)

    async def serve(
        self,
        worker: Worker,
        *,
        stop: StopSignals,
        events: bool = False,
        ready: Callable[[], object] = bool,
    ) -> WorkerReport:
        """Work until SIGTERM or SIGINT; begin what is due and take up what was left meanwhile.

        So are messages that others still owe about runs.

        A worker on events does only that, after what waited for handlers that take work again.
        *ready* is called unless *stop* was asked before. At the end nothing new is begun, and what
        is under way gets the grace to finish; the rest is given back.
        """
        stop.then(worker.stop)
        if stop.is_asked:
            return await worker.run()
        ready()
        runs = [self.recovery().run, self.scheduler().run, self.notices.run]
        async with asyncio.TaskGroup() as group:
            also = [self.runtime.deliver_deferred] if events else runs
            also += [partial(self.runtime.telemetry.follow, self.journal.read)]
            others = [group.create_task(each()) for each in also]
            try:
                return await worker.run()
            finally:
                for task in others:
                    task.cancel()


def hosts_of(operator: Operator) -> Callable[[bool], Work]:
    """Return what makes an operator's host, given whether its runs outlive the process."""
    return lambda checkpoints: Work(operator.orchestrator, checkpoints=checkpoints)


class _LinkedCache:
    """The results of steps with a cache key, in whichever cache serves."""

    def __init__(self, lifecycle: LifecycleManager) -> None:
        self._lifecycle = lifecycle

    async def get(self, key: str) -> JSONValue | bytes:
        async with self._lifecycle.use(CACHE) as cache:
            return await cache.get(key)

    async def set(self, key: str, value: JSONValue) -> None:
        async with self._lifecycle.use(CACHE) as cache:
            await cache.set(key, value)


class _LinkedQueue:
    """The queue that serves at each call, so that a swap waits for no worker."""

    def __init__(self, link: Link[Queue]) -> None:
        self._link = link

    async def read(self, *, count: int = 1, timeout: float = 0) -> list[QueueMessage]:
        async with self._link.use() as queue:
            return await queue.read(count=count, timeout=timeout)

    async def ack(self, *messages: QueueMessage) -> int:
        async with self._link.use() as queue:
            return await queue.ack(*messages)

    async def nack(self, *messages: QueueMessage, requeue: bool = True) -> int:
        async with self._link.use() as queue:
            return await queue.nack(*messages, requeue=requeue)

    async def extend(self, *messages: QueueMessage) -> int:
        async with self._link.use() as queue:
            return await queue.extend(*messages)

    async def visibility(self) -> float:
        async with self._link.use() as queue:
            return await queue.visibility()
