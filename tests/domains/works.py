"""What tests of tasks, workflows, workers and schedules share: components, and a workplace."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from oneiric.clock import Clock
from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.domains import ALL, ActionBridge
from oneiric.domains.steps import ComponentBodies
from oneiric.domains.tasks import TaskBridge
from oneiric.domains.workflows import WorkflowBridge
from oneiric.errors import JSONValue
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.journal import Journal, MemoryJournal
from oneiric.testing import ManualClock


@dataclass
class Script:
    """What tasks are told to do, and what they did."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def task(self, name: str) -> type:
        """Return a task that notes its payload, fails as often as told, and gives the name."""
        script = self

        class Scripted:
            async def run(self, payload: Any) -> Any:
                script.calls.append((name, payload))
                script.news.set()
                if name in script.gates:
                    await script.gates[name].wait()
                if script.failures.get(name, 0) > 0:
                    script.failures[name] -= 1
                    raise ConnectionError(f"{name} does not answer")
                return {"by": name}

        return Scripted

    async def until(self, *names: str) -> None:
        """Wait until all of these were called."""
        while not set(names) <= set(self.names):
            self.news.clear()
            await self.news.wait()

    @property
    def names(self) -> list[str]:
        """Who was called, in order."""
        return [name for name, _ in self.calls]


class Knowing:
    """Tell what the context of the step says."""

    async def run(self, payload: Any, *, context: StepContext) -> Any:
        return {"attempt": context.attempt, "step": context.step_id, "payload": payload}


class InThread:
    """Tell whether it runs on the main thread."""

    def run(self, payload: Any) -> Any:
        return threading.current_thread() is threading.main_thread()


def task(name: str, factory: Any, **more: Any) -> Candidate:
    """Offer a task by one provider."""
    return Candidate(f"task:{name}", more.pop("provider", "test"), factory, **more)


def workflow(key: str, *nodes: Mapping[str, JSONValue], **more: Any) -> Candidate:
    """Offer a workflow of *nodes*."""
    table = {"nodes": list(nodes), **more.pop("dag", {})}
    metadata = {"dag": table, **more.pop("metadata", {})}
    provider = more.pop("provider", "test")
    return Candidate(f"workflow:{key}", provider, object, metadata=metadata, **more)


@dataclass
class Workplace:
    """Bridges over one journal, composed as the runtime does."""

    lifecycle: LifecycleManager
    engine: RunEngine
    journal: Journal
    bodies: ComponentBodies
    tasks: TaskBridge
    workflows: WorkflowBridge


@asynccontextmanager
async def workplace(
    *candidates: Candidate,
    journal: Journal | None = None,
    clock: Clock | None = None,
    also: Iterable[Candidate] = (),
) -> AsyncIterator[Workplace]:
    """Compose what *candidates* need, and close it all."""
    clock = clock or ManualClock()
    resolver = Resolver()
    for candidate in (*candidates, *also):
        resolver.register(candidate)
    async with LifecycleManager(resolver, clock=clock) as lifecycle:
        bodies = ComponentBodies(lifecycle, ActionBridge(ALL["action"], lifecycle))
        kept = journal or MemoryJournal(clock)
        engine = RunEngine(bodies, journal=kept, clock=clock)
        try:
            yield Workplace(
                lifecycle,
                engine,
                kept,
                bodies,
                TaskBridge(ALL["task"], lifecycle, engine=engine),
                WorkflowBridge(
                    ALL["workflow"], lifecycle, engine=engine, journal=kept, bodies=bodies
                ),
            )
        finally:
            await engine.close()


async def eventually(happens: Callable[[], bool | Awaitable[bool]], *, seconds: float = 15) -> None:
    """Wait until something that tells nobody has happened."""
    for _ in range(int(seconds * 100)):
        found = happens()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")
