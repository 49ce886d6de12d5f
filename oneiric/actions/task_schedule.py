"""`task.schedule`: when a task would run, by cron or by interval."""

from __future__ import annotations

from itertools import islice
from typing import ClassVar, Literal, Self

from pydantic import BaseModel, Field, model_validator

from oneiric.actions.kit import Payload, Record, Result
from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.domains.schedule import InvalidScheduleError, Rule


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
        try:
            rule_of(self)
        except InvalidScheduleError as error:
            raise ValueError(error.message) from None
        return self


def rule_of(payload: SchedulePayload) -> Rule:
    """Return the rule that a payload says.

    Raises:
        InvalidScheduleError: it is none.
    """
    return Rule.of(
        cron=payload.cron,
        interval_seconds=payload.interval_seconds,
        timezone=payload.timezone,
        start=payload.start_time,
        end=payload.end_time,
    )


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
        when = rule_of(payload)
        wanted = max(1, payload.preview_runs)
        runs = islice(when.after(self._clock.now()), min(wanted, payload.max_runs or wanted))
        found = [rfc3339(run) for run in runs]
        rule = ScheduleRule(
            task_type=payload.task_type,
            kind="interval" if payload.cron is None else "cron",
            cron=payload.cron,
            interval_seconds=payload.interval_seconds,
            timezone=payload.timezone,
            start_time=rfc3339(when.start) if when.start else None,
            end_time=rfc3339(when.end) if when.end else None,
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
