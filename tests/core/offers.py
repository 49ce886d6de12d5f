"""Offers, rules and answers in few words, for tests of resolution."""

from typing import Any

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.decision import Decision, Reason, Rejection
from oneiric.core.precedence import Selection, StackOrder
from oneiric.core.resolver import Resolver
from oneiric.machine import system

CACHE = "adapter:cache"
VARIABLE = "ONEIRIC_STACK_ORDER"
ACME = Source(SourceKind.MANIFEST, "acme", version="3")
PLUGIN = Source(SourceKind.PLUGIN, "plug", version="2")
PAUSED = Rejection(Reason.PAUSED, "paused")
ELSEWHERE = "windows" if system() != "windows" else "linux"


def offer(provider: str, *, ref: str = CACHE, **fields: Any) -> Candidate:
    return Candidate(ref, provider, dict, **fields)


def resolver_of(*candidates: Candidate, **rules: Any) -> Resolver:
    resolver = Resolver()
    for candidate in candidates:
        resolver.register(candidate)
    if rules:
        resolver.configure(**rules)
    return resolver


def order(text: str) -> StackOrder:
    return StackOrder.parse(text, origin=VARIABLE)


def choose(provider: str, origin: str = "oneiric.toml:7", ref: str = CACHE) -> Selection:
    return Selection.of(ref, provider, origin=origin)


def told(decision: Decision) -> list[tuple[str, str, str]]:
    return [(s.provider, str(s.place), s.why) for s in decision.standings]


def reasons(resolver: Resolver, ref: str = CACHE, **asked: Any) -> dict[str, str]:
    """Return why each rejected offer may not serve."""
    return {
        s.provider: f"{s.rejection.reason}: {s.rejection.detail}"
        for s in resolver.explain(ref, **asked).standings
        if s.rejection
    }
