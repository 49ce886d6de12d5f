"""Where each candidate stands, and why (R3)."""

import sys
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from oneiric.core.decision import Place, Reason, Rejection
from oneiric.core.fit import system
from oneiric.core.precedence import Number, Rule
from oneiric.core.resolver import Assumption, Resolver
from oneiric.errors import (
    InvalidRefError,
)
from tests.core.offers import (
    ACME,
    CACHE,
    ELSEWHERE,
    PAUSED,
    PLUGIN,
    choose,
    offer,
    reasons,
    resolver_of,
    told,
)


def test_promise_r3_every_candidate_has_a_standing_with_rule_and_values() -> None:
    """Selected, shadowed with the rule and both values, or rejected with a code and facts."""
    resolver = resolver_of(
        offer("old"),
        offer("new"),
        offer("plain", priority=-1),
        offer("deep", stack_level=-2, source=PLUGIN),
        offer("unfit", os_platform=[ELSEWHERE], priority=99),
    )

    decision = resolver.explain(CACHE)

    assert [
        (s.provider, s.place, s.rule, s.value, s.against, s.tied) for s in decision.standings
    ] == [
        ("new", Place.SELECTED, Rule.LATEST, 2, 1, True),
        ("unfit", Place.REJECTED, None, 0, 0, False),
        ("old", Place.SHADOWED, Rule.LATEST, 1, 2, True),
        ("plain", Place.SHADOWED, Rule.PRIORITY, -1, 0, False),
        ("deep", Place.SHADOWED, Rule.STACK, -2, 0, False),
    ]
    assert [s.why for s in decision.standings] == [
        "latest registration",
        f"runs on {ELSEWHERE}, not {system()}",
        "registered before new",
        "priority -1 is below 0",
        "stack level -2 (plugin:plug 2) is below 0",
    ]
    assert decision.standing("plain").priority == Number(-1, "code")
    with pytest.raises(KeyError):
        decision.standing("nobody")


def test_promise_r3_a_tie_between_sources_tells_them_apart() -> None:
    """When the rival has the same provider, its source is named."""
    resolver = resolver_of(offer("redis", source=PLUGIN), offer("redis"))

    assert told(resolver.explain(CACHE)) == [
        ("redis", "selected", "latest registration"),
        ("redis", "shadowed", "registered before redis from code"),
    ]


def test_promise_r3_a_winner_without_rivals_is_told_so() -> None:
    """It is the only candidate, or the only one of several that may serve."""
    assert told(resolver_of(offer("a")).explain(CACHE)) == [("a", "selected", "the only candidate")]
    resolver = resolver_of(offer("a"), offer("b", unavailable="install oneiric[b]"))

    assert told(resolver.explain(CACHE)) == [
        ("a", "selected", "the only one that may serve"),
        ("b", "rejected", "install oneiric[b]"),
    ]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"unavailable": "install oneiric[redis]"}, "unavailable: install oneiric[redis]"),
        ({"os_platform": [ELSEWHERE]}, f"platform: runs on {ELSEWHERE}, not {system()}"),
        (
            {"python_version": ">=3.99"},
            "python-version: needs Python >=3.99, not {}.{}.{}".format(*sys.version_info[:3]),
        ),
        ({"conflicts_with": ["adapter:store"]}, "conflict: conflicts with adapter:store@disk"),
        ({"conflicts_with": ["adapter:store@disk"]}, "conflict: conflicts with adapter:store@disk"),
        (
            {"requires": {"x": "adapter:nobody"}},
            "requirement: requires adapter:nobody, which nobody serves",
        ),
        (
            {"requires": {"x": "adapter:store@tape"}},
            "requirement: requires adapter:store@tape, which nobody serves",
        ),
    ],
)
def test_promise_r3_an_offer_that_cannot_serve_is_rejected_with_the_reason(
    fields: Mapping[str, Any], why: str
) -> None:
    """Each reason has a code from a closed list and the facts in words."""
    resolver = resolver_of(
        offer("disk", ref="adapter:store"), offer("good"), offer("bad", priority=9, **fields)
    )

    assert reasons(resolver) == {"bad": why}
    assert resolver.resolve(CACHE).provider == "good"


@pytest.mark.parametrize(
    "fields",
    [
        {"os_platform": [system(), ELSEWHERE]},
        {"python_version": ">=3.11"},
        {"conflicts_with": ["adapter:nobody", "adapter:store@tape", "adapter:cache@bad"]},
        {"conflicts_with": ["adapter:gone"]},
        {"requires": {"x": "adapter:store", "y": "adapter:store@disk"}},
    ],
)
def test_promise_r3_what_is_met_rejects_nobody(fields: Mapping[str, Any]) -> None:
    """A condition that holds is no reason; an offer does not conflict with itself."""
    resolver = resolver_of(
        offer("disk", ref="adapter:store"),
        offer("gone", ref="adapter:gone", os_platform=[ELSEWHERE]),
        offer("bad", **fields),
    )

    assert reasons(resolver) == {}


def test_promise_r3_a_missing_capability_is_named() -> None:
    """All that are missing, sorted; a single text is one capability."""
    resolver = resolver_of(offer("a", capabilities=["ttl", "tags"]), offer("b"))

    assert reasons(resolver, needs=["ttl", "cluster", "tags"]) == {
        "a": "capability: lacks cluster",
        "b": "capability: lacks cluster, tags, ttl",
    }
    assert resolver.resolve(CACHE, needs="ttl").provider == "a"


def test_promise_r3_a_requirement_is_followed_all_the_way() -> None:
    """What requires something whose requirement is not met cannot serve either."""
    resolver = resolver_of(
        offer("a", requires={"b": "adapter:b"}),
        offer("b", ref="adapter:b", requires={"c": "adapter:c"}),
        offer("c", ref="adapter:c", requires={"d": "adapter:d"}),
    )
    before = reasons(resolver)
    resolver.register(offer("d", ref="adapter:d"))

    assert before == {"a": "requirement: requires adapter:b, which nobody serves"}
    assert reasons(resolver) == {}


def test_promise_r3_a_requirement_may_be_met_by_a_lesser_offer() -> None:
    """What counts is that somebody serves the requirement."""
    resolver = resolver_of(
        offer("a", requires={"b": "adapter:b"}),
        offer("b1", ref="adapter:b", priority=9, requires={"x": "adapter:nobody"}),
        offer("b2", ref="adapter:b"),
    )

    assert reasons(resolver) == {}
    assert resolver.resolve("adapter:b").provider == "b2"


def test_promise_r3_an_offer_of_the_same_place_may_be_required_by_name() -> None:
    """`adapter:cache@multitier` may stand on `adapter:cache@memory`."""
    resolver = resolver_of(
        offer("memory"),
        offer("multitier", priority=5, requires={"near": "adapter:cache@memory"}),
    )

    assert resolver.resolve(CACHE).provider == "multitier"
    assert resolver.resolve(CACHE, provider="multitier").provider == "multitier"
    resolver.withdraw("adapter:cache@memory")
    assert reasons(resolver) == {
        "multitier": "requirement: requires adapter:cache@memory, which nobody serves"
    }


def test_promise_r3_offers_that_wait_for_each_other_are_rejected() -> None:
    """A ring of requirements is rejected, showing the way around, whoever is asked."""
    resolver = resolver_of(
        offer("a", ref="adapter:a", requires={"b": "adapter:b"}),
        offer("b", ref="adapter:b", requires={"c": "adapter:c"}),
        offer("c", ref="adapter:c", requires={"a": "adapter:a"}),
        offer("onlooker", ref="adapter:o", requires={"a": "adapter:a"}),
    )

    assert [reasons(resolver, f"adapter:{key}") for key in "abco"] == [
        {
            "a": "requirement: requires itself: "
            "adapter:a@a -> adapter:b@b -> adapter:c@c -> adapter:a@a"
        },
        {
            "b": "requirement: requires itself: "
            "adapter:b@b -> adapter:c@c -> adapter:a@a -> adapter:b@b"
        },
        {
            "c": "requirement: requires itself: "
            "adapter:c@c -> adapter:a@a -> adapter:b@b -> adapter:c@c"
        },
        {"onlooker": "requirement: requires adapter:a, which nobody serves"},
    ]


def test_promise_r3_an_offer_that_requires_its_own_place_cannot_fill_it() -> None:
    """It would be its own requirement; beneath another winner it may serve when asked for."""
    wrapper = offer("wrapper", priority=5, requires={"inner": CACHE})
    alone = resolver_of(wrapper)
    topmost = resolver_of(wrapper, offer("memory"))
    beneath = resolver_of(wrapper, offer("memory", priority=9))

    itself = "requirement: requires itself: adapter:cache@wrapper -> adapter:cache@wrapper"
    assert reasons(alone) == {"wrapper": itself}
    assert (reasons(topmost), topmost.resolve(CACHE).provider) == ({"wrapper": itself}, "memory")
    assert (reasons(beneath), beneath.resolve(CACHE).provider) == ({}, "memory")
    assert beneath.resolve(CACHE, provider="wrapper") is wrapper


def test_promise_r3_a_ring_has_one_outcome_wherever_one_starts() -> None:
    """Winners never require each other in a ring, so each can be brought up."""
    candidates = [
        offer("a1", ref="adapter:a", priority=1, requires={"b": "adapter:b"}),
        offer("a2", ref="adapter:a"),
        offer("b1", ref="adapter:b", priority=1, requires={"a": "adapter:a"}),
        offer("b2", ref="adapter:b"),
    ]

    outcomes = set()
    for arrangement in permutations(candidates):
        for first, second in (("adapter:a", "adapter:b"), ("adapter:b", "adapter:a")):
            resolver = resolver_of(*arrangement)
            served = {ref: resolver.resolve(ref).provider for ref in (first, second)}
            outcomes.add((served["adapter:a"], served["adapter:b"]))

    assert outcomes == {("a2", "b2")}


def test_promise_r3_a_ring_below_does_not_reject_what_could_stand_without_it() -> None:
    """The innermost ring is opened first; what leads to it is judged by what is left."""
    resolver = resolver_of(
        offer("x1", ref="adapter:x", priority=1, requires={"y": "adapter:y"}),
        offer("x2", ref="adapter:x"),
        offer("y1", ref="adapter:y", priority=1, requires={"x": "adapter:x"}),
        offer("y2", ref="adapter:y"),
        offer("top", ref="adapter:top", requires={"x": "adapter:x", "y": "adapter:y"}),
    )

    assert reasons(resolver, "adapter:top") == {}
    assert resolver.resolve("adapter:top").provider == "top"


def test_promise_r3_a_ring_of_named_offers_serves_nobody_who_requires_them() -> None:
    """Offers required by their provider's name are judged like places."""
    resolver = resolver_of(
        offer("a", ref="adapter:a", requires={"b": "adapter:b@b"}),
        offer("b", ref="adapter:b", requires={"a": "adapter:a@a"}),
        offer("onlooker", ref="adapter:o", requires={"b": "adapter:b@b"}),
    )

    assert reasons(resolver, "adapter:o") == {
        "onlooker": "requirement: requires adapter:b@b, which nobody serves"
    }
    assert reasons(resolver, "adapter:b@b") == {
        "b": "requirement: requires itself: adapter:b@b -> adapter:a@a -> adapter:b@b"
    }


def test_promise_r3_an_outer_ring_is_judged_by_what_inner_rings_leave() -> None:
    """An offer is not rejected for a ring that breaks by itself, and previews agree with that."""
    resolver = resolver_of(
        offer("x", ref="adapter:x", requires={"y": "adapter:y"}),
        offer("y", ref="adapter:y", requires={"x": "adapter:x"}),
        offer("u1", ref="adapter:u", priority=1, requires={"v": "adapter:v", "x": "adapter:x"}),
        offer("u2", ref="adapter:u"),
        offer("v1", ref="adapter:v", priority=1, requires={"u": "adapter:u"}),
        offer("v2", ref="adapter:v"),
    )

    assert (resolver.resolve("adapter:u").provider, resolver.resolve("adapter:v").provider) == (
        "u2",
        "v1",
    )
    assert reasons(resolver, "adapter:u") == {
        "u1": "requirement: requires adapter:x, which nobody serves"
    }
    everything = Assumption(withdraw=tuple(resolver.registry.refs()))
    assert {
        str(diff.before.ref): diff.before.winner and diff.before.winner.provider
        for diff in resolver.preview(everything)
    } == {"adapter:u": "u2", "adapter:v": "v1", "adapter:x": None, "adapter:y": None}


def test_promise_r3_a_lesser_offer_that_would_close_a_ring_does_no_harm() -> None:
    """A ring through offers that do not serve is none."""
    resolver = resolver_of(
        offer("redis", priority=1, requires={"secrets": "adapter:secrets"}),
        offer("env", ref="adapter:secrets", priority=1),
        offer("vault", ref="adapter:secrets", requires={"cache": CACHE}),
    )

    assert (reasons(resolver), reasons(resolver, "adapter:secrets")) == ({}, {})
    resolver.select(choose("vault", "swap", "adapter:secrets"))
    assert reasons(resolver) == {
        "redis": "requirement: requires itself: adapter:cache@redis -> "
        "adapter:secrets@vault -> adapter:cache@redis"
    }


def test_promise_r3_many_layers_of_requirements_are_judged_at_once() -> None:
    """Cost grows with the offers, not with the ways through them; depth is no limit."""
    wide, deep = Resolver(), Resolver()
    for layer in range(30):
        for twin in "lr":
            below = {side: f"adapter:{side}{layer + 1}" for side in "lr"}
            wide.register(offer("p", ref=f"adapter:{twin}{layer}", requires=below))
    for twin in "lr":
        wide.register(offer("p", ref=f"adapter:{twin}30"))
    for layer in range(3000):
        deep.register(offer("p", ref=f"task:t{layer}", requires={"x": f"task:t{layer + 1}"}))

    assert wide.resolve("adapter:l0").provider == "p"
    assert reasons(deep, "task:t0") == {"p": "requirement: requires task:t1, which nobody serves"}
    deep.register(offer("p", ref="task:t3000"))
    assert reasons(deep, "task:t0") == {}


def test_promise_r3_an_excluded_offer_tells_why_and_comes_back() -> None:
    """Quarantine and pause reject until each ends by itself; the next best serves meanwhile."""
    resolver = resolver_of(offer("a", priority=1), offer("b"))
    best = "adapter:cache@a"

    resolver.exclude(best, Rejection(Reason.PAUSED, "paused: nightly"))
    resolver.exclude(best, Rejection(Reason.QUARANTINE, "quarantined for 5 s"))
    both = reasons(resolver)
    resolver.admit(best, reason=Reason.PAUSED)
    one = reasons(resolver)
    meanwhile = resolver.resolve(CACHE).provider
    resolver.admit(best, reason=Reason.QUARANTINE)

    assert both == {"a": "paused: paused: nightly"}
    assert one == {"a": "quarantine: quarantined for 5 s"}
    assert (meanwhile, resolver.resolve(CACHE).provider) == ("b", "a")


def test_promise_r3_admitting_ends_every_rejection_unless_one_is_named() -> None:
    """Admitting what is not excluded, or not for that reason, changes nothing."""
    resolver = resolver_of(offer("a"))
    resolver.exclude("adapter:cache@a", Rejection(Reason.PAUSED, "paused"))

    resolver.admit("adapter:cache@a", reason=Reason.QUARANTINE)
    resolver.admit("adapter:cache@other")
    still = reasons(resolver)
    resolver.admit("adapter:cache@a")

    assert (still, reasons(resolver)) == ({"a": "paused: paused"}, {})
    with pytest.raises(InvalidRefError, match="it names a place, not an offer"):
        resolver.admit(CACHE)
    with pytest.raises(InvalidRefError, match="it names a place, not an offer"):
        resolver.exclude(CACHE, PAUSED)


def test_promise_r3_without_failover_nobody_stands_in() -> None:
    """Then the best one's absence leaves the place empty; the others stand below it."""
    resolver = resolver_of(
        offer("unfit", priority=9, capabilities=()),
        offer("a", priority=1, capabilities=["ttl"]),
        offer("b", capabilities=["ttl"]),
        failover=False,
    )
    resolver.exclude("adapter:cache@a", PAUSED)

    decision = resolver.explain(CACHE, needs=["ttl"])

    assert decision.winner is None
    assert told(decision) == [
        ("unfit", "rejected", "lacks ttl"),
        ("a", "rejected", "paused"),
        ("b", "shadowed", "priority 0 is below 1"),
    ]
    assert str(decision.problem) == (
        "no candidate may serve adapter:cache\n  unfit  lacks ttl\n  a      paused"
    )


def test_promise_r3_without_failover_who_could_not_serve_anyway_blocks_nobody() -> None:
    """A paused offer that lacks what is needed is rejected for that."""
    resolver = resolver_of(offer("a", priority=1), offer("b", capabilities=["ttl"]), failover=False)
    resolver.exclude("adapter:cache@a", PAUSED)

    assert told(resolver.explain(CACHE, needs=["ttl"])) == [
        ("b", "selected", "the only one that may serve"),
        ("a", "rejected", "lacks ttl"),
    ]


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({}, Number(0, "default")),
        ({"priority": 4}, Number(4, "code")),
        ({"priority": 4, "source": PLUGIN}, Number(4, "plugin:plug 2")),
        ({"priority": -4, "source": ACME}, Number(-4, "manifest:acme 3")),
    ],
)
def test_promise_r3_a_priority_tells_where_it_was_set(
    fields: Mapping[str, Any], number: Number
) -> None:
    """The source that set it, or the default."""
    assert resolver_of(offer("a", **fields)).explain(CACHE).standings[0].priority == number
