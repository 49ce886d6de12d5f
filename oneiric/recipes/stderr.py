"""What steps say on stderr: without the secrets of their run."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO, cast

from oneiric.recipes.log import tell
from oneiric.text.masking import MaskedStream, Masking

_STREAM: ContextVar[MaskedStream | None] = ContextVar("oneiric_recipe_stderr", default=None)


class _Masked(io.TextIOBase):
    """A stderr that hides from what each step says what that step must not show."""

    def __init__(self, under: TextIO) -> None:
        self.under = under
        self.users = 0

    def write(self, text: str, /) -> int:
        stream = _STREAM.get()
        if stream is None:
            return self.under.write(text)
        self.under.write(_text(stream.feed(text.encode("utf-8", "surrogatepass"))))
        return len(text)

    def flush(self) -> None:
        if not self.under.closed:  # it is flushed once more when it is let go of
            self.under.flush()

    def fileno(self) -> int:
        return self.under.fileno()

    def isatty(self) -> bool:
        return self.under.isatty()


@contextmanager
def guarded_stderr() -> Iterator[None]:
    """Let `masked_stderr` have its effect in this process, until the last of its users is gone."""
    there: object = sys.stderr
    masked = there if isinstance(there, _Masked) else _Masked(sys.stderr)
    sys.stderr = cast("TextIO", masked)
    masked.users += 1
    try:
        yield
    finally:
        masked.users -= 1
        if not masked.users and cast("object", sys.stderr) is masked:
            sys.stderr = masked.under


@contextmanager
def masked_stderr(masking: Masking) -> Iterator[None]:
    """Mask what is said on stderr in this context, in threads that it is carried to as well."""
    if not masking:
        yield
        return
    stream = masking.stream()
    token = _STREAM.set(stream)
    try:
        yield
    finally:
        _STREAM.reset(token)
        if rest := stream.end():
            tell(_text(rest))


def _text(shown: bytes) -> str:
    return shown.decode("utf-8", "backslashreplace")
