"""`task.schedule`: runs near and far, in any zone."""

import time
from typing import Any

import pytest

from oneiric.actions.task_schedule import SchedulePayload, TaskSchedule
from oneiric.domains import InvalidPayloadError
from oneiric.testing import ManualClock
from tests.actions.conftest import Act


def plan(**payload: Any) -> Any:
    """Return the plan as of 2026-01-01T00:00:00Z."""
    kit = TaskSchedule(clock=ManualClock())
    return kit.execute(SchedulePayload.model_validate({"task_type": "t", **payload})).model_dump()


def days(found: Any) -> list[str]:
    return [run.removesuffix(":00.000000Z") for run in found["upcoming_runs"]]


def test_defect_oneiric_z4_a_yearly_schedule_is_instant() -> None:
    """As is one that comes once in many years; names of months and days are known."""
    began = time.perf_counter()
    yearly = plan(cron="0 0 25 DEC *", preview_runs=3)
    leap = plan(cron="0 12 29 feb *", preview_runs=2)

    assert time.perf_counter() - began < 0.5
    assert days(yearly) == ["2026-12-25T00:00", "2027-12-25T00:00", "2028-12-25T00:00"]
    assert days(leap) == ["2028-02-29T12:00", "2032-02-29T12:00"]
    assert days(plan(cron="0 9 * * mon", preview_runs=1)) == ["2026-01-05T09:00"]


def test_cron_is_in_its_zone_through_summer_time() -> None:
    """A time that is left out runs just after it, one that comes twice runs once."""
    nightly = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    spring = plan(**nightly, start_time="2026-03-28T00:00:00", preview_runs=3)
    autumn = plan(**nightly, start_time="2026-10-24T12:00:00", preview_runs=2)

    assert days(spring) == ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]
    assert days(autumn) == ["2026-10-25T00:30", "2026-10-26T01:30"]


def test_an_interval_keeps_its_grid() -> None:
    """From its start, however long ago, without counting up to now."""
    fresh = plan(interval_seconds=60, preview_runs=2)
    old = plan(interval_seconds=0.5, start_time="1970-01-01T00:00:00Z", preview_runs=1)
    later = plan(interval_seconds=3600, start_time="2026-02-01T00:00:00+01:00", preview_runs=1)

    assert days(fresh) == ["2026-01-01T00:01", "2026-01-01T00:02"]
    assert old["next_run"] == "2026-01-01T00:00:00.500000Z"
    assert days(later) == ["2026-01-31T23:00"]


def test_a_schedule_ends() -> None:
    """By its end, by its count, with the calendar, or before it begins."""
    by_end = plan(cron="0 0 * * *", end_time="2026-01-03T00:00:00Z")
    by_count = plan(interval_seconds=60, max_runs=2, preview_runs=5)
    far = plan(cron="0 0 1 1 *", start_time="9999-06-01T00:00:00Z")
    over = plan(cron="0 0 * * *", end_time="2025-01-01T00:00:00Z")

    assert days(by_end) == ["2026-01-02T00:00", "2026-01-03T00:00"]
    assert len(by_count["upcoming_runs"]) == 2
    assert (far["status"], over["status"], over["next_run"]) == ("exhausted", "exhausted", None)


def test_the_next_run_is_told_without_a_preview() -> None:
    """And the rule as it was understood, with the payload; nothing claims to be scheduled."""
    found = plan(
        cron="0 0 * * *", preview_runs=0, queue="q", priority=3, tags=["x"], payload={"a": 1}
    )

    assert (found["status"], found["upcoming_runs"]) == ("planned", [])
    assert found["next_run"] == "2026-01-02T00:00:00.000000Z"
    assert found["payload"] == {"a": 1}
    assert (found["rule"]["kind"], found["rule"]["queue"], found["rule"]["tags"]) == (
        "cron",
        "q",
        ["x"],
    )


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({}, "give exactly one of cron, interval_seconds"),
        ({"cron": "* * *"}, "cron: wrong number of fields"),
        ({"cron": "0 0 30 2 *"}, "cron: bad day-of-month"),
        ({"cron": "* * * * *", "timezone": "Mars/Base"}, "timezone is none"),
        ({"cron": "* * * * *", "timezone": "../etc"}, "timezone is none"),
        ({"interval_seconds": 1, "start_time": "soon"}, "must be RFC 3339"),
        (
            {
                "interval_seconds": 1,
                "start_time": "2026-01-02T00:00:00Z",
                "end_time": "2026-01-01T00:00:00Z",
            },
            "end_time is not after start_time",
        ),
    ],
)
async def test_a_wrong_rule_is_refused(act: Act, wrong: dict[str, Any], what: str) -> None:
    """With what is wrong about it."""
    with pytest.raises(InvalidPayloadError, match=what):
        await act("task.schedule", task_type="t", **wrong)
