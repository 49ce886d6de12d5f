"""What every journal promises, as one suite: a subclass gives the journal."""

import asyncio
from collections.abc import Mapping

import pytest

from oneiric.errors import JSONValue, LeaseLostError, NotFoundError, RunExistsError
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import Journal, Lease
from oneiric.runs.state import RunState
from oneiric.testing import ManualClock

AT = "2026-11-21T09:00:00.000000Z"


def created(run_id: str, name: str = "order") -> RunEvent:
    """Return the first event of a run of a plan without steps."""
    data: Mapping[str, JSONValue] = {"plan": {"name": name, "steps": []}, "digest": "d"}
    return RunEvent(run_id, EventKind.RUN_CREATED, AT, data=data)


def event(run_id: str, kind: EventKind, step: str = "", **data: JSONValue) -> RunEvent:
    """Return an event that is not stored yet."""
    return RunEvent(run_id, kind, AT, step, data)


class JournalLaws:
    """Run against every journal; `journal` and `clock` are fixtures of the subclass."""

    async def test_events_are_numbered_from_one_without_gaps(self, journal: Journal) -> None:
        """What was appended is read back whole, in order, numbered by the journal."""
        first, _ = await journal.create("r1", [created("r1")])
        note = event("r1", EventKind.NOTED, "a", text="é\u2028", deep={"list": [1, None, 1.5]})
        later = await journal.append("r1", [note, note])
        assert [each.seq for each in [*first, *later]] == [1, 2, 3]
        assert list(await journal.read("r1")) == [*first, *later]
        assert list(await journal.read("r1", after=2)) == [later[1]]
        assert later[0].data == note.data
        assert list(await journal.read("nobody")) == []

    async def test_a_run_is_created_once(self, journal: Journal) -> None:
        """The second creator learns that the run exists, and changes nothing."""
        await journal.create("r1", [created("r1")])
        with pytest.raises(RunExistsError):
            await journal.create("r1", [created("r1", "other")], holder="me", seconds=10)
        (record,) = await journal.runs()
        assert (record.name, record.last_seq, record.is_held) == ("order", 1, False)

    async def test_an_unknown_run_is_an_error(self, journal: Journal) -> None:
        """Nothing is appended to, or claimed of, a run that does not exist."""
        with pytest.raises(NotFoundError):
            await journal.append("r1", [event("r1", EventKind.NOTED)])
        with pytest.raises(NotFoundError):
            await journal.claim("r1", holder="me", seconds=10)

    async def test_promise_w8_a_lost_lease_records_nothing(
        self, journal: Journal, clock: ManualClock
    ) -> None:
        """Once another holder claimed the run, the first can store and prolong nothing."""
        _, mine = await journal.create("r1", [created("r1")], holder="me", seconds=10)
        assert mine is not None
        assert await journal.claim("r1", holder="you", seconds=10) is None
        clock.advance(11)
        yours = await journal.claim("r1", holder="you", seconds=10)
        assert yours is not None
        assert yours.token > mine.token
        with pytest.raises(LeaseLostError):
            await journal.append("r1", [event("r1", EventKind.NOTED)], lease=mine)
        assert list(await journal.renew([mine, yours], seconds=10)) == [yours]
        await journal.release(mine)
        assert await journal.claim("r1", holder="me", seconds=10) is None
        assert len(await journal.read("r1")) == 1

    async def test_a_lease_that_is_overdue_but_unclaimed_still_writes(
        self, journal: Journal, clock: ManualClock
    ) -> None:
        """Only another claim fences a holder; time alone loses no work."""
        _, mine = await journal.create("r1", [created("r1")], holder="me", seconds=10)
        clock.advance(60)
        await journal.append("r1", [event("r1", EventKind.NOTED)], lease=mine)
        assert mine is not None
        assert list(await journal.renew([mine], seconds=10)) == [mine]
        assert await journal.claim("r1", holder="you", seconds=10) is None

    async def test_the_same_holder_may_claim_again(self, journal: Journal) -> None:
        """A claim by the holder in force succeeds, and fences its own earlier one."""
        _, mine = await journal.create("r1", [created("r1")], holder="me", seconds=10)
        again = await journal.claim("r1", holder="me", seconds=10)
        assert mine is not None
        assert again is not None
        assert again.token > mine.token

    async def test_a_released_run_can_be_claimed_at_once(self, journal: Journal) -> None:
        """Release ends the claim before its time."""
        _, mine = await journal.create("r1", [created("r1")], holder="me", seconds=1000)
        assert mine is not None
        await journal.release(mine)
        assert await journal.claim("r1", holder="you", seconds=10) is not None

    async def test_others_append_without_a_lease_and_are_noticed(self, journal: Journal) -> None:
        """A signal from outside takes its number among the holder's events, and is told."""
        _, mine = await journal.create("r1", [created("r1")], holder="me", seconds=10)
        outside = journal.outside()
        noticed = asyncio.ensure_future(anext(outside))
        await asyncio.sleep(0)
        await journal.append("r1", [event("r1", EventKind.SIGNALED, "a", name="ok")])
        (own,) = await journal.append("r1", [event("r1", EventKind.NOTED)], lease=mine)
        assert own.seq == 3
        assert await asyncio.wait_for(noticed, 5) == "r1"

    async def test_follow_ends_with_the_run(self, journal: Journal) -> None:
        """A follower sees what was, what comes, and the end."""
        await journal.create("r1", [created("r1")])

        async def seen() -> list[int]:
            return [each.seq async for each in journal.follow("r1")]

        follower = asyncio.ensure_future(seen())
        await asyncio.sleep(0.01)
        await journal.append("r1", [event("r1", EventKind.NOTED)])
        await journal.append("r1", [event("r1", EventKind.RUN_ENDED, state="succeeded")])
        assert await asyncio.wait_for(follower, 5) == [1, 2, 3]

    async def test_runs_are_listed_newest_first(self, journal: Journal) -> None:
        """Names, ends and places in the list narrow it; records tell state and holder."""
        for number, name in enumerate(("a", "b", "a")):
            await journal.create(f"r{number}", [created(f"r{number}", name)])
        await journal.claim("r2", holder="me", seconds=10)
        await journal.append("r2", [event("r2", EventKind.RUN_STARTED, token=1)])
        await journal.append("r0", [event("r0", EventKind.RUN_ENDED, state="failed")])
        listed = await journal.runs()
        assert [each.run_id for each in listed] == ["r2", "r1", "r0"]
        states = [RunState.RUNNING, RunState.QUEUED, RunState.FAILED]
        assert [each.state for each in listed] == states
        assert [(each.holder, each.is_held) for each in listed[:2]] == [("me", True), ("", False)]
        assert [each.run_id for each in await journal.runs(name="a")] == ["r2", "r0"]
        assert [each.run_id for each in await journal.runs(open_only=True)] == ["r2", "r1"]
        assert [each.run_id for each in await journal.runs(before="r2", limit=1)] == ["r1"]

    async def test_what_json_can_say_is_read_back(self, journal: Journal) -> None:
        """Any JSON value comes back equal: deep, empty, large, or of any text."""
        data: dict[str, JSONValue] = {
            "texts": ["", "\x00", "é\u2028\U0001f600", '"\\', "\ud800", "x" * 100_000],
            "numbers": [0, -1, 2**53, 1.5, 1e300, 0.1],
            "deep": {"a": {"b": [[[]], {}, None, True, False]}},
            "": {"": ""},
        }
        await journal.create("r1", [created("r1")])
        await journal.append("r1", [event("r1", EventKind.NOTED, "a", **data)])
        assert (await journal.read("r1", after=1))[0].data == data

    async def test_appending_nothing_stores_and_tells_nothing(self, journal: Journal) -> None:
        """No event takes no number; the run has to exist and the lease to hold all the same."""
        _, mine = await journal.create("r1", [created("r1")], holder="me", seconds=10)
        assert list(await journal.append("r1", [], lease=mine)) == []
        assert list(await journal.append("r1", [])) == []
        await journal.claim("r1", holder="me", seconds=10)
        with pytest.raises(LeaseLostError):
            await journal.append("r1", [], lease=mine)
        assert len(await journal.read("r1")) == 1
        assert list(await journal.read("r1", after=9)) == []

    async def test_appends_at_once_are_numbered_one_after_another(self, journal: Journal) -> None:
        """Many who append to few runs get numbers without gaps, each its events together."""
        runs = [f"r{number}" for number in range(3)]
        for run_id in runs:
            await journal.create(run_id, [created(run_id)])

        async def many(run_id: str, who: int) -> list[list[int]]:
            notes = [event(run_id, EventKind.NOTED, who=who)] * 2
            stored = [await journal.append(run_id, notes) for _ in range(10)]
            return [[each.seq for each in events] for events in stored]

        for numbers in await asyncio.gather(*(many(runs[who % 3], who) for who in range(12))):
            assert all(second == first + 1 for first, second in numbers)
            assert numbers == sorted(numbers)
        for run_id in runs:
            assert [each.seq for each in await journal.read(run_id)] == list(range(1, 82))

    async def test_a_cancelled_append_is_stored_whole_or_not_at_all(self, journal: Journal) -> None:
        """Cancelling those who append leaves no gap, no half, and a journal that works."""
        await journal.create("r1", [created("r1")])
        notes = [event("r1", EventKind.NOTED)] * 3
        for turns in range(20):
            appending = asyncio.ensure_future(journal.append("r1", notes))
            for _ in range(turns):
                await asyncio.sleep(0)
            appending.cancel()
            await asyncio.wait([appending])
        (last,) = await journal.append("r1", [event("r1", EventKind.NOTED)])
        stored = await journal.read("r1")
        assert [each.seq for each in stored] == list(range(1, last.seq + 1))
        assert last.seq % 3 == 2

    async def test_long_runs_are_read_and_followed_in_full(self, journal: Journal) -> None:
        """However many events a run has, each is given once, in order."""
        await journal.create("r1", [created("r1")])
        await journal.append("r1", [event("r1", EventKind.NOTED)] * 1498)
        await journal.append("r1", [event("r1", EventKind.RUN_ENDED, state="succeeded")])
        assert [each.seq for each in await journal.read("r1")] == list(range(1, 1501))
        followed = [each.seq async for each in journal.follow("r1", after=3)]
        assert followed == list(range(4, 1501))

    async def test_following_an_unknown_run_is_an_error(self, journal: Journal) -> None:
        """Nobody waits for a run that does not exist."""
        with pytest.raises(NotFoundError):
            await anext(journal.follow("r1"))

    async def test_only_appends_without_a_lease_are_told(self, journal: Journal) -> None:
        """The holder's own events are no news from outside, and each other append is told once."""
        _, mine = await journal.create("r1", [created("r1")], holder="me", seconds=10)
        await journal.create("r2", [created("r2")])
        outside = journal.outside()
        first = asyncio.ensure_future(anext(outside))
        await asyncio.sleep(0)
        await journal.append("r1", [event("r1", EventKind.NOTED)], lease=mine)
        await journal.append("r2", [event("r2", EventKind.SIGNALED)])
        assert await asyncio.wait_for(first, 5) == "r2"
        await journal.append("r1", [event("r1", EventKind.SIGNALED)])
        assert await asyncio.wait_for(anext(outside), 5) == "r1"

    async def test_a_run_can_be_reopened(self, journal: Journal) -> None:
        """A run that ended and is reopened runs again, in lists too."""
        await journal.create("r1", [created("r1")])
        await journal.append("r1", [event("r1", EventKind.RUN_ENDED, state="failed")])
        assert list(await journal.runs(open_only=True)) == []
        await journal.append("r1", [event("r1", EventKind.RUN_REOPENED, steps=[])])
        (record,) = await journal.runs(open_only=True)
        assert (record.state, record.last_seq) == (RunState.RUNNING, 3)

    async def test_renewing_prolongs_from_now(self, journal: Journal, clock: ManualClock) -> None:
        """A renewed claim lasts from the renewal on; many are renewed in one call."""
        leases = []
        for number in range(3):
            run_id = f"r{number}"
            _, lease = await journal.create(run_id, [created(run_id)], holder="me", seconds=10)
            assert lease is not None
            leases.append(lease)
        clock.advance(8)
        assert list(await journal.renew(leases, seconds=10)) == leases
        assert list(await journal.renew([], seconds=10)) == []
        clock.advance(8)
        assert [each.is_held for each in await journal.runs()] == [True, True, True]
        clock.advance(3)
        assert [each.is_held for each in await journal.runs()] == [False, False, False]

    async def test_a_lease_of_no_run_is_lost(self, journal: Journal) -> None:
        """A run that is not there is held by nobody: nothing is renewed, release is no error."""
        lease = Lease("nobody", "me", 1)
        assert list(await journal.renew([lease], seconds=10)) == []
        await journal.release(lease)

    async def test_closing_ends_those_who_follow_and_listen(self, journal: Journal) -> None:
        """Nobody waits for a journal that was closed; closing again changes nothing."""
        await journal.create("r1", [created("r1")])

        async def follow() -> int:
            return len([each async for each in journal.follow("r1")])

        async def listen() -> int:
            return len([each async for each in journal.outside()])

        waiting = asyncio.gather(follow(), listen())
        await asyncio.sleep(0.05)
        await journal.aclose()
        assert list(await asyncio.wait_for(waiting, 5)) == [1, 0]
        await journal.aclose()
