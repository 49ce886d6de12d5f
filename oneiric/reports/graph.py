"""The steps of a run and what each waits for, as a drawing that is part of a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise

from oneiric.reports.cells import fit
from oneiric.reports.report import RunReport, StepReport
from oneiric.reports.words import in_one_line

MOST_STEPS, MOST_IN_A_ROW = 200, 40
_WIDTH, _HEIGHT, _ACROSS, _DOWN, _EDGE = 168, 44, 24, 40, 6
_LETTERS = 22


def graph(report: RunReport) -> str:
    """Return the graph as one `svg` element, or nothing where it would be too large to read.

    Steps stand in rows, each below everything it depends on, final ones below all others; each
    is a link to `#sN`, N its place in the report.
    """
    if not 0 < len(report.steps) <= MOST_STEPS:
        return ""
    rows = _rows(report)
    widest = max(map(len, rows))
    if widest > MOST_IN_A_ROW:
        return ""
    return "".join(_drawn(report, rows, widest))


def _rows(report: RunReport) -> list[list[StepReport]]:
    steps = {step.name: step for step in report.steps}
    depths: dict[str, int] = {}
    for name in steps:
        _depth(name, steps, depths)
    last = 1 + max((depths[n] for n, each in steps.items() if not each.is_final), default=-1)
    depths = {name: depth + last * steps[name].is_final for name, depth in depths.items()}
    rows: defaultdict[int, list[StepReport]] = defaultdict(list)
    for step in sorted(report.steps, key=lambda each: each.place):
        rows[depths.get(step.name, 0)].append(step)
    ordered = [rows[depth] for depth in sorted(rows)]
    for above, row in pairwise(ordered):
        at = {step.name: place for place, step in enumerate(above)}
        row.sort(key=lambda step: _middle(step, at))
    return ordered


def _middle(step: StepReport, at: Mapping[str, int]) -> float:
    """Return the mean place of those above that a step waits for, to have few lines cross."""
    places = [at[name] for name in step.run.step.depends_on if name in at]
    return sum(places) / len(places) if places else len(at)


def _depth(name: str, steps: Mapping[str, StepReport], depths: dict[str, int]) -> None:
    """Note how many steps stand above *name* and all of its ancestors, without recursion."""
    waiting = [name]
    while waiting:
        here = waiting[-1]
        before = [each for each in steps[here].run.step.depends_on if each in steps]
        missing = [each for each in before if each not in depths and each not in waiting]
        if missing:
            waiting += missing
        else:
            depths[here] = 1 + max((depths.get(each, 0) for each in before), default=-1)
            waiting.pop()


def _drawn(report: RunReport, rows: Sequence[Sequence[StepReport]], widest: int) -> Iterator[str]:
    width = widest * (_WIDTH + _ACROSS) - _ACROSS + 2 * _EDGE
    height = len(rows) * (_HEIGHT + _DOWN) - _DOWN + 2 * _EDGE
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    yield f'<svg {size} role="group" aria-label="Graph of the steps">'
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
    )
    corners: dict[str, tuple[float, float]] = {}
    for depth, row in enumerate(rows):
        left = float(_EDGE)
        for place, step in enumerate(row):
            x = left + place * (_WIDTH + _ACROSS)
            corners[step.name] = (x, float(_EDGE + depth * (_HEIGHT + _DOWN)))
    for step in report.steps:
        for name in step.run.step.depends_on:
            if name in corners:
                yield _edge(corners[name], corners[step.name])
    for row in rows:
        yield from (_box(step, corners[step.name]) for step in row)
    yield "</svg>"


def _edge(above: tuple[float, float], below: tuple[float, float]) -> str:
    x1, y1 = above[0] + _WIDTH / 2, above[1] + _HEIGHT
    x2, y2 = below[0] + _WIDTH / 2, below[1] - 1
    bend = (y2 - y1) / 2
    curve = f"M{x1:g} {y1:g}C{x1:g} {y1 + bend:g} {x2:g} {y2 - bend:g} {x2:g} {y2:g}"
    return f'<path d="{curve}" marker-end="url(#tip)"/>'


def _box(step: StepReport, corner: tuple[float, float]) -> str:
    x, y = corner
    state = f"{step.state} {step.word}"
    name = escape(fit(in_one_line(step.name), _LETTERS).rstrip())
    middle = x + _WIDTH / 2
    word = f'<text class="small" x="{middle:g}" y="{y + 35:g}" text-anchor="middle">{step.word}'
    return (
        f'<a href="#s{step.place}" class="{state}">'
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>'
        f'<text x="{middle:g}" y="{y + 19:g}" text-anchor="middle">{name}</text>'
        f"{word}</text></a>"
    )
