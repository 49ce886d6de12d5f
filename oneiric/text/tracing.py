"""Who is at work on what, as logs and traces tell: ids, W3C trace context, and spans."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOTHING: Mapping[str, str] = MappingProxyType({})
MOST_SPANS = 2_048
Attributes: TypeAlias = "Mapping[str, str | int | float | bool]"


class Trace(NamedTuple):
    """A place in a trace: lower-case hexadecimal, 32 digits of the trace and 16 of the span.

    >>> Trace.parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").span_id
    'b7ad6b7169203331'

    Source: W3C Trace Context, section 3.2.
    """

    trace_id: str
    span_id: str

    @classmethod
    def parse(cls, text: str) -> Trace | None:
        """Return what a `traceparent` says, or None where it is no such thing."""
        found = _PARENT.fullmatch(text.strip()) if len(text) <= 256 else None
        if found is None or found[1] == "ff" or (found[1] == "00" and found[5]):
            return None
        if not found[2].strip("0") or not found[3].strip("0"):
            return None
        return cls(found[2], found[3])

    @classmethod
    def new(cls, parent: Trace | None = None) -> Trace:
        """Return a place of its own, below *parent* or in a new trace."""
        return cls(parent.trace_id if parent else secrets.token_hex(16), secrets.token_hex(8))

    @classmethod
    def of(cls, *words: str, parent: Trace | None = None) -> Trace:
        """Return the place that *words* name: the same in every process.

        The first word names the trace, unless there is a *parent*; a UUID is one by itself.
        """
        trace = parent.trace_id if parent else trace_of(words[0])
        return cls(trace, hashlib.sha256("\0".join(words).encode()).hexdigest()[:16])

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


def trace_of(word: str) -> str:
    """Return the id of the trace that belongs to a run or an event by its id.

    >>> trace_of("019b76da-a800-7000-8000-000000000001")
    '019b76daa80070008000000000000001'
    """
    if _UUID.fullmatch(word):
        return word.replace("-", "")
    return hashlib.sha256(word.encode()).hexdigest()[:32]


class Doing(NamedTuple):
    """What the present task or thread is at work on.

    `words` name its span, as for `Trace.of`; `parent` is whence it came. The ids are made when
    somebody asks, which is seldom.
    """

    domain: str = ""
    key: str = ""
    provider: str = ""
    run: str = ""
    step: str = ""
    words: tuple[str, ...] = ()
    parent: Doing | Trace | None = None

    @property
    def trace(self) -> Trace | None:
        """Its place in a trace."""
        return Trace.of(*self.words, parent=self.origin) if self.words else self.origin

    @property
    def origin(self) -> Trace | None:
        """The place in a trace that it comes from."""
        return self.parent.trace if isinstance(self.parent, Doing) else self.parent

    def keys(self) -> Mapping[str, str]:
        """Return what a log tells of it."""
        named = zip(("domain", "key", "provider", "run", "step"), self[:5], strict=True)
        found = {name: value for name, value in named if value}
        if (trace := self.trace) is not None:
            found |= {"trace_id": trace.trace_id, "span_id": trace.span_id}
        return found


DOING: ContextVar[Doing | None] = ContextVar("oneiric-doing", default=None)
"""What the present task or thread is at work on; None where nobody said."""


def above() -> Doing | Trace | None:
    """Return what new work comes from; never a chain that could grow without end."""
    doing = DOING.get()
    return doing.trace if doing is not None and isinstance(doing.parent, Doing) else doing


def here() -> Trace | None:
    """Return the present place in a trace, if there is one."""
    doing = DOING.get()
    return doing.trace if doing is not None else None


@contextmanager
def at_work(doing: Doing) -> Iterator[None]:
    """Be at work on something for the length of a block.

    >>> with at_work(Doing("task", "report", run="r-1", words=("r-1",))):
    ...     print(here() == Trace.of("r-1"))
    True
    """
    token = DOING.set(doing)
    try:
        yield
    finally:
        DOING.reset(token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One thing that was done: its place in a trace, its parent's, when, and with what result.

    Times are nanoseconds since 1970. `error` is empty where it went well.
    """

    name: str
    trace: Trace
    parent_id: str = ""
    start_ns: int
    end_ns: int
    attributes: Attributes = field(default_factory=lambda: _NOTHING)
    error: str = ""


class Spans:
    """Keep the latest spans until somebody fetches them; the oldest go first, and are counted."""

    __slots__ = ("_kept", "dropped")

    def __init__(self, *, most: int = MOST_SPANS) -> None:
        self._kept: deque[Span] = deque(maxlen=most)
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, span: Span) -> None:
        """Keep *span*."""
        self.dropped += len(self._kept) == self._kept.maxlen
        self._kept.append(span)

    def take(self, most: int = 512) -> list[Span]:
        """Return the oldest, up to *most*, and keep them no longer."""
        return [self._kept.popleft() for _ in range(min(most, len(self._kept)))]
