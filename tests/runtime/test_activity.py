"""Activity in step with other processes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from oneiric import Candidate, LifecycleManager, Resolver
from oneiric.clock import SystemClock
from oneiric.core.activity import Activity, ActivityState
from oneiric.core.ref import ComponentRef
from oneiric.errors import NotFoundError, PausedError, StoreError
from oneiric.runtime.activity import ActivityFollower
from oneiric.runtime.drain import shares_of
from oneiric.stores.activity import DomainActivityStore
from tests.core.components import until

REF = "task:index"
NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


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

    def __init__(self, path: Path, factory: type[Index] = Index) -> None:
        resolver = Resolver()
        resolver.register(Candidate(REF, "plain", factory))
        self.lifecycle = LifecycleManager(resolver)
        self.store = DomainActivityStore(path)
        self.resumed: list[str] = []
        self.follower = ActivityFollower(
            self.lifecycle, self.store, clock=SystemClock(), interval=0.02, resumed=self.note
        )

    async def note(self, ref: ComponentRef[object]) -> None:
        """Note what another process resumed."""
        self.resumed.append(str(ref))

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


def is_made(path: Path) -> bool:
    """Tell whether there is a file."""
    return path.exists()


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
        await one.follower.pause(REF, note="maint", actor="ada")
        assert not await one.accepts()
        assert await two.accepts()

        await two.follower.catch_up()
        await two.follower.catch_up()
        assert not await two.accepts()
        assert two.lifecycle.status(REF).activity.note == "maint"

        await two.follower.resume(REF, actor="ada")
        assert await two.accepts()
        await one.follower.catch_up()
        assert await one.accepts()
        assert index.phases == ["pause", "resume"]


async def test_promise_a1_a_drain_is_answered_until_nothing_is_in_flight(path: Path) -> None:
    """Each process tells what it still has, and who holds it; accepted work is let finish."""
    async with processes(path) as (one, two):
        async with two.lifecycle.use(REF):
            report = await one.follower.drain(REF, actor="ada")
            assert report.in_flight == 0
            for each in (one, two):
                await each.follower.catch_up()
                await each.follower.answer()
            assert not await two.accepts()
            shares = shares_of(one.store)[REF]
            assert sorted((each.in_flight, len(each.holders)) for each in shares) == [
                (0, 0),
                (1, 1),
            ]
        await two.follower.answer()
        assert [each.in_flight for each in shares_of(one.store)[REF]] == [0, 0]
        await two.follower.leave()
        assert len(shares_of(one.store)[REF]) == 1


async def test_a_drain_that_is_stored_anew_is_answered_anew(path: Path) -> None:
    """The count is the same as the last time, and is said all the same."""
    async with processes(path) as (one, two):
        for _ in range(2):
            await one.follower.drain(REF)
            assert one.store.answers() == []
            await two.follower.catch_up()
            await two.follower.answer()
            assert [each.in_flight for each in one.store.answers()] == [0]


async def test_following_writes_nothing_before_somebody_pauses(path: Path) -> None:
    """A process that only runs leaves no file."""
    async with processes(path) as (one, _):
        await one.follower.catch_up()
        await one.follower.answer()
        await one.follower.leave()
        assert not is_made(path)


async def test_promise_a2_what_nobody_offers_here_is_held_off_all_the_same(path: Path) -> None:
    """Another process may offer it, and so may this one later; then it is paused already."""
    DomainActivityStore(path).set("task:later", Activity(ActivityState.PAUSED, "wait", "ada", NOW))
    async with processes(path) as (one, _):
        await one.follower.catch_up()
        one.lifecycle.resolver.register(Candidate("task:later", "plain", Index))
        with pytest.raises(PausedError, match="task:later is paused by ada: wait"):
            async with one.lifecycle.use("task:later"):
                pass
        activity = one.lifecycle.status("task:later").activity
        assert activity == Activity(ActivityState.PAUSED, "wait", "ada", NOW)


async def test_a_pause_of_what_nobody_knows_is_not_stored(path: Path) -> None:
    """The error has the nearest spelling; a resume of what is stored works without any offer."""
    async with processes(path) as (one, _):
        with pytest.raises(NotFoundError) as caught:
            await one.follower.pause("task:indx")
        assert caught.value.hint == f"did you mean {REF}?"
        assert not is_made(path)

        one.store.set("task:gone", Activity(ActivityState.PAUSED))
        await one.follower.catch_up()
        await one.follower.resume("task:gone")
        assert one.store.snapshot() == {}


async def test_a_resume_elsewhere_is_told_once_the_component_takes_work(path: Path) -> None:
    """What this process resumed itself it need not be told."""
    async with processes(path) as (one, two):
        await one.follower.pause(REF)
        await two.follower.catch_up()
        await one.follower.resume(REF)
        await two.follower.catch_up()
        await one.follower.catch_up()
        assert (one.resumed, two.resumed) == ([], [REF])


class Stubborn(Index):
    """A component that resumes at the third attempt."""

    async def resume(self) -> None:
        self.phases.append("resume")
        if self.phases.count("resume") < 3:
            raise OSError("not yet")


async def test_a_component_that_fails_to_resume_is_asked_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It takes no work before it could; the same failure is logged once."""
    one, two = Process(path), Process(path, Stubborn)
    async with one.lifecycle, two.lifecycle:
        async with two.lifecycle.use(REF) as stubborn:
            pass
        await one.follower.pause(REF)
        await two.follower.catch_up()
        await one.follower.resume(REF)
        for accepts in (False, False, True):
            await two.follower.catch_up()
            assert await two.accepts() is accepts
        await two.follower.catch_up()
        assert stubborn.phases == ["pause", "resume", "resume", "resume"]
    assert sum("activity-phase-failed" in each for each in caplog.messages) == 1


class Slow(Index):
    """A component whose `pause` waits until it may go on."""

    go = asyncio.Event()

    async def pause(self) -> None:
        await Slow.go.wait()


async def test_a_slow_pause_keeps_no_other_waiting(path: Path) -> None:
    """The next poll does not wait for what a component does when it is paused."""
    Slow.go = asyncio.Event()
    one, two = Process(path), Process(path, Slow)
    for each in (one, two):
        each.lifecycle.resolver.register(Candidate("task:other", "plain", Index))
    async with one.lifecycle, two.lifecycle:
        await two.lifecycle.activate(REF)
        following = asyncio.ensure_future(two.follower.follow())
        await one.follower.pause(REF)
        await one.follower.pause("task:other")
        for ref in (REF, "task:other"):
            await until_state(two, ref, ActivityState.PAUSED)
        Slow.go.set()
        following.cancel()
        await asyncio.wait({following})


async def test_what_was_stored_holds_from_the_start(path: Path) -> None:
    """A process that begins later takes no work for what is paused."""
    DomainActivityStore(path).set(REF, Activity(ActivityState.PAUSED))
    async with processes(path) as (one, _):
        await one.follower.catch_up()
        assert not await one.accepts()


async def test_what_only_the_lifecycle_was_told_is_left_alone(path: Path) -> None:
    """A pause made in code is not undone by a store that knows nothing of it."""
    async with processes(path) as (one, _):
        await one.lifecycle.pause(REF)
        await one.follower.catch_up()
        assert not await one.accepts()


async def test_defect_oneiric_a2_a_broken_database_ends_no_loop(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last known state holds, it is logged once, and it recovers by itself."""
    async with processes(path) as (one, two):
        await two.follower.pause(REF)
        good = replace(path, b"no database" * 100)
        await one.follower.catch_up()
        assert await one.accepts()
        with pytest.raises(StoreError):
            await one.follower.pause(REF)
        assert await one.accepts()
        await one.follower.catch_up()
        assert sum("activity-store-failed" in each for each in caplog.messages) == 1

        replace(path, good)
        await one.follower.catch_up()
        assert not await one.accepts()


async def test_defect_oneiric_a4_a_locked_database_never_stalls_the_loop(path: Path) -> None:
    """While another process holds the file, this loop goes on and work is decided at once."""
    async with processes(path) as (one, _):
        await one.follower.pause(REF)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        refresh = asyncio.ensure_future(one.follower.catch_up())
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


async def test_promise_a2_damaged_rows_are_a_damaged_database(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not a bug that ends the following."""
    async with processes(path) as (one, _):
        await one.follower.pause(REF)
        for column, value in (("state", "asleep"), ("since", "noon"), ("ref", "no ref")):
            with closing(sqlite3.connect(path)) as database, database:
                database.execute(f"UPDATE activity SET {column} = ?", (value,))
            await one.follower.catch_up()
            assert not await one.accepts()
            one.store.path.unlink()
            await one.follower.catch_up()
            assert await one.accepts()
            await one.follower.pause(REF)
    assert sum("activity-store-failed" in each for each in caplog.messages) == 3


async def test_following_goes_on_without_end(path: Path) -> None:
    """A change elsewhere is carried out within the interval, and so is the next."""
    async with processes(path) as (one, two):
        following = asyncio.ensure_future(one.follower.follow())
        await two.follower.pause(REF)
        await until_state(one, REF, ActivityState.PAUSED)
        await two.follower.resume(REF)
        await until_state(one, REF, ActivityState.ACTIVE)
        following.cancel()
        await asyncio.wait({following})


async def until_state(process: Process, ref: str, state: ActivityState) -> None:
    """Wait until a component stands so in *process*."""
    async with asyncio.timeout(10):
        await until(lambda: process.lifecycle.activity.get(ref).state is state)
