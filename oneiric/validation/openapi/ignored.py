"""Differences that somebody accepted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ignored:
    """One accepted difference: its rule and place, each with `*` for anything.

    Args:
        rule: the code of a rule.
        place: where it is.
        until: the last day on which it is accepted, as in `2026-12-31`; empty for ever.
        line: where it is written.
    """

    rule: str
    place: str
    until: str = ""
    line: int = 0


def read_ignored(data: bytes, *, source: str) -> list[Ignored]:
    """Read one accepted difference a line: `RULE PLACE [until DATE]`; `#` begins a comment.

    Raises:
        DocumentError: a line is none of these.
    """
    return []
