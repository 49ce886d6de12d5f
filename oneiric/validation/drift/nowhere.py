"""What production answers for paths that it cannot have: what is answered alike proves nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from oneiric.validation.drift.once import Once
from oneiric.validation.drift.probe import Answer, Prober, Reply

NOWHERE = "/oneiric-drift-there-is-no-such-route"
"""A path that no service has: what it answers tells what a missing route looks like."""

_MOST_FOLDERS = 50
_MADE_ANEW = re.compile(rb"[A-Za-z0-9+/=_-]{16,}")
"""What a page may hold that is another at each look, such as a nonce."""


class Nowhere:
    """Tell an answer that a route gave from one that every path gets.

    Gateways ask for credentials before they look for a route, some services send everybody to
    their login, and those of one page give that page for any path.
    """

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._base = urlsplit(prober.address("/")).path.rstrip("/")
        self._known: dict[str, Once[Reply]] = {}
        self._options = Once(self._asked_options)

    async def is_like(self, answer: Answer) -> bool:
        """Tell whether production answers so for a path that it has not, too."""
        path = urlsplit(answer.url).path.removeprefix(self._base)
        if not self._prober.hosts.is_production(answer.url):
            return False
        if 200 <= answer.status < 300 and path in ("", "/"):
            return False  # what is the page for every path is that of the first
        for place in self._places(path):
            there = await self._known[place]()
            if isinstance(there, Answer) and _are_alike(answer, there):
                return True
        return False

    async def allows(self, allow: frozenset[str]) -> bool:
        """Tell whether OPTIONS names these methods for a path that is not there, too."""
        there = await self._options()
        return isinstance(there, Answer) and there.allow == allow

    def _places(self, path: str) -> Iterator[str]:
        yield self._place(NOWHERE)
        first, _, rest = path.lstrip("/").partition("/")
        below = f"/{first}{NOWHERE}{NOWHERE}"
        if rest and (below in self._known or len(self._known) <= _MOST_FOLDERS):
            yield self._place(below)

    def _place(self, path: str) -> str:
        if path not in self._known:
            self._known[path] = Once(lambda: self._prober.ask("GET", self._prober.address(path)))
        return path

    async def _asked_options(self) -> Reply:
        return await self._prober.ask("OPTIONS", self._prober.address(NOWHERE))


def _are_alike(one: Answer, other: Answer) -> bool:
    if one.status != other.status:
        return False
    if one.target or other.target:
        return urlsplit(one.target)[:3] == urlsplit(other.target)[:3]
    if not 200 <= one.status < 300:
        return True
    if one.media != other.media or not (one.is_whole and other.is_whole):
        return False
    if one.media == "text/html":
        return _MADE_ANEW.sub(b"", one.body) == _MADE_ANEW.sub(b"", other.body)
    return one.body == other.body
