"""The words that every form of report uses: durations, values, text from others."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.text.printable import printable
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.reports.report import RunReport, StepReport

_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))
MARKS: Mapping[str, str] = MappingProxyType(
    {
        "queued": "·",
        "assigned": "◷",
        "running": "▸",
        "waiting": "◷",
        "succeeded": "✓",
        "failed": "✗",
        "canceled": "⊘",
        "cached": "↺",
        "skipped": "-",
        "blocked": "⊘",
    }
)
"""A sign for each word about a run or step, beside the word."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def duration(ms: float | None) -> str:
    """Return a duration for people, in at most two units; a dash for none.

    >>> [duration(each) for each in (0.0, 12.4, 1250, 59_999, 61_000, 7_260_000, None)]
    ['0 ms', '12 ms', '1.25 s', '60.0 s', '1 min 1 s', '2 h 1 min', '-']
    """
    if ms is None:
        return "-"
    if ms < 1_000:
        return f"{ms:.0f} ms"
    seconds = ms / 1_000
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, smaller, small in _UNITS:
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name} {rest} {small}"
    raise AssertionError(whole)


def in_one_line(text: object) -> str:
    r"""Return text from others as one line that steers nothing.

    >>> print(in_one_line("two\nlines \x1b[2J"))
    two\nlines \u001b[2J
    """
    return printable(str(text)).replace("\n", "\\n").replace("\t", "\\t")


def plain_text(text: object) -> str:
    """Return text from others with its lines, and U+FFFD for what may not stand in a page."""
    shown = str(text).encode("utf-8", "replace").decode()
    return _CONTROL.sub(lambda found: found[0] if found[0] in "\n\t" else "\ufffd", shown)


def shown(value: JSONValue, limit: int) -> str:
    """Return a value as JSON text of at most *limit* characters, secrets masked.

    >>> shown({"user": "ada", "password": "p"}, 100)
    '{\\n  "user": "ada",\\n  "password": "**********"\\n}'
    """
    return cut(json.dumps(redacted(value), indent=2, ensure_ascii=False), limit)


def cut(text: str, limit: int) -> str:
    """Return at most *limit* characters of *text*, and how many more there are.

    >>> cut("abcdef", 4), cut("abcd", 4)
    ('abcd… (2 more characters)', 'abcd')
    """
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def last_part(log: str, limit: int) -> str:
    """Return the last *limit* characters of a log, without passwords in URLs.

    >>> last_part("one two", 3), last_part("two", 3)
    ('…two', 'two')
    """
    text = str(redacted(log))
    return text if len(text) <= limit else f"…{text[-limit:]}"


def tally(report: RunReport) -> str:
    """Return how many steps stand in each way, as in `3 succeeded, 1 failed`."""
    found = Counter(step.word for step in report.steps)
    counts = [f"{found[word]} {word}" for word in MARKS if found[word]]
    return ", ".join(counts) or "no steps"


def by_whom(step: StepReport) -> str:
    """Return who did a step's work, with the version where it is known."""
    made = step.run.provenance
    return " ".join(each for each in (made.provider, made.version) if each)
