"""When something is due: by cron or by interval, within times, in a time zone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from oneiric.clock import rfc3339
from oneiric.documents import digest
from oneiric.errors import InvalidError, JSONValue
from oneiric.ports.schedules import Progress

MISSED = ("skip", "once", "all")
MOST_MISSED = 100
"""The most occurrences that are made up for; of more, the latest."""

LEAST_SECONDS, MOST_SECONDS = 0.001, 1e9
_LONGEST_CRON = 200
_SECOND = timedelta(seconds=1)


class InvalidScheduleError(InvalidError):
    """A rule that says never, or more than one thing, when something is due."""

    code = "invalid-schedule"


@dataclass(frozen=True, slots=True)
class Rule:
    """Say when something is due: `cron` or `interval_seconds`, one of the two.

    Cron is Debian's, names of months and days included: a time that the change to summer
    time leaves out is due just after it, and one that comes twice is due once. `timezone` is
    that of the cron expression. Nothing is due before `start` nor after `end`.

    >>> rule = Rule(cron="0 9 * * mon", timezone="Europe/Berlin")
    >>> rfc3339(next(rule.after(datetime(2026, 11, 21, tzinfo=UTC))))
    '2026-11-23T08:00:00.000000Z'
    """

    cron: str = ""
    interval_seconds: float = 0.0
    timezone: str = "UTC"
    start: datetime | None = None
    end: datetime | None = None

    @classmethod
    def of(
        cls,
        *,
        cron: str | None = None,
        interval_seconds: float | None = None,
        timezone: str = "UTC",
        start: str | None = None,
        end: str | None = None,
    ) -> Rule:
        """Return the rule, with times from RFC 3339 text; without an offset in *timezone*.

        Raises:
            InvalidScheduleError: everything that is wrong, in one line.
        """
        problems = []
        if (cron is None) == (interval_seconds is None):
            problems.append("give exactly one of cron, interval_seconds")
        zone = _zone(timezone)
        if zone is None:
            problems.append("timezone is none that this machine knows")
        first, last = (_moment(text, zone or UTC) if text else None for text in (start, end))
        if (start and first is None) or (end and last is None):
            problems.append("start_time and end_time must be RFC 3339")
        elif first and last and first >= last:
            problems.append("end_time is not after start_time")
        if cron is not None and (wrong := _cron_problem(cron)):
            problems.append(wrong)
        seconds = LEAST_SECONDS if interval_seconds is None else interval_seconds
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            problems.append(f"interval_seconds is {LEAST_SECONDS} to {MOST_SECONDS:g}")
        if problems:
            raise InvalidScheduleError("; ".join(problems))
        return cls(cron or "", interval_seconds or 0.0, timezone, first, last)

    def after(self, moment: datetime, *, anchor: datetime | None = None) -> Iterator[datetime]:
        """Yield in UTC when it is due after *moment*, however far away, until it ends.

        Intervals are counted from `start`; without one from *anchor*, which is due itself,
        else from *moment*.
        """
        for due in self._due(moment, anchor, reverse=False):
            if self.end is not None and due > self.end:
                return
            if due > moment and (self.start is None or due >= self.start):
                yield due

    def until(
        self, moment: datetime, *, since: datetime, anchor: datetime | None = None
    ) -> Iterator[datetime]:
        """Yield when it was due, from *moment* back to *since*, which is left out."""
        last = min(moment, self.end) if self.end else moment
        for due in self._due(last, anchor, reverse=True):
            if due <= since or (self.start is not None and due < self.start):
                return
            yield due

    def as_json(self) -> dict[str, JSONValue]:
        """Return the rule as metadata spells it."""
        return {
            "cron": self.cron or None,
            "interval_seconds": self.interval_seconds or None,
            "timezone": self.timezone,
            "start_time": rfc3339(self.start) if self.start else None,
            "end_time": rfc3339(self.end) if self.end else None,
        }

    @property
    def digest(self) -> str:
        """The digest by which a changed rule is known."""
        return digest(self.as_json())

    def _due(
        self, moment: datetime, anchor: datetime | None, *, reverse: bool
    ) -> Iterator[datetime]:
        """Yield times around *moment* in one direction, also a few that do not count."""
        try:
            if self.cron:
                edge = moment + _SECOND if reverse else moment
                if self.start and not reverse:
                    edge = max(moment, self.start - _SECOND)
                zone = _zone(self.timezone) or UTC
                for due in CronSim(self.cron, edge.astimezone(zone), reverse=reverse):
                    if not reverse or due <= moment:
                        yield due.astimezone(UTC)
            else:
                yield from self._steps(moment, anchor, reverse=reverse)
        except (OverflowError, ValueError):  # the calendar ends
            return

    def _steps(
        self, moment: datetime, anchor: datetime | None, *, reverse: bool
    ) -> Iterator[datetime]:
        seconds = self.interval_seconds
        first = self.start or anchor or moment + timedelta(seconds=seconds)
        number = math.floor((moment - first).total_seconds() / seconds)
        number = number + 1 if reverse else max(number, 0)  # sums of seconds are rounded
        while number >= 0:
            due = first + timedelta(seconds=number * seconds)
            if not reverse or due <= moment:
                yield due
            number += -1 if reverse else 1


@dataclass(frozen=True, slots=True)
class Schedule:
    """A rule for one task or workflow, what to give it, and what of the past to make up for.

    `missed` says what is done of what was due while nobody looked: nothing (`skip`), the
    latest (`once`), or each (`all`, the latest hundred). `max_runs` counts from when the
    schedule was first seen.
    """

    ref: str
    rule: Rule
    missed: str = "once"
    max_runs: int | None = None
    payload: JSONValue = None

    def due(self, state: Progress, now: datetime, tolerance: timedelta) -> list[datetime]:
        """Return what is to be begun now, the earliest first.

        What is due no longer ago than *tolerance* was not missed; of several such, unless all
        are to be made up for, the latest counts.
        """
        seen = list(islice(self._past(state, now), MOST_MISSED))
        fresh = [each for each in seen if each >= now - tolerance]
        old = seen[len(fresh) :]
        if self.missed != "all":
            fresh = fresh[:1]
        made_up = old[:1] if self.missed == "once" and not fresh else []
        found = [*fresh, *(old if self.missed == "all" else made_up)][::-1]
        return found if self.max_runs is None else found[: max(0, self.max_runs - state.taken)]

    def next(self, state: Progress, now: datetime) -> datetime | None:
        """Return when it is due next after *now*, or None when never again."""
        if self.max_runs is not None and state.taken >= self.max_runs:
            return None
        return next(self.rule.after(now, anchor=state.since), None)

    def _past(self, state: Progress, now: datetime) -> Iterator[datetime]:
        return self.rule.until(now, since=state.last, anchor=state.since)

    @property
    def digest(self) -> str:
        """The digest by which a changed schedule is known; what it gives does not count."""
        return digest([self.rule.digest, self.max_runs])


_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "cron": "cron",
        "interval_seconds": "interval_seconds",
        "timezone": "timezone",
        "start_time": "start",
        "end_time": "end",
    }
)


def read_schedule(ref: str, table: JSONValue) -> Schedule:
    """Return the schedule that `schedule` in the metadata of *ref* says.

    Keys: `cron` or `interval_seconds`, `timezone`, `start_time`, `end_time`, `max_runs`,
    `missed`, and `payload`, which for a workflow is its context.

    Raises:
        InvalidScheduleError: it is no table, or a key or value is wrong.
    """
    if not isinstance(table, Mapping):
        raise InvalidScheduleError("a schedule is a table, as in {cron = '0 9 * * mon'}")
    known = {*_FIELDS, "missed", "max_runs", "payload"}
    if unknown := sorted(set(table) - known):
        names = ", ".join(sorted(known))
        raise InvalidScheduleError(f"a schedule has no {', '.join(unknown)}; keys: {names}")
    words: dict[str, Any] = {_FIELDS[key]: table[key] for key in _FIELDS if key in table}
    for name, value in words.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number if name == "interval_seconds" else isinstance(value, str)):
            what = "a number of seconds" if name == "interval_seconds" else "text"
            raise InvalidScheduleError(f"{name} of a schedule is {what}, not {value!r}")
    missed, most = table.get("missed", "once"), table.get("max_runs")
    if missed not in MISSED:
        raise InvalidScheduleError(f"missed is one of {', '.join(MISSED)}, not {missed!r}")
    if most is not None and (type(most) is not int or most < 1):
        raise InvalidScheduleError(f"max_runs is a whole number above 0, not {most!r}")
    return Schedule(ref, Rule.of(**words), str(missed), most, table.get("payload"))


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
    if len(expression) > _LONGEST_CRON:
        return f"cron: it has more than {_LONGEST_CRON} characters"
    try:
        CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        told = str(error)
        return f"cron: {told[:1].lower()}{told[1:]}"
    return ""
