"""What holding costs: a hold, an activation, a swap, and swaps under load."""

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType

from oneiric.core.candidate import Candidate
from oneiric.core.handle import Handle
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from tests.benchmarks.measure import Row, Size, percentile

REF = "adapter:noop"
SWITCH_SECONDS = 1e-4  # eight busy threads starve the loop at the default of 5 ms
Batch = Callable[[int], Awaitable[None]]


class Noop:
    """A component that does nothing but know whether it was closed."""

    closed = False

    def cleanup(self) -> None:
        """Close."""
        self.closed = True


class Nothing:
    """The floor of a hold: a context manager that does nothing."""

    async def __aenter__(self) -> None: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@asynccontextmanager
async def managed(*, places: int = 0) -> AsyncIterator[LifecycleManager]:
    """Give a manager whose no-op component is up, and *places* that are not."""
    resolver = Resolver()
    resolver.register(Candidate(REF, "noop", Noop))
    for number in range(places):
        resolver.register(Candidate(f"adapter:cold{number}", "noop", Noop))
    async with LifecycleManager(resolver) as lifecycle:
        await lifecycle.activate(REF)
        yield lifecycle


async def by_turns(subject: Batch, floor: Batch, size: Size, calls: int) -> tuple[float, float]:
    """Return the microseconds of CPU of one call of subject and floor, best of repeats."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(size.repeats):
        for batch, figures in zip((subject, floor), found, strict=True):
            started = time.process_time()
            await batch(calls)
            figures.append((time.process_time() - started) / calls * 1e6)
    return min(found[0]), min(found[1])


def use(size: Size) -> list[Row]:
    """Measure a warm hold, from a task and from a thread."""
    return asyncio.run(_use(size))


async def _use(size: Size) -> list[Row]:
    async with managed() as lifecycle:

        async def hold(calls: int) -> None:
            for _ in range(calls):
                async with lifecycle.use(REF):
                    pass

        async def nothing(calls: int) -> None:
            for _ in range(calls):
                async with Nothing():
                    pass

        task = await by_turns(hold, nothing, size, size.calls // 10)
        thread = await asyncio.to_thread(_from_thread, lifecycle, size)
    return [
        Row("warm use in a task", task[0], "us", task[1]),
        Row("warm use in a thread", thread[0], "us", thread[1]),
    ]


def _from_thread(lifecycle: LifecycleManager, size: Size) -> tuple[float, float]:
    held, floor = [], []
    calls = size.calls // 10
    for _ in range(size.repeats):
        started = time.process_time()
        for _ in range(calls):
            with lifecycle.use(REF):
                pass
        held.append((time.process_time() - started) / calls * 1e6)
        started = time.process_time()
        for _ in range(calls):
            with Nothing():
                pass
        floor.append((time.process_time() - started) / calls * 1e6)
    return min(held), min(floor)


async def _tasks(calls: int) -> None:
    """Start and await tasks that do nothing: the floor of what runs in a task of its own."""
    for _ in range(calls):
        await asyncio.create_task(_nothing())


async def _nothing() -> None: ...


def swap(size: Size) -> list[Row]:
    """Measure a swap of a component that does nothing, and its first activation."""
    return asyncio.run(_swap(size))


async def _swap(size: Size) -> list[Row]:
    calls = max(size.calls // 200, 1)
    async with managed(places=calls * size.repeats) as lifecycle:
        cold = iter(range(calls * size.repeats))

        async def swaps(calls: int) -> None:
            for _ in range(calls):
                report = await lifecycle.swap(REF)
                assert report.ok

        async def activate(calls: int) -> None:
            for _ in range(calls):
                await lifecycle.activate(f"adapter:cold{next(cold)}")

        swapped = await by_turns(swaps, _tasks, size, calls)
        activated = await by_turns(activate, _tasks, size, calls)
    return [
        Row("swap of a no-op component", swapped[0], "us", swapped[1]),
        Row("activation of a no-op component", activated[0], "us", activated[1]),
    ]


def swap_among(size: Size, up: int) -> float:
    """Return the microseconds of a swap while *up* components are up, its own included."""
    return asyncio.run(_swap_among(size, up))


async def _swap_among(size: Size, up: int) -> float:
    async with managed(places=up - 1) as lifecycle:
        for number in range(up - 1):
            async with lifecycle.use(f"adapter:cold{number}"):
                pass

        async def swaps(calls: int) -> None:
            for _ in range(calls):
                await lifecycle.swap(REF)

        return (await by_turns(swaps, _tasks, size, max(size.calls // 1000, 1)))[0]


class Load:
    """Callers that hold the component without pause, in tasks and in threads."""

    def __init__(self, lifecycle: LifecycleManager, size: Size) -> None:
        self.failures: list[BaseException] = []
        self.calls = 0
        self.closed = 0
        self._lifecycle = lifecycle
        self._size = size
        self._stopping = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Call until the block is left, and wait for every caller."""
        threads = [threading.Thread(target=self._thread) for _ in range(self._size.threads)]
        async with asyncio.TaskGroup() as group:
            for _ in range(self._size.tasks):
                group.create_task(self._task())
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self._stopping = True
                for thread in threads:
                    await asyncio.to_thread(thread.join)

    async def _task(self) -> None:
        while not self._stopping:
            handle: Handle[Noop] = self._lifecycle.use(REF)
            try:
                async with handle as noop:
                    await asyncio.sleep(0)
                    self._seen(noop)
            except Exception as error:  # noqa: BLE001  a failed call is what is counted
                self.failures.append(error)

    def _thread(self) -> None:
        while not self._stopping:
            handle: Handle[Noop] = self._lifecycle.use(REF)
            try:
                with handle as noop:
                    self._seen(noop)
            except Exception as error:  # noqa: BLE001  a failed call is what is counted
                self.failures.append(error)

    def _seen(self, noop: Noop) -> None:
        self.calls += 1
        self.closed += noop.closed


def swap_under_load(size: Size) -> list[Row]:
    """Swap while tasks and threads call without pause; count what failed or met a closed one."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        return asyncio.run(_swap_under_load(size))
    finally:
        sys.setswitchinterval(interval)


async def _swap_under_load(size: Size) -> list[Row]:
    took = []
    async with managed() as lifecycle:
        load = Load(lifecycle, size)
        async with load.running():
            for _ in range(size.swaps):
                await asyncio.sleep(0)
                report = await lifecycle.swap(REF)
                took.append(report.duration_ms)
                if not report.ok or report.forced:
                    load.failures.append(RuntimeError(report.render()))
    name = f"{size.swaps} swaps, {size.tasks} tasks, {size.threads} threads"
    return [
        *(Row(f"{name}: p{p}", percentile(took, p), "ms") for p in (50, 95, 99)),
        Row(f"{name}: failed calls", len(load.failures), ""),
        Row(f"{name}: calls of a closed one", load.closed, ""),
        Row(f"{name}: calls meanwhile", load.calls, ""),
    ]
