"""What a run did and when: every stretch of work and of waiting, on one axis of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from oneiric.reports.findings import Finding, findings, refutation
from oneiric.reports.remarks import Remarks, remarks
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.run import Run, StepRun, fold
from oneiric.runs.state import RunState, StepState
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.errors import JSONValue

_MS = timedelta(milliseconds=1)
LEFT_OUT = "left_out"
"""The key in a step's metadata that says why its plan does without its work."""


class Outcome(StrEnum):
    """How a stretch of a step's time ended; `open` is under way, `lost` ended with its holder."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    ASSIGNED = "assigned"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One attempt of a step, or its wait for somebody outside (`is_wait`).

    Milliseconds count from the beginning of the report.
    """

    attempt: int
    is_wait: bool
    begin_ms: float
    end_ms: float
    outcome: Outcome
    provider: str = ""
    error: Mapping[str, JSONValue] | None = None

    @property
    def duration_ms(self) -> float:
        """How long it took, or has taken until now."""
        return self.end_ms - self.begin_ms

    @property
    def title(self) -> str:
        """What it is: which attempt, the wait for somebody outside, or an end before any."""
        if self.is_wait:
            return "waiting"
        return f"attempt {self.attempt}" if self.attempt else "not begun"


@dataclass(frozen=True, slots=True)
class StepReport:
    """How one step stands, and its spans; `place` counts from 1 in the order of beginning.

    A step that was done stands as failed if its `findings` are no pass, unless its run succeeded
    all the same: whoever reads a report sees no check in green that is not so.
    """

    place: int
    run: StepRun
    spans: tuple[Span, ...] = ()
    is_signaled: bool = False
    remarks: Remarks = field(default_factory=Remarks)
    findings: tuple[Finding, ...] = ()
    is_tolerated: bool = False

    @property
    def name(self) -> str:
        """The step's id."""
        return self.run.step.id

    @property
    def begin_ms(self) -> float | None:
        """When it began, or None when it did not."""
        return self.spans[0].begin_ms if self.spans else None

    @property
    def duration_ms(self) -> float | None:
        """From its beginning to its end, waits included, or None when it did not begin."""
        return self.spans[-1].end_ms - self.spans[0].begin_ms if self.spans else None

    @property
    def attempts(self) -> int:
        """How often its work was begun."""
        return sum(not span.is_wait for span in self.spans)

    @property
    def state(self) -> StepState:
        """How it stands: as it was recorded, or failed for what it found."""
        return self.run.state if self.error is None else StepState.FAILED

    @property
    def error(self) -> Mapping[str, JSONValue] | None:
        """Why it failed, or what it found that is no pass."""
        step = self.run
        if step.error is not None or step.state is not StepState.SUCCEEDED or self.is_tolerated:
            return step.error
        return refutation(self.findings)

    @property
    def is_final(self) -> bool:
        """Whether it is done at the end, whatever came before."""
        return self.run.step.is_final

    @property
    def word(self) -> str:
        """How it stands, for people: its state, or `cached`, `skipped` or `blocked`."""
        step = self.run
        if self.state is StepState.SUCCEEDED:
            is_old = self.remarks.is_served or step.reason == "cache"
            return "cached" if is_old or LEFT_OUT in step.step.metadata else "succeeded"
        if step.state is StepState.CANCELED:
            return _NOT_DONE.get(step.reason, "canceled")
        return str(self.state)

    @property
    def why(self) -> str:
        """Why it stands as it does, in words, where its state alone does not tell."""
        step = self.run
        if self.error is not None:
            said = "" if step.error is not None else self.remarks.why
            return said or told(self.error)
        if step.state is StepState.ASSIGNED:
            if self.is_signaled:
                return f"got the signal {step.signal}; goes on when the run is taken up"
            return f"waits for the signal {step.signal}"
        if step.state is StepState.QUEUED and step.failures:
            return f"will be tried again after {told(step.failures[-1])}"
        left_out = step.step.metadata.get(LEFT_OUT)
        if left_out:
            return str(left_out)
        found = str(redacted("; ".join(map(str, self.findings))))
        return self.remarks.why or found or _REASONS.get(step.reason, step.reason)


_NOT_DONE: Mapping[str, str] = MappingProxyType({"condition": "skipped", "dependency": "blocked"})
_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "cache": "its result is from the cache",
        "timeout": "no signal came in time, so it got its default",
        "condition": "its condition did not hold",
        "dependency": "a step that it depends on did not succeed",
        "run-failed": "another step failed first",
        "run-canceled": "the run was canceled",
        "run-timeout": "the run took longer than its plan allows",
    }
)


@dataclass(frozen=True)
class RunReport:
    """A run with the history of its steps: what every form of report is made of.

    `steps` are in the order in which they began, those that did not begin last, and without
    steps that a later plan dropped. Time counts from `began_at`, when somebody first worked
    on the run.
    """

    run: Run
    steps: tuple[StepReport, ...]
    began_at: str
    length_ms: float

    @classmethod
    def of(cls, events: Iterable[RunEvent], *, now: str = "") -> RunReport:
        """Return the report of the run that *events* tell of, from the first on.

        *now* is until when open runs are drawn, as RFC 3339; without it that is the last
        event.

        Raises:
            IllegalMoveError: they are no run's events.
        """
        told = tuple(events)
        run = fold(told)
        began_at = next((e.at for e in told if e.kind is EventKind.RUN_STARTED), run.created_at)
        drawing = _Drawing(datetime.fromisoformat(began_at))
        for event in told:
            if event.kind is not EventKind.NOTED:  # one may come long after the end
                drawing.draw(event)
        last = run.ended_at if run.state.is_over else max(now, told[-1].at)
        drawing.finish(drawing.moment(last), is_over=run.state.is_over)
        found = [(step, tuple(drawing.spans.get(name, ()))) for name, step in run.steps.items()]
        found.sort(key=lambda each: each[1][0].begin_ms if each[1] else float("inf"))
        signaled, said = _signaled(run), remarks(told)
        steps = tuple(
            StepReport(
                n,
                step,
                spans,
                step.step.id in signaled,
                said.get(step.step.id, Remarks()),
                findings(step.result),
                run.state is RunState.SUCCEEDED,
            )
            for n, (step, spans) in enumerate(found, start=1)
        )
        return cls(run, steps, began_at, drawing.last)

    @property
    def state(self) -> str:
        """How the run stands: a state, or `waiting` where only somebody outside can go on."""
        return "waiting" if self.is_waiting else str(self.run.state)

    @cached_property
    def is_waiting(self) -> bool:
        """Whether nothing goes on until somebody outside completes a step."""
        return self.run.state is RunState.RUNNING and self.run.is_waiting

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many steps are in each state that occurs, in the order of the states."""
        found = Counter(step.state for step in self.steps)
        return {str(state): found[state] for state in StepState if found[state]}

    @property
    def problem(self) -> str:
        """Why the run did not succeed, in words, or an empty string."""
        run = self.run
        if run.error is not None:
            return told(run.error)
        if run.state is not RunState.CANCELED:
            return ""
        who, why = (str((run.cancels or [{}])[0].get(key) or "") for key in ("actor", "reason"))
        return f"canceled{f' by {who}' if who else ''}{f': {why}' if why else ''}"


def _signaled(run: Run) -> set[str]:
    """Return the steps that got their signal and wait for somebody to take the run up."""
    waiting = [(name, each) for name, each in run.steps.items() if each.signal]
    found: set[str] = set()
    for event in run.signals.values():
        takers = (
            name
            for name, each in waiting
            if event.step in ("", name)
            and each.signal == event.data["name"]
            and each.state is StepState.ASSIGNED
            and name not in found
        )
        found.update(islice(takers, 1))
    return found


@dataclass(slots=True)
class _Drawing:
    """The spans of all steps so far, and those that are under way."""

    zero: datetime
    last: float = 0.0
    spans: dict[str, list[Span]] = field(default_factory=dict)
    _open: dict[str, tuple[int, bool, float, str]] = field(default_factory=dict)

    def moment(self, at: str) -> float:
        """Return *at* in milliseconds; a clock that was set back stands still here."""
        self.last = max(self.last, (datetime.fromisoformat(at) - self.zero) / _MS)
        return self.last

    def draw(self, event: RunEvent) -> None:
        """Heed one more event."""
        name, data, at = event.step, _Data(event.data), self.moment(event.at)
        match event.kind:
            case EventKind.RUN_STARTED:
                for each in [n for n, (_, is_wait, *_) in self._open.items() if not is_wait]:
                    self._close(each, at, Outcome.LOST)
            case EventKind.STEP_STARTED:
                self._close(name, at, Outcome.LOST)
                self._open[name] = (data.attempt, False, at, data.text("provider"))
            case EventKind.STEP_ASSIGNED:
                attempt = self._close(name, at, Outcome.ASSIGNED)
                self._open[name] = (attempt, True, at, "")
            case EventKind.STEP_RETRIED | EventKind.STEP_FAILED:
                self._end(name, at, Outcome.FAILED, data)
            case EventKind.STEP_SUCCEEDED:
                self._end(name, at, Outcome.SUCCEEDED, data)
            case EventKind.STEP_CANCELED:
                self._close(name, at, Outcome.CANCELED)

    def finish(self, at: float, *, is_over: bool) -> None:
        """End what is under way: at the end of the run, or for now."""
        for name in list(self._open):
            self._close(name, at, Outcome.LOST if is_over else Outcome.OPEN)

    def _end(self, name: str, at: float, outcome: Outcome, data: _Data) -> None:
        """End a span, or draw a moment for what ended without having begun."""
        self._open.setdefault(name, (data.attempt, False, at, data.text("provider")))
        self._close(name, at, outcome, data.error)

    def _close(
        self, name: str, at: float, outcome: Outcome, error: Mapping[str, JSONValue] | None = None
    ) -> int:
        found = self._open.pop(name, None)
        if found is None:
            return 0
        attempt, is_wait, begin, provider = found
        span = Span(
            attempt=attempt,
            is_wait=is_wait,
            begin_ms=begin,
            end_ms=at,
            outcome=outcome,
            provider=provider,
            error=error,
        )
        self.spans.setdefault(name, []).append(span)
        return attempt


class _Data:
    """What an event carries, by the kinds that its comment promises."""

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    @property
    def attempt(self) -> int:
        return int(self._data.get("attempt") or 0)

    @property
    def error(self) -> Mapping[str, JSONValue] | None:
        return self._data.get("error")

    def text(self, key: str) -> str:
        return str(self._data.get(key) or "")


def told(error: Mapping[str, JSONValue]) -> str:
    """Return a stored error as its code and message, without passwords in URLs."""
    return str(redacted(f"{error.get('code')}: {error.get('message')}"))


def problems(report: RunReport) -> Iterator[StepReport]:
    """Give the steps that failed, in the order in which they began."""
    yield from (step for step in report.steps if step.state is StepState.FAILED)
