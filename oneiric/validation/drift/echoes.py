"""Whether two pages are the same but for the path that each was asked by."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from urllib.parse import quote, unquote, urlsplit

from oneiric.validation.drift.probe import Answer

_MADE_ANEW = re.compile(rb"[A-Za-z0-9+/=_-]{16,}")
"""What a page may hold that is another at each look, such as a nonce."""

_NUMBERS = re.compile(rb"\d[\d.:TZ+-]*")
"""What else it may: times, and how often it was asked."""

_SPELLINGS: Sequence[Callable[[str], str]] = (
    str,
    unquote,
    lambda path: json.dumps(unquote(path))[1:-1],
    lambda path: path.replace("/", "\\/"),
    lambda path: json.dumps(unquote(path))[1:-1].replace("/", "\\/"),
    lambda path: escape(unquote(path)),
    escape,
    lambda path: escape(unquote(path)).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    lambda path: escape(unquote(path)).replace("/", "&#x2F;"),
    lambda path: quote(unquote(path), safe=""),
)
"""How a page may write a path: as it was sent, plain, and escaped for JSON, HTML and a query."""

_HERE = b"\0"


def are_one_page(answer: Answer, others: Sequence[Answer], *, base: str = "") -> bool:
    """Tell whether *answer* is what *others* are, but for the path that each was asked by.

    What differs among *others* besides is made anew at each look, and makes no difference. *base*
    is how all paths begin; a service may not know of it.
    """
    pages = [_Page.of(each, base) for each in (answer, *others)]
    for level in range(1 if answer.media == "text/html" else 0, 3):
        if any(pages[0].is_like(other, level) for other in pages[1:]):
            return True
        if all(one.is_like(other, level) for one, other in pairwise(pages[1:])):
            return False  # they have nothing made anew
    return False


@dataclass(frozen=True, slots=True)
class _Page:
    """A body, and what it was asked by: with the query and without, and the last name alone."""

    body: bytes
    whole: str
    path: str
    name: str

    @classmethod
    def of(cls, answer: Answer, base: str) -> _Page:
        parts = urlsplit(answer.url)
        path = parts.path.removeprefix(base).strip("/")
        whole = f"{path}?{parts.query}" if parts.query else path
        return cls(answer.body, whole, path, path.rpartition("/")[2])

    def is_like(self, other: _Page, level: int) -> bool:
        """Tell whether both are the same with the path of one in both, or in neither."""
        own = _plain(self.body, level)
        if any(own == _plain(each, level) for each in {*other._as_of(self)}):
            return True
        return _plain(self._without_path(), level) == _plain(other._without_path(), level)

    def _as_of(self, other: _Page) -> Iterator[bytes]:
        """Yield the body as it would be for the path of *other*, however that is written."""
        yield self.body
        ours = (self.whole, self.path, self.name)
        for mine, theirs in {*zip(ours, (other.whole, other.path, other.name), strict=True)}:
            for spell in _SPELLINGS if mine else ():
                yield self.body.replace(_bytes(spell(mine)), _bytes(spell(theirs)))

    def _without_path(self) -> bytes:
        found = {
            _bytes(spell(f"/{each}")) for each in (self.whole, self.path) for spell in _SPELLINGS
        }
        body = self.body
        for each in sorted(found, key=len, reverse=True):
            body = body.replace(each, _HERE)
        return body


def _plain(body: bytes, level: int) -> bytes:
    body = _MADE_ANEW.sub(b"", body) if level else body
    return _NUMBERS.sub(b"", body) if level > 1 else body


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
