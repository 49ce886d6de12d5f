"""What production answers for paths that it cannot have: what is answered alike proves nothing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from urllib.parse import urlsplit

from oneiric.validation.drift.echoes import are_one_page
from oneiric.validation.drift.once import Once
from oneiric.validation.drift.probe import Answer, Prober, Reply

NOWHERE = "/oneiric-drift-there-is-no-such-route"
"""How a path begins that no service has: what it answers tells what a missing route looks like."""

_MOST_FOLDERS = 50


class Nowhere:
    """Tell an answer that a route gave from one that every path gets.

    Gateways ask for credentials before they look for a route, some services send everybody to
    their login, and those of one page give that page for any path, with the path in it or not.
    """

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._base = urlsplit(prober.address("/")).path.rstrip("/")
        self._known: dict[str, Once[Reply]] = {}
        self._options = Once(self._asked_options)
        self._names = [f"{NOWHERE}-{secrets.token_hex(length)}" for length in (8, 12)]

    async def is_like(self, answer: Answer) -> bool:
        """Tell whether production answers so for a path that it has not, too."""
        path = urlsplit(answer.url).path.removeprefix(self._base)
        if not self._prober.hosts.is_production(answer.url):
            return False
        if 200 <= answer.status < 300 and path in ("", "/"):
            return False  # what is the page for every path is that of the first
        for places in self._places(path):
            there = await self._known[places[0]]()
            if not isinstance(there, Answer) or not _may_be_alike(answer, there):
                continue
            if not 200 <= answer.status < 300:
                return True
            again = await self._known[places[1]]()
            others = [there, *([again] if isinstance(again, Answer) else [])]
            if are_one_page(answer, others, base=self._base):
                return True
        return False

    async def allows(self, allow: frozenset[str]) -> bool:
        """Tell whether OPTIONS names these methods for a path that is not there, too."""
        there = await self._options()
        return isinstance(there, Answer) and there.allow == allow

    def _places(self, path: str) -> Iterator[list[str]]:
        """Yield two paths that are not there, and then two below the folder of *path*."""
        yield [self._place(name) for name in self._names]
        first, _, rest = path.lstrip("/").partition("/")
        below = [f"/{first}{name}{name}" for name in self._names]
        if rest and (below[0] in self._known or len(self._known) <= 2 * _MOST_FOLDERS):
            yield [self._place(each) for each in below]

    def _place(self, path: str) -> str:
        if path not in self._known:
            self._known[path] = Once(lambda: self._prober.ask("GET", self._prober.address(path)))
        return path

    async def _asked_options(self) -> Reply:
        return await self._prober.ask("OPTIONS", self._prober.address(self._names[0]))


def _may_be_alike(one: Answer, other: Answer) -> bool:
    """Tell whether all but the body of two answers is alike."""
    if one.status != other.status:
        return False
    if one.target or other.target:
        return urlsplit(one.target)[:3] == urlsplit(other.target)[:3]
    if not 200 <= one.status < 300:
        return True
    return one.media == other.media and one.is_whole and other.is_whole
