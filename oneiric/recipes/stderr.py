"""What steps say on stderr: without the secrets of their run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

from oneiric.recipes.log import tell
from oneiric.recipes.streams import StandIn, standing_in
from oneiric.text.masking import MaskedStream, Masking

_STREAM: ContextVar[MaskedStream | None] = ContextVar("oneiric_recipe_stderr", default=None)


class _Masked(StandIn):
    """A stderr that hides from what each step says what that step must not show.

    What comes from elsewhere, as from threads that steps have begun, shows nothing that any step
    which is under way must not.
    """

    def __init__(self, under: TextIO) -> None:
        super().__init__(under)
        self.maskings: list[Masking] = []

    def write(self, text: str, /) -> int:
        stream = _STREAM.get()
        if stream is None:
            for masking in tuple(self.maskings):
                text = masking.text(text)
            return self.under.write(text)
        self.under.write(_text(stream.feed(text.encode("utf-8", "surrogatepass"))))
        return len(text)

    def isatty(self) -> bool:
        return self.under.isatty()


@contextmanager
def guarded_stderr() -> Iterator[None]:
    """Let `masked_stderr` have its effect in this process, until the last of its users is gone."""
    with standing_in("stderr", _Masked):
        yield


@contextmanager
def masked_stderr(masking: Masking) -> Iterator[None]:
    """Mask what is said on stderr in this context, in threads that it is carried to as well."""
    if not masking:
        yield
        return
    stream = masking.stream()
    token = _STREAM.set(stream)
    maskings = sys.stderr.maskings if isinstance(sys.stderr, _Masked) else []
    maskings.append(masking)
    try:
        yield
    finally:
        maskings.remove(masking)
        _STREAM.reset(token)
        if rest := stream.end():
            tell(_text(rest))


def _text(shown: bytes) -> str:
    return shown.decode("utf-8", "backslashreplace")
