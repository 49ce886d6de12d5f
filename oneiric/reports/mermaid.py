"""A run as a Mermaid flowchart: steps with their states, and what each waits for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oneiric.reports.report import RunReport, StepReport
from oneiric.reports.words import duration, in_one_line
from oneiric.runs.state import StepState

_LONGEST = 60
_SPECIAL = re.compile(r"[^\w ./,@-]", re.ASCII)
_CLASSES = (
    ("queued", "fill:#f4f4f5,stroke:#71717a,color:#18181b"),
    ("assigned", "fill:#fef3c7,stroke:#b45309,color:#451a03"),
    ("running", "fill:#dbeafe,stroke:#1d4ed8,color:#172554"),
    ("succeeded", "fill:#dcfce7,stroke:#15803d,color:#052e16"),
    ("failed", "fill:#fee2e2,stroke:#b91c1c,color:#450a0a"),
    ("canceled", "fill:#e4e4e7,stroke:#71717a,color:#3f3f46,stroke-dasharray:4 3"),
)


def mermaid(report: RunReport) -> str:
    """Return the run's graph as Mermaid text, each step in the class of its state.

    Ids in the graph are ours; names stand in labels, where every sign that Mermaid or HTML
    could understand is written as its number.
    """
    return "\n".join(_lines(report))


def _lines(report: RunReport) -> Iterator[str]:
    yield "flowchart TD"
    places = {step.name: step.place for step in report.steps}
    for step in report.steps:
        yield f'  s{step.place}["{_label(step)}"]:::{step.state}'
    for step in report.steps:
        for name in step.run.step.depends_on:
            if name in places:
                yield f"  s{places[name]} --> s{step.place}"
    used = {str(step.state) for step in report.steps}
    for state, style in _CLASSES:
        if state in used:
            yield f"  classDef {state} {style}"


def _label(step: StepReport) -> str:
    name = in_one_line(step.name)
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    parts = [step.word]
    if step.attempts > 1:
        parts.append(f"{step.attempts} attempts")
    if step.run.state is not StepState.QUEUED and step.spans:
        parts.append(duration(step.duration_ms))
    return f"{_escaped(name)}<br/>{_escaped(', '.join(parts))}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"#{ord(found[0])};", text)
