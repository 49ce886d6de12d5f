"""Which methods production has for an address, as far as asking by OPTIONS tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from oneiric.validation.drift.nowhere import NOWHERE
from oneiric.validation.drift.once import Once
from oneiric.validation.drift.probe import Answer, Prober

_GONE = frozenset({404, 410})
_ONE_ROUTE_ONLY = frozenset({b"Method Not Allowed", b'{"detail":"Method Not Allowed"}'})
"""Bodies of Starlette's 405, whose Allow names the methods of the first route of a path only."""

Has: TypeAlias = Literal["yes", "no", "missing", "unknown"]
"""Whether a method is there, is not, nothing at all is at the address, or nobody can tell."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was learnt of one method at one address, and from what."""

    has: Has
    reason: str
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Habits:
    """How production answers OPTIONS: at a path that it has, and at one that it has not."""

    misses: bool
    finds: bool


class Methods:
    """Tell whether a method is there without using it.

    What OPTIONS answers counts only as far as production tells by it a path that it has from one
    that it has not: some answer every path alike, and some know no OPTIONS at all.

    Args:
        alive: addresses of production that were seen to be there.
    """

    def __init__(self, prober: Prober, alive: list[str]) -> None:
        self._prober = prober
        self._alive = alive
        self._habits = Once(self._learnt)

    async def evidence(self, method: str, url: str) -> Evidence:
        """Return what is known of *method* at *url*."""
        reply = await self._prober.ask("OPTIONS", url)
        if not isinstance(reply, Answer):
            return Evidence("unknown", f"OPTIONS: {reply.reason}")
        if not self._prober.hosts.is_production(url):
            return _as_told(method, reply)
        habits = await self._habits()
        if reply.status in _GONE:
            if reply.status == 410 or (habits.finds and habits.misses):
                return Evidence("missing", f"OPTIONS answered {reply.status}")
            return Evidence("unknown", "OPTIONS answered 404, as it may for every path here")
        if not habits.misses:
            return Evidence("unknown", "OPTIONS is answered alike for every path")
        return _as_told(method, reply)

    async def _learnt(self) -> _Habits:
        nowhere = await self._prober.ask("OPTIONS", self._prober.address(NOWHERE))
        misses = isinstance(nowhere, Answer) and nowhere.status in _GONE
        for url in self._alive[:3]:
            reply = await self._prober.ask("OPTIONS", url)
            if isinstance(reply, Answer) and reply.status not in _GONE and reply.status < 500:
                return _Habits(misses, finds=True)
        return _Habits(misses, finds=False)


def _as_told(method: str, answer: Answer) -> Evidence:
    allow = answer.allow
    if allow is None:
        return Evidence("unknown", f"OPTIONS answered {answer.status} and names no methods")
    named = tuple(sorted(allow))
    if not method or method in allow or (method == "HEAD" and "GET" in allow):
        return Evidence("yes", "Allow names it", named)
    if answer.status == 405 and answer.body.strip() in _ONE_ROUTE_ONLY:
        return Evidence("unknown", "Allow may leave out methods here", named)
    return Evidence("no", f"Allow names {', '.join(named) or 'none'}", named)
