"""Differences that somebody accepted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from oneiric.errors import DocumentError, unknown
from oneiric.validation.openapi.rules import RULES

MAX_BYTES = 1 << 20
_COMMENT = re.compile(r"(?:\A|\s)#.*\Z")
_UNTIL = re.compile(r"\s+until\s+(\S+)\Z")


@dataclass(frozen=True, slots=True)
class Ignored:
    """One accepted difference: its rule and place, each with `*` for anything.

    Args:
        rule: the code of a rule.
        place: where it is.
        until: the last day on which it is accepted, as in `2026-12-31`; empty for ever.
        line: where it is written.

    >>> entry = Ignored("response-*", "GET /users 200 *", until="2026-12-31")
    >>> entry.covers("response-schema-removed", "GET /users 200 application/json")
    True
    >>> entry.has_expired("2026-12-31"), entry.has_expired("2027-01-01")
    (False, True)
    """

    rule: str
    place: str
    until: str = ""
    line: int = 0

    @property
    def written(self) -> str:
        """Where it is written, and what it says."""
        return f"line {self.line}: {self.rule} {self.place}"

    def covers(self, rule: str, place: str) -> bool:
        """Tell whether a difference is this one."""
        return is_like(self.rule, rule) and is_like(self.place, place)

    def has_expired(self, today: str) -> bool:
        """Tell whether the last day has passed; without *today* it has not."""
        return bool(self.until and today) and self.until < today[: len(self.until)]


def is_like(pattern: str, text: str) -> bool:
    """Tell whether *text* is *pattern*, in which `*` stands for anything and all else for itself.

    Its cost is bounded by the product of the two lengths.

    >>> is_like("GET /users* $.items[].*", "GET /users/{id} $.items[].email")
    True
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == text
    last = rest.pop()
    if not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in rest:
        found = text.find(part, at, end) if at <= end else -1
        if found < 0:
            return False
        at = found + len(part)
    return at <= end


def _nothing(_: str) -> bool:
    return False


def read_ignored(
    data: bytes, *, source: str, further: Callable[[str], bool] = _nothing
) -> list[Ignored]:
    """Read one accepted difference a line: `RULE PLACE [until DATE]`; `#` begins a comment.

    A place may hold spaces; whatever stands between rule and `until` is the place. *further*
    tells rules that there are besides those of OpenAPI.

    >>> read_ignored(b"path-added *  until 2026-12-31  # the beta", source="x")[0].place
    '*'

    Raises:
        DocumentError: a line is none of these, or names a rule that there is not.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError("too-large", f"it is longer than {MAX_BYTES} bytes", source=source)
    try:
        lines = data.decode().removeprefix("\ufeff").splitlines()
    except UnicodeDecodeError:
        raise DocumentError("not-utf-8", "it is not UTF-8", source=source) from None
    entries = []
    for number, line in enumerate(lines, start=1):
        text = _COMMENT.sub("", line).strip()
        if text:
            entries.append(_entry(text, number, source, further))
    return entries


def _entry(text: str, line: int, source: str, further: Callable[[str], bool]) -> Ignored:
    rule, _, place = text.partition(" ")
    until = _UNTIL.search(place)
    place = (place[: until.start()] if until else place).strip()
    problem = ""
    if not place:
        problem = "it says a rule and a place, as in: path-removed GET /users"
    elif not (further(rule) or any(is_like(rule, each) for each in RULES)):
        problem = f"there is no rule {unknown(rule, RULES)}"
    elif until and not is_day(until[1]):
        problem = "the day after until is none, such as 2026-12-31"
    if problem:
        raise DocumentError("syntax", problem, source=source, line=line)
    return Ignored(rule, place, until[1] if until else "", line)


def is_day(text: str) -> bool:
    """Tell whether *text* is a day such as `2026-12-31`."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def expired(entries: Sequence[Ignored], today: str) -> Iterable[Ignored]:
    """Return the entries whose last day has passed."""
    return [entry for entry in entries if entry.has_expired(today)]
