"""A run as a Markdown page: facts, graph, a table of steps, what went wrong, results."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oneiric.reports.mermaid import mermaid
from oneiric.reports.report import RunReport, problems, told
from oneiric.reports.words import (
    by_whom,
    cut,
    duration,
    in_one_line,
    last_part,
    plain_text,
    shown,
    tally,
)

MOST_DRAWN = 200
_MOST_SHOWN = 100
_LONGEST_CELL = 200
_LONGEST_VALUE = 2_000
_TICKS = re.compile(r"`+")


def markdown(report: RunReport) -> str:
    """Return the run as Markdown, as GitHub reads it.

    Text from others stands in code only, so it can neither format the page nor bring HTML
    into it. Secrets are masked, values are cut, and the graph of a run of more than
    200 steps is left out.
    """
    return "\n".join(_lines(report)) + "\n"


def _lines(report: RunReport) -> Iterator[str]:
    run = report.run
    yield f"# {_code(run.plan.name)}: {report.state}"
    yield ""
    yield f"- run {_code(run.run_id)}, plan {_code(run.digest)}"
    yield f"- {tally(report)} in {duration(report.length_ms)}"
    ended = f", ended {_code(run.ended_at)}" if run.ended_at else ""
    yield f"- created {_code(run.created_at)}{ended}"
    if report.problem:
        yield f"- {_code(report.problem, longest=_LONGEST_VALUE)}"
    yield ""
    if 0 < len(report.steps) <= MOST_DRAWN:
        yield from ("```mermaid", mermaid(report), "```", "")
    yield from _table(report)
    yield from _failures(report)
    yield from _values(report)


def _table(report: RunReport) -> Iterator[str]:
    yield "| step | state | began after | took | attempts | by | why |"
    yield "|---|---|--:|--:|--:|---|---|"
    for step in report.steps:
        cells = (
            _code(step.name),
            step.word,
            duration(step.begin_ms),
            duration(step.duration_ms),
            str(step.attempts),
            _code(by_whom(step)),
            _code(step.why),
        )
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _failures(report: RunReport) -> Iterator[str]:
    failed = list(problems(report))
    if failed:
        yield from ("", "## What failed")
    for step in failed[:_MOST_SHOWN]:
        yield from ("", f"### {_code(step.name)}", "")
        for span in step.spans:
            if span.error is not None:
                head = f"{span.title}, {duration(span.duration_ms)}:"
                yield from (head, "", *_block(cut(told(span.error), _LONGEST_VALUE), "text"), "")
        if step.run.error is None:
            yield from (*_block(cut(step.why, _LONGEST_VALUE), "text"), "")
        if step.remarks.log:
            yield from (
                "Log:",
                "",
                *_block(last_part(step.remarks.log, _LONGEST_VALUE), "text"),
                "",
            )
    yield from _left_out(len(failed) - _MOST_SHOWN)


def _values(report: RunReport) -> Iterator[str]:
    found = [step for step in report.steps if step.run.result is not None]
    if found:
        yield from ("", "## Results")
    for step in found[:_MOST_SHOWN]:
        yield from ("", f"### {_code(step.name)}", "")
        yield from _block(shown(step.run.result, _LONGEST_VALUE), "json")
        for key, digest in step.remarks.wrote.items():
            yield f"- wrote {_code(key)}: {_code(digest)}"
    yield from _left_out(len(found) - _MOST_SHOWN)


def _left_out(count: int) -> Iterator[str]:
    if count > 0:
        yield from ("", f"{count:,} more are left out.")


def _block(text: str, language: str) -> Iterator[str]:
    fence = "`" * max(3, 1 + max((len(each) for each in _TICKS.findall(text)), default=0))
    yield from (f"{fence}{language}", plain_text(text), fence)


def _code(text: str, *, longest: int = _LONGEST_CELL) -> str:
    """Return text from others as one span of code, in which nothing is formatted."""
    line = " ".join(in_one_line(text).split())
    if not line:
        return ""
    line = cut(line, longest)
    ticks = "`" * (1 + max((len(each) for each in _TICKS.findall(line)), default=0))
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def _cell(text: str) -> str:
    """Keep a cell from ending at a sign within it."""
    return text.replace("\\|", "\\ |").replace("|", "\\|")
