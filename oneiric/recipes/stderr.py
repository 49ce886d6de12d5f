"""What steps say on stderr: without the secrets of their run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from oneiric.recipes.log import tell
from oneiric.recipes.streams import StandIn, standing_in
from oneiric.text.masking import MaskedStream, Masking

_STREAM: ContextVar[MaskedStream | None] = ContextVar("oneiric_recipe_stderr", default=None)


class _Masked(StandIn):
    """A stderr that hides from what each step says what that step must not show."""

    def write(self, text: str, /) -> int:
        stream = _STREAM.get()
        if stream is None:
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
    try:
        yield
    finally:
        _STREAM.reset(token)
        if rest := stream.end():
            tell(_text(rest))


def _text(shown: bytes) -> str:
    return shown.decode("utf-8", "backslashreplace")
