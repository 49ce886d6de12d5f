"""`task.schedule`: when a task would run, by cron or by interval."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, Field, model_validator

from oneiric.actions.kit import Payload, Record, Result, one_of
from oneiric.clock import Clock, SystemClock, rfc3339

_SECOND = timedelta(seconds=1)


class SchedulePayload(Payload):
    """Exactly one of cron and interval_seconds, within times that may be left open.

    Times are RFC 3339; one without an offset is in `timezone`, and so is the cron
    expression. `max_runs` counts from the next run on.
    """

    task_type: str = Field(min_length=1)
    cron: str | None = Field(default=None, max_length=200)
    interval_seconds: float | None = Field(default=None, ge=0.001, le=1e9)
    start_time: str | None = None
    end_time: str | None = None
    max_runs: int | None = Field(default=None, ge=1)
    preview_runs: int = Field(default=5, ge=0, le=100)
    timezone: str = "UTC"
    queue: str = "default"
    priority: int = 0
    tags: list[str] = Field(default_factory=list)
    payload: Record = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = []
        try:
            one_of(self, ("cron", "interval_seconds"))
        except ValueError as error:
            problems.append(str(error))
        zone = _zone(self.timezone)
        if zone is None:
            problems.append("timezone is none that this machine knows")
        moments = [_moment(text, zone or UTC) for text in (self.start_time, self.end_time) if text]
        if None in moments:
            problems.append("start_time and end_time must be RFC 3339")
        elif len(moments) == 2 and moments[0] >= moments[1]:  # type: ignore[operator]
            problems.append("end_time is not after start_time")
        if self.cron is not None and (wrong := _cron_problem(self.cron)):
            problems.append(wrong)
        if problems:
            raise ValueError("; ".join(problems))
        return self


class ScheduleRule(Result):
    """The rule as it was understood; times in UTC."""

    task_type: str
    kind: Literal["cron", "interval"]
    cron: str | None
    interval_seconds: float | None
    timezone: str
    start_time: str | None
    end_time: str | None
    max_runs: int | None
    queue: str
    priority: int
    tags: list[str]


class ScheduleResult(Result):
    """When it would run, in UTC; `exhausted` when never. Nothing was scheduled."""

    status: Literal["planned", "exhausted"]
    rule: ScheduleRule
    next_run: str | None
    upcoming_runs: list[str]
    payload: Record


class TaskSchedule:
    """Compute the next runs of a rule, however far away, and store nothing.

    Cron is Debian's, names of months and days included: a time that the change to summer
    time leaves out runs just after it, and one that comes twice runs once.
    """

    payload: ClassVar[type[BaseModel]] = SchedulePayload
    result: ClassVar[type[BaseModel]] = ScheduleResult

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def execute(self, payload: SchedulePayload) -> ScheduleResult:
        """Compute it."""
        zone = _zone(payload.timezone) or UTC
        start, end = (
            _moment(text, zone) if text else None for text in (payload.start_time, payload.end_time)
        )
        runs = _runs(payload, zone, self._clock.now(), start)
        wanted = max(1, payload.preview_runs)
        found = []
        for run in islice(runs, min(wanted, payload.max_runs or wanted)):
            if end is not None and run > end:
                break
            found.append(rfc3339(run))
        rule = ScheduleRule(
            task_type=payload.task_type,
            kind="interval" if payload.cron is None else "cron",
            cron=payload.cron,
            interval_seconds=payload.interval_seconds,
            timezone=payload.timezone,
            start_time=rfc3339(start) if start else None,
            end_time=rfc3339(end) if end else None,
            max_runs=payload.max_runs,
            queue=payload.queue,
            priority=payload.priority,
            tags=payload.tags,
        )
        return ScheduleResult(
            status="planned" if found else "exhausted",
            rule=rule,
            next_run=found[0] if found else None,
            upcoming_runs=found[: payload.preview_runs],
            payload=payload.payload,
        )


def _runs(
    payload: SchedulePayload, zone: tzinfo, now: datetime, start: datetime | None
) -> Iterator[datetime]:
    """Yield the runs after *now*, none before *start*, until the calendar ends."""
    runs: Iterator[datetime]
    try:
        if payload.cron is None:
            runs = _steps(payload.interval_seconds or 1.0, now, start)
        else:
            since = max(now, start - _SECOND) if start else now
            runs = CronSim(payload.cron, since.astimezone(zone))
        for run in runs:
            if run > now and (start is None or run >= start):
                yield run
    except (OverflowError, ValueError):
        return


def _steps(seconds: float, now: datetime, start: datetime | None) -> Iterator[datetime]:
    first = start or now + timedelta(seconds=seconds)
    passed = (now - first).total_seconds()
    number = 0 if passed < 0 else math.floor(passed / seconds) + 1
    while True:
        yield first + timedelta(seconds=number * seconds)
        number += 1


def _zone(name: str) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _moment(text: str, zone: tzinfo) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _cron_problem(expression: str) -> str:
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        told = str(error)
        return f"cron: {told[:1].lower()}{told[1:]}"
    return ""
