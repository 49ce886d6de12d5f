"""When something is due: forwards and backwards, over summer time, leap days and years."""

import time
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.clock import rfc3339
from oneiric.domains.schedule import (
    MOST_MISSED,
    InvalidScheduleError,
    Rule,
    Schedule,
    read_schedule,
)
from oneiric.errors import JSONValue
from oneiric.ports.schedules import Progress

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def told(moments: object) -> list[str]:
    assert isinstance(moments, list)
    return [rfc3339(each).removesuffix(":00.000000Z") for each in moments]


def test_defect_oneiric_z4_a_yearly_schedule_is_instant_both_ways() -> None:
    """As is a leap day, and every second of a year that was missed."""
    began = time.perf_counter()
    leap = Rule.of(cron="0 12 29 feb *")
    assert told(list(islice(leap.after(NEW_YEAR), 1))) == ["2028-02-29T12:00"]
    since = datetime(2000, 1, 1, tzinfo=UTC)
    assert told(list(islice(leap.until(NEW_YEAR, since=since), 2))) == [
        "2024-02-29T12:00", "2020-02-29T12:00",
    ]  # fmt: skip
    every = Rule.of(interval_seconds=1)
    assert len(list(islice(every.until(NEW_YEAR, since=since, anchor=since), 100))) == 100
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("after", "due"),
    [
        (datetime(2026, 3, 28, tzinfo=UTC), ["03-28T01:30", "03-29T01:00", "03-30T00:30"]),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), ["10-25T00:30", "10-26T01:30", "10-27T01:30"]),
    ],
)
def test_summer_time_leaves_nothing_out_and_repeats_nothing(
    after: datetime, due: list[str]
) -> None:
    """A time that does not exist is just after it; one that exists twice is due once."""
    rule = Rule.of(cron="30 2 * * *", timezone="Europe/Berlin")
    found = list(islice(rule.after(after), 3))
    assert told(found) == [f"2026-{each}" for each in due]
    assert list(rule.until(found[-1], since=after)) == found[::-1]


@given(
    rule=st.one_of(
        st.builds(
            lambda minute, hour, zone: Rule.of(cron=f"{minute} {hour} * * *", timezone=zone),
            st.integers(0, 59),
            st.integers(0, 23),
            st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
        ),
        st.builds(lambda seconds: Rule.of(interval_seconds=seconds), st.floats(60, 1e6)),
    ),
    hours=st.integers(0, 24 * 365),
)
def test_what_was_due_is_what_would_be(rule: Rule, hours: int) -> None:
    """For any rule and time: backwards gives what forwards gives, in the other order."""
    begin = NEW_YEAR + timedelta(hours=hours)
    forth = list(islice(rule.after(begin, anchor=NEW_YEAR), 5))
    assert list(rule.until(forth[-1], since=begin, anchor=NEW_YEAR)) == forth[::-1]


def progress(since: datetime, last: datetime | None = None, taken: int = 0) -> Progress:
    return Progress("d", since, last or since, taken)


HOURLY = Rule.of(cron="0 * * * *")
NOW = datetime(2026, 1, 1, 5, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("missed", "late", "due"),
    [
        ("skip", False, ["05:00"]),
        ("once", False, ["05:00"]),
        ("all", False, ["01:00", "02:00", "03:00", "04:00", "05:00"]),
        ("skip", True, []),
        ("once", True, ["05:00"]),
        ("all", True, ["01:00", "02:00", "03:00", "04:00", "05:00"]),
    ],
)
def test_what_was_missed_is_made_up_for_as_said(missed: str, late: bool, due: list[str]) -> None:
    """What is due just now is no miss; of the rest nothing, the latest, or each."""
    now = NOW + timedelta(minutes=30) if late else NOW
    found = Schedule("task:t", HOURLY, missed).due(progress(NEW_YEAR), now, MINUTE)
    assert told(found) == [f"2026-01-01T{each}" for each in due]


def test_of_very_many_missed_the_latest_are_made_up_for() -> None:
    """So that a year without a worker is no flood."""
    schedule = Schedule("task:t", HOURLY, "all")
    found = schedule.due(progress(datetime(2025, 1, 1, tzinfo=UTC)), NOW, MINUTE)
    assert len(found) == MOST_MISSED
    assert told(found[-1:]) == ["2026-01-01T05:00"]
    assert found == sorted(found)


def test_a_schedule_ends_after_its_runs() -> None:
    """`max_runs` counts what was begun, not what was skipped."""
    schedule = Schedule("task:t", HOURLY, "all", max_runs=3)
    assert len(schedule.due(progress(NEW_YEAR), NOW, MINUTE)) == 3
    assert len(schedule.due(progress(NEW_YEAR, taken=2), NOW, MINUTE)) == 1
    assert schedule.next(progress(NEW_YEAR, taken=3), NOW) is None
    assert schedule.next(progress(NEW_YEAR, taken=2), NOW) == NOW.replace(hour=6, second=0)


def test_nothing_is_due_outside_its_times() -> None:
    """Neither before the start nor after the end, looked at from either side."""
    rule = Rule.of(interval_seconds=3600, start="2026-01-01T02:30:00Z", end="2026-01-01T04:45:00Z")
    due = ["2026-01-01T02:30", "2026-01-01T03:30", "2026-01-01T04:30"]
    assert told(list(rule.after(NEW_YEAR))) == due
    assert told(list(rule.until(NOW, since=NEW_YEAR))) == due[::-1]
    assert told(list(Rule.of(cron="0 3 * * *", start="2026-01-02T00:00:00Z").until(
        NOW, since=NEW_YEAR))) == []  # fmt: skip


def test_metadata_says_a_schedule() -> None:
    """Every key has its meaning."""
    table: JSONValue = {
        "cron": "0 9 * * mon", "timezone": "Europe/Berlin", "missed": "skip",
        "max_runs": 4, "payload": {"a": 1}, "end_time": "2027-01-01T00:00:00",
    }  # fmt: skip
    schedule = read_schedule("task:report", table)
    end = datetime(2026, 12, 31, 23, tzinfo=UTC)
    rule = Rule("0 9 * * mon", timezone="Europe/Berlin", end=end)
    assert schedule == Schedule("task:report", rule, "skip", 4, {"a": 1})
    assert (
        rule.digest
        == Rule.of(cron="0 9 * * mon", timezone="Europe/Berlin", end="2026-12-31T23:00:00Z").digest
    )


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ([], "is a table"),
        ({}, "give exactly one of cron, interval_seconds"),
        ({"cron": "* * * * *", "interval_seconds": 1}, "give exactly one"),
        ({"cron": "* * * *"}, "cron: "),
        ({"cron": "* " * 200}, "more than 200 characters"),
        ({"cron": 5}, "cron of a schedule is text"),
        ({"corn": "* * * * *"}, "has no corn"),
        ({"interval_seconds": 0}, "interval_seconds is 0.001 to"),
        ({"interval_seconds": True}, "a number of seconds"),
        ({"interval_seconds": 5, "timezone": "Mars"}, "timezone is none"),
        ({"interval_seconds": 5, "missed": "some"}, "missed is one of skip, once, all"),
        ({"interval_seconds": 5, "max_runs": 0}, "max_runs is a whole number"),
        ({"interval_seconds": 5, "start_time": "soon"}, "must be RFC 3339"),
    ],
)
def test_what_is_no_schedule_is_refused(table: JSONValue, what: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(InvalidScheduleError, match=what):
        read_schedule("task:report", table)


@pytest.mark.parametrize(("missed", "begun"), [("skip", 1), ("once", 1), ("all", 6)])
def test_a_short_interval_makes_up_for_no_more_than_it_says(missed: str, begun: int) -> None:
    """What a process of six seconds away did not begin is not begun at once in a heap."""
    schedule = Schedule("task:tick", Rule.of(interval_seconds=1), missed=missed)
    state = Progress("d", NEW_YEAR, NEW_YEAR)

    due = schedule.due(state, NEW_YEAR + timedelta(seconds=6.5), timedelta(seconds=60))

    assert len(due) == begun
    assert due[-1] == NEW_YEAR + timedelta(seconds=6)
