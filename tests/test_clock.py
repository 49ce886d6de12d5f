"""The clocks: ids that ascend, times as text, and a clock that is moved by hand."""

import asyncio
import itertools
import re
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.clock import Clock, SystemClock, rfc3339, uuid7
from oneiric.testing import ManualClock

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")


def test_ids_of_one_clock_are_uuid7_and_ascend() -> None:
    """However fast ids are asked for, each is well-formed and greater than the one before."""
    clock = SystemClock()
    ids = [clock.new_id() for _ in range(20_000)]
    assert all(UUID7.match(one) for one in ids)
    assert all(one < other for one, other in itertools.pairwise(ids))


def test_ids_ascend_when_the_date_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id made after the machine's date went back is still greater."""
    clock = SystemClock()
    before = clock.new_id()
    past = time.time_ns() - 3_600_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: past)
    assert clock.new_id() > before


def test_an_id_carries_the_time_of_its_making() -> None:
    """The first 48 bits are milliseconds of Unix time, as RFC 9562 has it."""
    before = time.time_ns() // 1_000_000
    made = int(SystemClock().new_id().replace("-", "")[:12], 16)
    after = time.time_ns() // 1_000_000
    assert before <= made <= after


def test_uuid7_gives_the_vector_of_the_standard() -> None:
    """RFC 9562, appendix A.6."""
    made = uuid7(0x017F22E279B0 << 12 | 0xCC3, 0x18C4DC0C0C07398F)
    assert made == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(st.datetimes(timezones=st.just(UTC)))
def test_rfc3339_text_reads_back_as_the_same_moment(moment: datetime) -> None:
    """Any moment survives being written and read, to the microsecond."""
    assert datetime.fromisoformat(rfc3339(moment)) == moment


def test_rfc3339_is_utc_with_six_digits_and_a_z() -> None:
    """Other zones are converted; whole seconds keep their digits."""
    summer = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 6, 1, 12, tzinfo=summer)) == "2026-06-01T10:00:00.000000Z"


def test_rfc3339_refuses_a_time_without_a_zone() -> None:
    """A time that could mean several moments is not written."""
    with pytest.raises(ValueError, match="without a zone"):
        rfc3339(datetime(2026, 6, 1, 12))  # noqa: DTZ001  the refusal is the point


async def test_the_systems_clock_sleeps_and_counts_on() -> None:
    """`sleep` waits for as long as `monotonic` counts; `now` is in UTC."""
    clock = SystemClock()
    started = clock.monotonic()
    await clock.sleep(0.01)
    assert clock.monotonic() - started >= 0.009
    assert clock.now().tzinfo is UTC


async def test_a_manual_clock_wakes_sleepers_in_the_order_of_their_ends() -> None:
    """Shorter waits end first, equal ones in the order in which they began."""
    clock, woken = ManualClock(), list[str]()

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name, seconds in (("c", 3.0), ("a", 1.0), ("b1", 2.0), ("b2", 2.0), ("d", 9.0)):
            tasks.create_task(sleeper(name, seconds))
        await clock.until_waiting(5)
        clock.advance(3.0)
        await asyncio.sleep(0)
        early, waiting = list(woken), clock.waiting
        clock.advance(6.0)
    assert (early, waiting) == (["a", "b1", "b2", "c"], 1)
    assert woken == ["a", "b1", "b2", "c", "d"]


async def test_a_manual_clock_stands_still_by_itself() -> None:
    """Date and count change by `advance` only, and together."""
    clock: Clock = ManualClock(datetime(2026, 6, 1, tzinfo=UTC))
    await clock.sleep(0)
    assert (clock.now(), clock.monotonic()) == (datetime(2026, 6, 1, tzinfo=UTC), 0.0)
    assert isinstance(clock, ManualClock)
    clock.advance(90.0)
    assert (clock.now(), clock.monotonic()) == (datetime(2026, 6, 1, 0, 1, 30, tzinfo=UTC), 90.0)


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """A sleeper that gave up neither counts nor hinders the others."""
    clock = ManualClock()
    sleeping = asyncio.create_task(clock.sleep(1.0))
    await clock.until_waiting()
    sleeping.cancel()
    await asyncio.wait({sleeping})
    clock.advance(1.0)
    assert (sleeping.cancelled(), clock.waiting) == (True, 0)


def test_a_manual_clock_foretells_its_ids() -> None:
    """Two clocks that were moved alike make the same ids, ascending."""
    one, other = ManualClock(), ManualClock()
    ids = [one.new_id(), one.new_id()]
    one.advance(0.001)
    ids.append(one.new_id())
    other_ids = [other.new_id(), other.new_id()]
    assert ids[:2] == other_ids
    assert ids == sorted(ids)
    assert all(UUID7.match(made) for made in ids)


def test_a_manual_clock_does_not_go_back() -> None:
    """`monotonic` never goes backwards, so a negative step is an error."""
    with pytest.raises(ValueError, match="does not go back 1 s"):
        ManualClock().advance(-1.0)
