"""A run as a timeline in a terminal: a bar for each step on one axis of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from oneiric.reports.cells import cells, fit, wrapped
from oneiric.reports.report import Outcome, RunReport, Span, StepReport
from oneiric.reports.words import MARKS, by_whom, duration, in_one_line, tally

NARROWEST, WIDEST = 40, 200

_COLOURS = MappingProxyType(
    {
        "assigned": "33",
        "waiting": "33",
        "running": "36",
        "succeeded": "32",
        "failed": "31",
        "canceled": "2",
    }
)
_WORK, _FAILED, _WAIT, _LOST, _BETWEEN = "█", "▒", "░", "?", "·"
_LEGEND: Mapping[str, str] = MappingProxyType(
    {
        _WORK: "work",
        _FAILED: "work that failed",
        _WAIT: "waiting for somebody outside",
        _LOST: "lost with its holder",
        _BETWEEN: "before another attempt",
    }
)
_STATE, _TIME, _LEAST_BAR, _LEAST_NOTE = 9, 9, 8, 28


def timeline(report: RunReport, *, width: int = 80, colour: bool = False) -> str:
    """Return the run as lines of at most *width* columns, which is taken as 40 to 200.

    Each step has its state, a bar, and how long it took; then how often it was tried, who did
    it and why it stands so, on the same line where that fits. Text from others steers nothing.
    """
    return "\n".join(_Sheet(report, min(max(width, NARROWEST), WIDEST), colour=colour).lines())


class _Sheet:
    """The columns of one timeline."""

    def __init__(self, report: RunReport, width: int, *, colour: bool) -> None:
        self._report = report
        self._width = width
        self._colour = colour
        longest = max((cells(in_one_line(step.name)) for step in report.steps), default=4)
        self._name = max(4, min(longest, width // 4))
        left = width - 2 - self._name - 1 - _STATE - 2 - 1 - _TIME
        self._note = left - _LEAST_BAR * 3 - 2 if left > _LEAST_NOTE + _LEAST_BAR * 3 + 2 else 0
        self._note = min(self._note, width // 3)
        self._bar = left - (self._note + 2 if self._note else 0)
        self._used: set[str] = set()

    def lines(self) -> Iterator[str]:
        """Give the lines: the run, the axis, the steps, what the bars mean."""
        yield from self._head()
        if self._report.steps:
            yield self._axis()
        for step in self._report.steps:
            yield from self._step(step)
        if self._used - {_WORK}:
            yield ""
            yield from self._legend()

    def _head(self) -> Iterator[str]:
        report, run = self._report, self._report.run
        state = f"{MARKS[report.state]} {report.state}"
        name = fit(in_one_line(run.plan.name), self._width - cells(state) - 2).rstrip()
        yield f"{self._painted(name, '1')}  {self._painted(state, _COLOURS.get(report.state, ''))}"
        length = duration(report.length_ms)
        yield from wrapped(in_one_line(run.run_id), self._width)
        yield from wrapped(f"{tally(report)} in {length}", self._width)
        if report.problem:
            yield from wrapped(in_one_line(report.problem), self._width)
        yield ""

    def _axis(self) -> str:
        length = duration(self._report.length_ms)
        blank = " " * (2 + self._name + 1 + _STATE + 1)
        line = "─" * (self._bar - cells(length) - 4)
        return f"{blank}0 {line} {length}".rstrip()

    def _step(self, step: StepReport) -> Iterator[str]:
        state = str(step.state)
        code = _COLOURS.get(state, "")
        head = f"{MARKS[step.word]} {fit(in_one_line(step.name), self._name)} {step.word:<{_STATE}}"
        bar = self._drawn(step.spans)
        took = f"{duration(step.duration_ms):>{_TIME}}"
        line = f"{self._painted(head, code)} {self._painted(bar, code)}  {took}"
        note = _note(step)
        if not note:
            yield line
        elif self._note and cells(note) <= self._note:
            yield f"{line}  {note}"
        else:
            yield line
            yield from (f"    {each}" for each in wrapped(note, self._width - 4))

    def _legend(self) -> Iterator[str]:
        line = ""
        for each in (f"{sign} {what}" for sign, what in _LEGEND.items() if sign in self._used):
            if line and cells(line) + 3 + cells(each) > self._width:
                yield line
                line = ""
            line = f"{line}   {each}" if line else each
        yield line

    def _drawn(self, spans: tuple[Span, ...]) -> str:
        columns = [" "] * self._bar
        last = self._bar - 1
        scale = last / self._report.length_ms if self._report.length_ms else 0.0
        before = None
        for span in spans:
            first, end = round(span.begin_ms * scale), round(span.end_ms * scale)
            if before is not None:
                for place in range(before + 1, first):
                    columns[place] = _BETWEEN
            sign = _sign(span)
            for place in range(first, end + 1):
                columns[place] = sign
            before = end
        self._used.update(columns)
        self._used.discard(" ")
        return "".join(columns)

    def _painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour and code else text


def _sign(span: Span) -> str:
    if span.is_wait:
        return _WAIT
    if span.outcome is Outcome.LOST:
        return _LOST
    return _FAILED if span.outcome is Outcome.FAILED else _WORK


def _note(step: StepReport) -> str:
    parts = [f"{step.attempts} attempts"] if step.attempts > 1 else []
    parts += [each for each in (by_whom(step), step.why) if each]
    return in_one_line("; ".join(parts))
