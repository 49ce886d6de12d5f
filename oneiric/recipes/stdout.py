"""What steps print: caught for each step apart, and held to one JSON line."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from oneiric.documents import parse
from oneiric.errors import DocumentError, JSONValue
from oneiric.recipes.errors import StdoutError
from oneiric.recipes.log import tell
from oneiric.recipes.stderr import guarded_stderr
from oneiric.recipes.streams import StandIn, standing_in

MOST_CHARACTERS = 1 << 20
_SINK: ContextVar[io.StringIO | None] = ContextVar("oneiric_recipe_stdout", default=None)


class _Parting(StandIn):
    """A stdout that gives each step what it printed itself, whichever thread it runs in.

    What threads print that steps have begun goes to stderr: nobody knows whose it is.
    """

    def write(self, text: str, /) -> int:
        sink = _SINK.get()
        if sink is None:
            return (sys.stderr if self.is_theirs else self.under).write(text)
        if sink.tell() < MOST_CHARACTERS:
            sink.write(text[: MOST_CHARACTERS - sink.tell()])
        return len(text)


@contextmanager
def parted() -> Iterator[None]:
    """Let steps in this process print beside each other, each for itself.

    Of runs that overlap the last one to end puts back the stdout that was there before.
    """
    with standing_in("stdout", _Parting), guarded_stderr():
        yield


@contextmanager
def caught() -> Iterator[io.StringIO]:
    """Catch what is printed in this context, in threads that it is carried to as well."""
    sink = io.StringIO()
    token = _SINK.set(sink)
    try:
        yield sink
    finally:
        _SINK.reset(token)


def envelope_in(step: str, text: str) -> Mapping[str, JSONValue]:
    """Return the one JSON line of what a step printed; the rest goes to stderr under its name.

    Raises:
        StdoutError: there is no such line, or more than one.
    """
    found = told_of(step, text)
    if len(found) != 1:
        what = "no JSON line" if not found else f"{len(found)} JSON lines"
        raise StdoutError(step, f"stdout_contract: it printed {what}, not exactly one")
    return found[0]


def told_of(step: str, text: str) -> list[Mapping[str, JSONValue]]:
    """Return the envelopes in what a step printed, and tell the other lines under its name."""
    found: list[Mapping[str, JSONValue]] = []
    for line in text.splitlines():
        envelope = envelope_of(line)
        if envelope is not None:
            found.append(envelope)
        elif line.strip():
            tell(f"{step}: {line}")
    return found


def line_of(value: JSONValue) -> str:
    """Return an envelope, or another value, as its line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def envelope_of(line: str) -> Mapping[str, JSONValue] | None:
    """Return the envelope that *line* is, if it is one."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        value = parse(line.encode(), "json")
    except DocumentError:
        return None
    return value if isinstance(value, Mapping) and "status" in value else None
