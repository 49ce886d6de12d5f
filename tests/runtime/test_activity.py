"""Activity in step with other processes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from oneiric import Candidate, LifecycleManager, Resolver
from oneiric.clock import SystemClock
from oneiric.core.activity import Activity, ActivityState
from oneiric.core.logging import get_logger
from oneiric.errors import PausedError, StoreError
from oneiric.runtime.activity import ActivityFollower, is_alive
from oneiric.stores import DomainActivityStore

REF = "task:index"


class Index:
    """A component that notes which phases were called."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    async def pause(self) -> None:
        self.phases.append("pause")

    async def resume(self) -> None:
        self.phases.append("resume")


class Process:
    """What one process of the folder has: a lifecycle, and a follower of the shared store."""

    def __init__(self, path: Path) -> None:
        resolver = Resolver()
        resolver.register(Candidate(REF, "plain", Index))
        self.lifecycle = LifecycleManager(resolver)
        self.store = DomainActivityStore(path)
        self.follower = ActivityFollower(
            self.lifecycle, self.store, clock=SystemClock(), log=get_logger("oneiric.tests")
        )

    async def accepts(self) -> bool:
        """Tell whether a call is let in."""
        try:
            async with self.lifecycle.use(REF):
                return True
        except PausedError:
            return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the processes of a test share their store."""
    return tmp_path / "domain_activity.sqlite"


def replace(path: Path, content: bytes) -> bytes:
    """Write *content* into the file, and return what it held."""
    before = path.read_bytes()
    path.write_bytes(content)
    return before


@asynccontextmanager
async def processes(path: Path) -> AsyncIterator[tuple[Process, Process]]:
    """Give two that share a store, closed at the end."""
    one, two = Process(path), Process(path)
    async with one.lifecycle, two.lifecycle:
        yield one, two


async def test_promise_a1_a_pause_holds_here_at_once_and_there_after_a_poll(path: Path) -> None:
    """And so does its end; the component's own phases are called once each."""
    async with processes(path) as (one, two):
        async with two.lifecycle.use(REF) as index:
            pass
        await one.follower.set(REF, ActivityState.PAUSED, note="maint", actor="ada")
        assert not await one.accepts()
        assert await two.accepts()

        await two.follower.refresh()
        await two.follower.refresh()
        assert not await two.accepts()
        assert two.lifecycle.status(REF).activity.note == "maint"

        await two.follower.set(REF, ActivityState.ACTIVE, note="", actor="ada")
        assert await two.accepts()
        await one.follower.refresh()
        assert await one.accepts()
        assert index.phases == ["pause", "resume"]


async def test_promise_a1_a_drain_is_answered_until_nothing_is_in_flight(path: Path) -> None:
    """Each process tells what it still has; accepted work is let finish."""
    async with processes(path) as (one, two):
        async with two.lifecycle.use(REF):
            await one.follower.set(REF, ActivityState.DRAINING, note="", actor="ada")
            await one.follower.refresh()
            await two.follower.refresh()
            assert not await two.accepts()
            assert sorted(each.in_flight for each in one.store.answers(REF)) == [1]
        await two.follower.refresh()
        assert [each.in_flight for each in one.store.answers(REF)] == [0]
        assert is_alive(one.store.answers(REF)[0].pid)


async def test_what_was_stored_holds_from_the_start(path: Path) -> None:
    """A process that begins later takes no work for what is paused."""
    DomainActivityStore(path).set(REF, Activity(ActivityState.PAUSED))
    async with processes(path) as (one, _):
        await one.follower.refresh()
        assert not await one.accepts()


async def test_what_only_the_lifecycle_was_told_is_left_alone(path: Path) -> None:
    """A pause made in code is not undone by a store that knows nothing of it."""
    async with processes(path) as (one, _):
        await one.lifecycle.pause(REF)
        await one.follower.refresh()
        assert not await one.accepts()


async def test_defect_oneiric_a2_a_broken_database_ends_no_loop(path: Path) -> None:
    """The last known state holds, it is logged once, and it recovers by itself."""
    async with processes(path) as (one, two):
        await two.follower.set(REF, ActivityState.PAUSED, note="", actor="")
        good = replace(path, b"no database" * 100)
        await one.follower.refresh()
        assert await one.accepts()
        with pytest.raises(StoreError):
            await one.follower.set(REF, ActivityState.PAUSED, note="", actor="")
        assert await one.accepts()

        replace(path, good)
        await one.follower.refresh()
        assert not await one.accepts()


async def test_defect_oneiric_a4_a_locked_database_never_stalls_the_loop(path: Path) -> None:
    """While another process holds the file, this loop goes on and work is decided at once."""
    async with processes(path) as (one, _):
        await one.follower.set(REF, ActivityState.PAUSED, note="", actor="")
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        refresh = asyncio.ensure_future(one.follower.refresh())
        clock = asyncio.get_running_loop().time
        longest = 0.0
        for _ in range(50):
            before = clock()
            await asyncio.sleep(0.002)
            assert not await one.accepts()
            longest = max(longest, clock() - before)
        holder.execute("ROLLBACK")
        holder.close()
        await refresh
        assert longest < 0.5


async def test_following_goes_on_without_end(path: Path) -> None:
    """A change elsewhere is carried out within the interval."""
    async with processes(path) as (one, two):
        follower = ActivityFollower(
            one.lifecycle,
            one.store,
            clock=SystemClock(),
            log=get_logger("oneiric.tests"),
            interval=0.02,
        )
        task = asyncio.ensure_future(follower.follow())
        await two.follower.set(REF, ActivityState.PAUSED, note="", actor="")
        for _ in range(500):
            if not await one.accepts():
                break
            await asyncio.sleep(0.01)
        assert not await one.accepts()
        task.cancel()
