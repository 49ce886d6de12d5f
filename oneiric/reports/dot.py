"""A run as a graph for Graphviz: steps with their states, and what each waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from oneiric.reports.report import RunReport, StepReport
from oneiric.reports.words import duration, in_one_line
from oneiric.runs.state import StepState

_LONGEST = 60
_COLOURS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "queued": ("#f4f4f5", "#71717a"),
        "assigned": ("#fef3c7", "#b45309"),
        "running": ("#dbeafe", "#1d4ed8"),
        "succeeded": ("#dcfce7", "#15803d"),
        "failed": ("#fee2e2", "#b91c1c"),
        "canceled": ("#e4e4e7", "#71717a"),
    }
)


def dot(report: RunReport) -> str:
    """Return the run's graph as DOT text, each step in the colours of its state.

    Ids in the graph are ours; names stand in quoted labels, in which nothing is read as an
    escape.
    """
    return "\n".join(_lines(report))


def _lines(report: RunReport) -> Iterator[str]:
    yield f"digraph {_quoted(report.run.plan.name)} {{"
    yield '  node [shape=box, style="rounded,filled", fontname="sans-serif"];'
    places = {step.name: step.place for step in report.steps}
    for step in report.steps:
        fill, line = _COLOURS[str(step.state)]
        label = f'{_quoted(_shortened(step.name))[:-1]}\\n{_told(step)}"'
        yield f'  s{step.place} [label={label}, fillcolor="{fill}", color="{line}"];'
    for step in report.steps:
        for name in step.run.step.depends_on:
            if name in places:
                yield f"  s{places[name]} -> s{step.place};"
    yield "}"


def _shortened(name: str) -> str:
    name = in_one_line(name)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _told(step: StepReport) -> str:
    parts = [step.word]
    if step.attempts > 1:
        parts.append(f"{step.attempts} attempts")
    if step.run.state is not StepState.QUEUED and step.spans:
        parts.append(duration(step.duration_ms))
    return ", ".join(parts)


def _quoted(text: str) -> str:
    r"""Return text as one string of DOT.

    >>> print(_quoted('a "b" \\ c'))
    "a \"b\" \\ c"
    """
    escaped = in_one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
