"""Swaps under load: nobody fails, nobody is given what was cleaned up, nothing is left."""

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import pytest

from oneiric.core.build import PhaseLimits
from oneiric.core.hooks import SwapContext
from oneiric.core.lifecycle import LifecycleManager
from tests.core.components import (
    CACHE,
    Entered,
    Ledger,
    Phased,
    Plain,
    SyncPhased,
    offer,
    running,
    until,
)

TASKS, THREADS, SWAPS = 64, 8, 200
DESCRIPTORS = next((p for p in map(Path, ("/proc/self/fd", "/dev/fd")) if p.is_dir()), None)


@contextmanager
def _switching_every(seconds: float) -> Iterator[None]:
    """Let threads take turns so often; at the default, busy threads starve the loop."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Crowd:
    """Busy tasks and threads that use one component until they are told to stop."""

    def __init__(self, lifecycle: LifecycleManager) -> None:
        self.lifecycle = lifecycle
        self.stop = threading.Event()
        self.used: list[int] = []
        self.failures: list[BaseException] = []

    async def task(self, pause: float) -> None:
        """Work, let others run while holding, work again."""
        used = 0
        while not self.stop.is_set():
            try:
                async with self.lifecycle.use(CACHE) as held:
                    held.work()
                    await asyncio.sleep(pause)
                    held.work()
                used += 1
            except Exception as error:  # noqa: BLE001  counted, and shown when it is not nought
                self.failures.append(error)
        self.used.append(used)

    def thread(self) -> None:
        """Work in bursts; the pause between them lets the loop come to its turn."""
        used = 0
        while not self.stop.wait(0.001):
            try:
                for _ in range(10):
                    with self.lifecycle.use(CACHE) as held:
                        held.work()
                        held.work()
                    used += 1
            except Exception as error:  # noqa: BLE001  counted, and shown when it is not nought
                self.failures.append(error)
        self.used.append(used)


def _end_plain(context: SwapContext) -> None:
    """End what cannot end itself, so that a late use of it would be noticed."""
    if type(context.instance) is Plain:
        context.instance.end()


VARIANTS = {
    "no phases, blocking": (Plain, True, 1e-4),
    "sync phases": (SyncPhased, False, 1e-4),
    "context manager": (Entered, False, 1e-4),
    "no phases, switching like mad": (Plain, False, 1e-6),
    "async phases, switching like mad": (Phased, False, 1e-6),
    "blocking, switching like mad": (SyncPhased, True, 1e-6),
}


@pytest.mark.parametrize(("kind", "blocking", "interval"), VARIANTS.values(), ids=VARIANTS)
async def test_promise_l3_no_call_fails_because_of_a_swap(
    kind: Callable[..., object], blocking: bool, interval: float
) -> None:
    """200 swaps under 64 busy tasks and 8 busy threads: 0 failures, 0 uses after cleanup."""
    ledger = Ledger()
    offers = [offer(ledger, name, kind, blocking=blocking) for name in ("a", "b")]
    async with running(*offers) as lifecycle:
        lifecycle.hook("cleanup", _end_plain)
        await lifecycle.activate(CACHE)
        crowd, loop = Crowd(lifecycle), asyncio.get_running_loop()
        with _switching_every(interval), ThreadPoolExecutor(THREADS) as pool:
            threads = [loop.run_in_executor(pool, crowd.thread) for _ in range(THREADS)]
            tasks = [asyncio.create_task(crowd.task(i % 8 / 10_000)) for i in range(TASKS)]
            try:
                await until(lambda: lifecycle.in_flight(CACHE) >= TASKS)
                names = cycle(("b", "a"))
                reports = [await lifecycle.swap(CACHE, provider=next(names)) for _ in range(SWAPS)]
            finally:
                crowd.stop.set()
            await asyncio.gather(*threads, *tasks)
        assert crowd.failures == []
        assert ledger.late == []
        assert [report for report in reports if not report.ok or report.forced] == []
        assert (len(crowd.used), min(crowd.used) > 0) == (TASKS + THREADS, True)
        assert (len(ledger.made), ledger.open) == (SWAPS + 1, 1)
        assert lifecycle.status(CACHE).swaps.count == SWAPS
    assert ledger.open == 0


# -- L3: who outlives the drain limit -----------------------------------------------------------


async def test_promise_l3_a_forced_drain_names_its_holders_and_is_counted() -> None:
    """A task with where it stands, and a thread; the swap holds all the same."""
    ledger, entered, let_go = Ledger(), threading.Barrier(2), threading.Event()
    async with running(offer(ledger, "a"), limits=PhaseLimits(drain=0.02)) as lifecycle:
        await lifecycle.activate(CACHE)

        async def hold() -> None:
            async with lifecycle.use(CACHE):
                await asyncio.to_thread(let_go.wait, 5.0)

        def hold_in_thread() -> None:
            with lifecycle.use(CACHE):
                entered.wait(5.0)
                let_go.wait(5.0)

        task = asyncio.create_task(hold(), name="slow-task")
        thread = threading.Thread(target=hold_in_thread, name="slow-thread")
        await until(lambda: lifecycle.in_flight(CACHE) == 1)
        thread.start()
        await asyncio.to_thread(entered.wait, 5.0)
        report = await lifecycle.swap(CACHE)
        let_go.set()
        await task
        await asyncio.to_thread(thread.join, 5.0)
        where = f"{hold.__qualname__}:{hold.__code__.co_firstlineno + 2}"
        assert report.ok
        assert sorted(report.forced) == [f"task slow-task at {where}", "thread slow-thread"]
        assert "  drain limit reached: thread slow-thread" in report.render().splitlines()
        status = lifecycle.status(CACHE)
        assert (status.forced_drains, status.swaps.count, ledger.ended) == (1, 1, ["a"])


async def test_promise_l3_whoever_swaps_what_it_holds_is_named() -> None:
    """A task that waits for its own hold does not wait for ever, and is told who it was."""
    async with running(offer(Ledger(), "a"), limits=PhaseLimits(drain=0.01)) as lifecycle:
        async with lifecycle.use(CACHE):
            report = await lifecycle.swap(CACHE)
        name = asyncio.current_task().get_name()  # type: ignore[union-attr]
        assert [holder.split(" at ")[0] for holder in report.forced] == [f"task {name}"]


# -- L5: nothing is left ------------------------------------------------------------------------


class Opened(Phased):
    """Hold two descriptors from `init` to `cleanup`."""

    async def init(self) -> None:
        self.ends = os.pipe()

    async def cleanup(self) -> None:
        for end in self.ends:
            os.close(end)
        await super().cleanup()


@pytest.mark.parametrize("fails", [False, True], ids=["swaps that hold", "swaps that fail"])
async def test_promise_l5_1000_swaps_leave_no_task_descriptor_or_instance(fails: bool) -> None:
    """Counted before and after: tasks, threads, descriptors and live instances."""
    ledger = Ledger()

    def refuse(context: SwapContext) -> None:
        if fails:
            raise ValueError(context.ref)

    async with running(offer(ledger, "a", Opened)) as lifecycle:
        await lifecycle.activate(CACHE)
        lifecycle.hook("post_swap", refuse)
        before = _resources()
        for _ in range(1_000):
            report = await lifecycle.swap(CACHE)
            assert report.ok is not fails
        del report
        assert (_resources(), ledger.open, ledger.late) == (before, 1, [])
        assert len(ledger.made) == 1_001


def _resources() -> tuple[int, int, int, int]:
    gc.collect()
    instances = sum(type(one) is Opened for one in gc.get_objects())
    descriptors = len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS else 0
    return len(asyncio.all_tasks()), threading.active_count(), descriptors, instances
