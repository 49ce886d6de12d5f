"""Streams that stand in for stdout and stderr while recipes run, and treat each step apart."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TextIO, cast


class StandIn(io.TextIOBase):
    """A text stream in front of another; derive from it and say in `write` what is let through."""

    def __init__(self, under: TextIO) -> None:
        self.under = under
        self.users = 0
        self.threads = {each.ident for each in threading.enumerate()}

    @property
    def is_theirs(self) -> bool:
        """Whether this thread was begun by what a step runs, and by nobody before."""
        return threading.get_ident() not in self.threads

    def flush(self) -> None:
        """Flush what is behind this stream."""
        if not self.under.closed:  # it is flushed once more when it is let go of
            self.under.flush()

    def fileno(self) -> int:
        """Return the descriptor behind this stream."""
        return self.under.fileno()


@contextmanager
def standing_in(name: Literal["stdout", "stderr"], kind: type[StandIn]) -> Iterator[None]:
    """Put a stream of *kind* before `sys.stdout` or `sys.stderr`.

    Users that overlap share one; the last of them puts back what was there before.
    """
    there: TextIO = getattr(sys, name)
    stream = there if isinstance(there, kind) else kind(there)
    setattr(sys, name, cast("TextIO", stream))
    stream.users += 1
    stream.threads.add(threading.get_ident())
    try:
        yield
    finally:
        stream.users -= 1
        if not stream.users and getattr(sys, name) is stream:
            setattr(sys, name, stream.under)
