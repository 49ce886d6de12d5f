"""Keep known secrets out of what others say, in the forms that they take on the way."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote, quote_plus

from oneiric.text.redaction import MASK

_MASK = MASK.encode()
_TELLING = 8
"""Characters from which on a middle part of a base64 text belongs to nothing else by chance."""


class Masking:
    """Mask texts wherever they occur: plain, in base64, quoted for a URL, escaped for JSON,
    and for JSON that is a text of JSON.

    In base64 they are found inside of longer texts too, as in `user:password`. What overlaps is
    masked as one, so no part of a text shows. An empty text masks nothing; a very short one masks
    whatever looks like it.

    >>> masking = Masking(["hunter2/"])
    >>> masking.text("hunter2/ and hunter2%2F and bWU6aHVudGVyMi8=")
    '********** and ********** and bWU6**********'
    """

    __slots__ = ("_forms",)

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values if value for form in _forms(value)}
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    def __repr__(self) -> str:
        return f"Masking({MASK})"

    def __bool__(self) -> bool:
        return bool(self._forms)

    def bytes(self, data: bytes) -> bytes:
        """Return *data*, masked."""
        stream = self.stream()
        return stream.feed(data) + stream.end()

    def text(self, text: str) -> str:
        """Return *text*, masked."""
        masked = self.bytes(text.encode("utf-8", "surrogatepass"))
        return masked.decode("utf-8", "surrogatepass")

    def stream(self) -> "MaskedStream":
        """Return a new stream, for what comes in pieces."""
        return MaskedStream(self._forms)


class MaskedStream:
    """Mask what comes in pieces, as it would be masked in one.

    What may be the beginning of a text to mask is held back until it is known to be none; at most
    as much as the longest form.

    >>> stream = Masking(["hunter2"]).stream()
    >>> stream.feed(b"it is hun"), stream.feed(b"ter2, not hunter"), stream.end()
    (b'it is ', b'**********, not ', b'hunter')
    """

    __slots__ = ("_covered", "_forms", "_held")

    def __init__(self, forms: tuple[bytes, ...]) -> None:
        self._forms = forms
        self._held = b""
        self._covered = 0

    def feed(self, data: bytes) -> bytes:
        """Take a piece, and return what can be shown."""
        if not self._forms:
            return data
        data = self._held + data
        return self._shown(data, _unfinished(data, self._forms))

    def end(self) -> bytes:
        """Return what was held back; after that another stream may begin."""
        return self._shown(self._held, len(self._held))

    def _shown(self, data: bytes, until: int) -> bytes:
        """Mask *data* before *until*, and hold the rest: as much of it as a mask shown covers."""
        shown, end = [], self._covered
        for start, stop in _found(data, self._forms):
            if start >= until:
                break
            if start >= end:
                shown += [data[end:start], _MASK]
            end = max(end, stop)
        shown.append(data[end:until])
        self._held, self._covered = data[until:], max(0, end - until)
        return b"".join(shown)


def _found(data: bytes, forms: Iterable[bytes]) -> list[tuple[int, int]]:
    """Return where each form begins and ends, overlapping ones too, by their beginnings."""
    return sorted((at, at + len(form)) for form in forms for at in _places(data, form))


def _places(data: bytes, form: bytes) -> Iterator[int]:
    at = data.find(form)
    while at >= 0:
        yield at
        at = data.find(form, at + 1)


def _unfinished(data: bytes, forms: Iterable[bytes]) -> int:
    """Return where the first form begins that may go on after the end of *data*."""
    first = len(data)
    for form in forms:
        at = data.find(form[:1], max(0, len(data) - len(form) + 1), first)
        while at >= 0:
            if form.startswith(data[at:]):
                first = at
                break
            at = data.find(form[:1], at + 1, first)
    return first


def _forms(value: str) -> Iterator[bytes]:
    raw = value.encode("utf-8", "surrogatepass")
    yield raw
    for text in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        yield text.encode()
        yield _lower_escapes(text).encode()
    for escaped in _escaped(value):
        for text in (escaped, *_escaped(escaped)):  # JSON stands in texts of JSON
            yield text.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw)
        yield whole
        yield whole.rstrip(b"=")
        yield from _cores(raw, encode)


def _escaped(text: str) -> list[str]:
    return [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]


def _cores(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Yield what of base64 depends on *raw* alone, wherever it stands in a longer text."""
    for before in range(3):
        begin = (before * 8 + 5) // 6
        end = (before + len(raw)) * 8 // 6
        core = encode(b"\0" * before + raw)[begin:end]
        if len(core) >= _TELLING:
            yield core


def _lower_escapes(text: str) -> str:
    head, *rest = text.split("%")
    return "%".join([head, *(each[:2].lower() + each[2:] for each in rest)])
