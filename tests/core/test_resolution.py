"""Resolution: precedence, one answer for both questions, changes seen whole, nothing copied."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import pytest

from oneiric.core.candidate import CODE, Candidate, Source, SourceKind
from oneiric.core.precedence import Number, Rule
from oneiric.core.registry import Registry
from oneiric.core.resolver import Assumption, Resolver
from oneiric.errors import (
    ConfigError,
    InvalidCandidateError,
    InvalidRefError,
    NoCandidateError,
)
from tests.core.offers import (
    ACME,
    CACHE,
    PAUSED,
    PLUGIN,
    VARIABLE,
    choose,
    offer,
    order,
    resolver_of,
    told,
)


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Have threads take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_promise_r1_the_four_rules_in_this_order_and_no_other() -> None:
    """Selection beats stack level beats priority beats the latest, each by the smallest margin."""
    candidates = [
        offer("selected", stack_level=-9, priority=-9),
        offer("level", stack_level=1, priority=-9),
        offer("priority", priority=1),
        offer("earlier"),
        offer("latest"),
    ]
    resolver = resolver_of(*candidates, selections=[choose("selected")])

    served = []
    while resolver.registry.refs():
        winner = resolver.resolve(CACHE)
        served.append((winner.provider, resolver.explain(CACHE).rule))
        resolver.withdraw(winner.offer)
        resolver.configure(selections=[])

    assert served == [
        ("selected", Rule.SELECTION),
        ("level", Rule.STACK),
        ("priority", Rule.PRIORITY),
        ("latest", Rule.LATEST),
        ("earlier", None),
    ]


def test_promise_r1_a_listed_stack_replaces_the_candidates_own_level() -> None:
    """Even a lower listed level replaces a higher own one; who is not listed keeps theirs."""
    resolver = resolver_of(
        offer("listed", stack="base", stack_level=99),
        offer("free", stack_level=5),
        stacks=order("base,team"),
    )

    assert told(resolver.explain(CACHE)) == [
        ("free", "selected", "stack level 5"),
        ("listed", "shadowed", "stack level 0 (ONEIRIC_STACK_ORDER) is below 5"),
    ]


def test_promise_r1_the_stack_order_outranks_any_priority() -> None:
    """A higher stack wins against the highest priority."""
    resolver = resolver_of(
        offer("loud", stack="base", priority=2**53),
        offer("quiet", stack="site", priority=-5),
        stacks=order("base,site"),
    )

    assert resolver.resolve(CACHE).provider == "quiet"


def test_promise_r1_the_stack_order_applies_live() -> None:
    """Changing it changes the next answer, for what was registered long before."""
    resolver = resolver_of(offer("a", stack="one"), offer("b", stack="two"))

    served = []
    for text in ("one,two", "two,one", "one:-5", "", "two:-1"):
        resolver.configure(stacks=order(text))
        served.append(resolver.resolve(CACHE).provider)

    assert served == ["b", "a", "b", "b", "a"]


def test_promise_r1_a_bad_stack_order_changes_nothing() -> None:
    """A wrong order is refused before it could apply."""
    resolver = resolver_of(offer("a", stack="one"), offer("b"), stacks=order("base,one"))

    with pytest.raises(ConfigError):
        resolver.configure(stacks=order("one,base:high"))

    assert resolver.resolve(CACHE).provider == "a"


def test_promise_r1_the_stack_is_the_distributions_or_manifests_name() -> None:
    """Naming a distribution or a manifest in the order ranks all that it brings."""
    resolver = resolver_of(
        offer("mine"),
        offer("theirs", source=ACME),
        offer("plugged", source=PLUGIN),
        stacks=order("base,plug,acme"),
    )

    assert {s.provider: s.level for s in resolver.explain(CACHE).standings} == {
        "theirs": Number(20, VARIABLE),
        "plugged": Number(10, VARIABLE),
        "mine": Number(0, "default"),
    }


@pytest.mark.parametrize("text", ["", "base,team"])
def test_promise_r1_an_unnamed_manifest_ranks_below_everything_local(text: str) -> None:
    """Its entries have level -1, whatever level and priority they claim."""
    resolver = resolver_of(
        offer("mine"),
        offer("theirs", source=ACME, stack_level=100, priority=100),
        stacks=order(text),
    )

    assert told(resolver.explain(CACHE)) == [
        ("mine", "selected", "stack level 0"),
        (
            "theirs",
            "shadowed",
            "stack level -1 (no stack order names the manifest's stack) is below 0",
        ),
    ]


def test_promise_r1_a_level_inside_a_manifest_orders_its_own_entries() -> None:
    """Among one manifest's entries its levels count before priority and order."""
    resolver = resolver_of(
        offer("high", source=ACME, stack_level=5),
        offer("low", source=ACME, stack_level=4, priority=50),
        offer("lower", source=ACME, stack_level=4),
    )

    assert told(resolver.explain(CACHE)) == [
        ("high", "selected", "stack level 5 within manifest:acme 3"),
        ("low", "shadowed", "stack level 4 is below 5 within manifest:acme 3"),
        ("lower", "shadowed", "stack level 4 is below 5 within manifest:acme 3"),
    ]


def test_promise_r1_a_level_inside_a_manifest_does_not_reach_outside() -> None:
    """Against others a manifest's best entry has the level that the local order gives."""
    other = Source(SourceKind.MANIFEST, "other", version="1")
    resolver = resolver_of(
        offer("acme-best", source=ACME, stack_level=9),
        offer("acme-loud", source=ACME, stack_level=0, priority=90),
        offer("other-only", source=other, stack_level=1, priority=3),
        stacks=order("base,acme"),
    )
    named = told(resolver.explain(CACHE))
    resolver.configure(stacks=order("base"))
    unnamed = told(resolver.explain(CACHE))

    assert named == [
        ("acme-best", "selected", "stack level 10 (ONEIRIC_STACK_ORDER)"),
        ("acme-loud", "shadowed", "stack level 0 is below 9 within manifest:acme 3"),
        (
            "other-only",
            "shadowed",
            "stack level -1 (no stack order names the manifest's stack) is below 10",
        ),
    ]
    assert unnamed == [
        ("other-only", "selected", "priority 3 (manifest:other 1)"),
        ("acme-loud", "shadowed", "stack level 0 is below 9 within manifest:acme 3"),
        ("acme-best", "shadowed", "priority 0 is below 3"),
    ]


def test_promise_r1_the_local_order_outranks_levels_inside_a_manifest() -> None:
    """Where the local order ranks the stacks of one manifest's entries, that comes first."""
    resolver = resolver_of(
        offer("site", source=ACME, stack="site", stack_level=0),
        offer("base", source=ACME, stack="base", stack_level=7),
        offer("mine", stack_level=20),
        stacks=order("base,site:50"),
    )

    assert told(resolver.explain(CACHE)) == [
        ("site", "selected", "stack level 50 (ONEIRIC_STACK_ORDER)"),
        ("mine", "shadowed", "stack level 20 is below 50"),
        ("base", "shadowed", "stack level 0 (ONEIRIC_STACK_ORDER) is below 50"),
    ]


def test_promise_r1_a_manifests_best_that_may_not_serve_leaves_its_place() -> None:
    """A rejected entry does not speak for its manifest."""
    resolver = resolver_of(
        offer("best", source=ACME, stack_level=5, unavailable="install oneiric[best]"),
        offer("next", source=ACME),
    )

    assert told(resolver.explain(CACHE)) == [
        ("next", "selected", "the only one that may serve"),
        ("best", "rejected", "install oneiric[best]"),
    ]


def test_promise_r2_resolve_returns_the_winner_that_explain_gives() -> None:
    """Whatever is asked, the two agree, before and after the answer is remembered."""
    resolver = resolver_of(offer("a", capabilities=["ttl"]), offer("b", priority=1))
    questions: list[dict[str, Any]] = [{}, {"provider": "a"}, {"needs": ["ttl"]}]

    for question in questions * 2:
        assert resolver.resolve(CACHE, **question) is resolver.explain(CACHE, **question).winner
    assert resolver.resolve(f"{CACHE}@a") is resolver.explain(f"{CACHE}@a").winner


def test_promise_r2_without_a_winner_explain_tells_and_resolve_raises() -> None:
    """The decision's winner is None and carries the very error that resolve raises."""
    resolver = resolver_of(offer("a"), offer("b"))

    decision = resolver.explain(CACHE, needs=["ttl"])
    with pytest.raises(NoCandidateError) as caught:
        resolver.resolve(CACHE, needs=["ttl"])

    assert decision.winner is None
    assert decision.problem is not None
    assert caught.value.as_json() == decision.problem.as_json()
    assert caught.value.render() == (
        "error[no-candidate]: no candidate may serve adapter:cache\n"
        "  b  lacks ttl\n"
        "  a  lacks ttl\n"
        "hint: oneiric explain adapter:cache"
    )


def test_promise_r2_a_place_that_nobody_fills_names_the_nearest() -> None:
    """A misspelt place is an error with the nearest place that has an offer."""
    resolver = resolver_of(offer("a"))

    with pytest.raises(NoCandidateError) as caught:
        resolver.resolve("adapter:cahce")

    assert caught.value.render() == (
        "error[no-candidate]: no candidate is registered for adapter:cahce\n"
        "hint: did you mean adapter:cache?"
    )
    assert resolver.explain("adapter:cahce").standings == ()


def test_promise_r2_the_order_of_registration_counts_only_by_the_last_rule() -> None:
    """Offers that differ in any other rule stand alike whatever came first."""
    candidates = [
        offer("a", priority=1),
        offer("b", priority=2),
        offer("c", stack_level=1),
        offer("d", requires={"x": "adapter:nobody"}, priority=9),
    ]

    outcomes = {tuple(told(resolver_of(*p).explain(CACHE))) for p in permutations(candidates)}

    assert outcomes == {
        (
            ("c", "selected", "stack level 1"),
            ("d", "rejected", "requires adapter:nobody, which nobody serves"),
            ("b", "shadowed", "stack level 0 is below 1"),
            ("a", "shadowed", "stack level 0 is below 1"),
        )
    }


def test_promise_r2_resolvers_of_one_registry_do_not_share_answers() -> None:
    """Each answers by its own selections, however often the other was asked."""
    registry = Registry()
    one, two = Resolver(registry), Resolver(registry)
    for provider in ("a", "b"):
        registry.register(offer(provider))
    two.select(choose("a", "swap"))

    answers = [(one.resolve(CACHE).provider, two.resolve(CACHE).provider) for _ in range(3)]

    assert answers == [("b", "a")] * 3
    assert two.explain(CACHE).winner is two.resolve(CACHE)


def test_promise_r2_asking_for_one_provider_gives_its_best_offer() -> None:
    """Several sources may offer one provider; the rules rank them, and others are rejected."""
    resolver = resolver_of(
        offer("redis", priority=1),
        offer("redis", source=PLUGIN),
        offer("memory", priority=9),
        selections=[choose("memory")],
    )

    decision = resolver.explain(CACHE, provider="redis")

    assert told(decision) == [
        ("redis", "selected", "priority 1"),
        ("memory", "rejected", "another provider was asked for"),
        ("redis", "shadowed", "priority 0 is below 1"),
    ]
    assert decision.selection is None
    assert resolver.explain("adapter:cache@redis").standings == decision.standings


def test_promise_r2_asking_for_a_provider_that_nobody_offers_names_the_nearest() -> None:
    """There is no stand-in for a provider that was asked for."""
    resolver = resolver_of(offer("redis"), offer("memory"))

    with pytest.raises(NoCandidateError) as caught:
        resolver.resolve(CACHE, provider="redsi")

    assert caught.value.render() == (
        "error[no-candidate]: no candidate may serve adapter:cache@redsi\n"
        "  memory  another provider was asked for\n"
        "  redis   another provider was asked for\n"
        "hint: did you mean adapter:cache@redis?"
    )


def test_promise_r2_two_providers_cannot_be_asked_for_at_once() -> None:
    """A reference that names one provider and an argument that names another are refused."""
    resolver = resolver_of(offer("redis"), offer("memory"))

    assert resolver.resolve("adapter:cache@redis", provider="redis").provider == "redis"
    with pytest.raises(InvalidRefError, match="it names redis, and memory was asked for"):
        resolver.resolve("adapter:cache@redis", provider="memory")


def test_promise_r2_a_malformed_reference_is_refused_by_both() -> None:
    """Neither guesses."""
    resolver = resolver_of(offer("redis"))

    for ask in (resolver.resolve, resolver.explain):
        with pytest.raises(InvalidRefError):
            ask("cache")


def test_promise_r6_a_refreshed_offer_serves() -> None:
    """A changed registration replaces the former one and counts as the latest."""
    resolver = resolver_of(offer("a"), offer("b"))
    resolver.register(offer("a", version="2"))

    assert told(resolver.explain(CACHE)) == [
        ("a", "selected", "latest registration"),
        ("b", "shadowed", "registered before a"),
    ]
    assert resolver.resolve(CACHE).version == "2"


def test_promise_r6_an_identical_offer_wins_nothing() -> None:
    """Registering the same again does not make it the latest."""
    resolver = resolver_of(offer("a"), offer("b"), offer("a"))

    assert resolver.resolve(CACHE).provider == "b"


def test_promise_r6_every_change_reaches_what_was_remembered() -> None:
    """Each kind of change is seen by the next question about any place."""
    resolver = resolver_of(offer("a"), offer("app", ref="service:app", requires={"c": CACHE}))
    acts: list[tuple[Any, ...]] = [
        (resolver.register, offer("b")),
        (resolver.select, choose("a", "swap")),
        (resolver.unselect, CACHE),
        (resolver.exclude, "adapter:cache@b", PAUSED),
        (resolver.admit, "adapter:cache@b"),
        (resolver.replace_source, CODE, [offer("c")]),
        (resolver.withdraw, CACHE),
    ]

    seen = []
    for act, *arguments in acts:
        act(*arguments)
        winners = (resolver.explain(ref).winner for ref in (CACHE, "service:app"))
        seen.append([winner.provider if winner else None for winner in winners])
        for ref, name in zip((CACHE, "service:app"), seen[-1], strict=True):
            if name:
                assert [resolver.resolve(ref).provider for _ in range(2)] == [name, name]

    assert seen == [
        ["b", "app"],
        ["a", "app"],
        ["b", "app"],
        ["a", "app"],
        ["b", "app"],
        ["c", None],
        [None, None],
    ]


def seen_together(resolver: Resolver) -> list[object]:
    """Return what would be a mix of two generations, seen in one answer each."""
    vanish = Assumption(withdraw=("adapter:l", "adapter:r"))
    sides = [d for d in resolver.preview(vanish) if d.before.ref != "adapter:probe"]
    names = [d.before.winner.provider if d.before.winner else None for d in sides]
    mixed: list[object] = [] if names in (["old", "old"], ["new", "new"]) else [names]
    mixed += [diff.render() for diff in resolver.preview(Assumption())]
    mixed += [] if resolver.explain("adapter:probe").winner else ["probe unserved"]
    return mixed + ([] if resolver.resolve("adapter:probe").provider == "probe" else ["resolve"])


def test_promise_r6_readers_see_the_old_or_the_new_never_a_mix(busy_threads: None) -> None:
    """Two places that are replaced together are seen together, from any thread."""
    resolver = Resolver()
    both = {"left": "adapter:l", "right": "adapter:r"}
    resolver.register(offer("probe", ref="adapter:probe", requires=both))
    old, new = (
        [offer(name, ref=place, source=ACME) for place in both.values()] for name in ("old", "new")
    )
    resolver.replace_source(ACME, old)
    stop = threading.Event()

    def write(number: int) -> None:
        for turn in range(150):
            resolver.replace_source(ACME, (old, new)[(turn + number) % 2])
            resolver.register(offer(f"w{number}", ref="adapter:other", priority=turn))
            resolver.withdraw(f"adapter:other@w{number}")

    def read() -> list[object]:
        mixed: list[object] = []
        while not stop.is_set():
            mixed += seen_together(resolver)
        return mixed

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        try:
            list(pool.map(write, range(4)))
        finally:
            stop.set()

    assert [mixed for reader in readers for mixed in reader.result()] == []
    assert resolver.explain("adapter:probe").winner is resolver.resolve("adapter:probe")
    assert resolver.registry.refs() == ["adapter:l", "adapter:probe", "adapter:r"]


def test_promise_r7_capabilities_reject_and_never_score() -> None:
    """Having more than is needed, or being asked for less, changes no rank."""
    resolver = resolver_of(
        offer("rich", capabilities=["a", "b", "c"]), offer("poor", capabilities=["a"])
    )

    assert resolver.resolve(CACHE).provider == "poor"
    assert resolver.resolve(CACHE, needs=["a"]).provider == "poor"
    assert resolver.resolve(CACHE, needs=["a", "b"]).provider == "rich"


def test_promise_r7_a_malformed_offer_reaches_no_registry() -> None:
    """Refused at registration, naming offer and origin; nothing is registered."""
    resolver = Resolver()

    with pytest.raises(InvalidCandidateError) as caught:
        resolver.register(offer("p", ref="adapter:../../x", source=ACME))

    assert caught.value.message == (
        "the offer adapter:../../x@p from manifest:acme 3 is invalid: "
        "'adapter:../../x' is not a reference: '../../x' is no name"
    )
    assert resolver.registry.refs() == []


class LockedFactory:
    """A factory that nothing could copy."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def __call__(self) -> object:
        return self


def test_promise_r8_what_was_registered_is_what_is_resolved() -> None:
    """The very candidate, factory and metadata come back, even if they hold a lock."""
    factory: Any = LockedFactory()
    lock: Any = threading.Lock()
    given = Candidate(CACHE, "a", factory, metadata={"lock": lock})
    resolver = resolver_of(given)

    found = resolver.resolve(CACHE)

    assert found is given
    assert found.factory is factory
    assert found.metadata["lock"] is lock
    assert resolver.explain(CACHE).standings[0].candidate is given


def test_promise_r8_nothing_returned_changes_what_is_in_force() -> None:
    """Rules, tables and decisions that were handed out cannot be written to."""
    resolver = resolver_of(offer("a"), offer("b"), selections=[choose("a")], stacks=order("x"))
    resolver.exclude("adapter:cache@b", PAUSED)
    rules, decision = resolver.rules, resolver.explain(CACHE)
    tables: list[Any] = [
        rules.configured,
        rules.swapped,
        rules.excluded,
        rules.excluded["adapter:cache@b"],
        rules.stacks.levels,
        Resolver().rules.stacks.levels,
        decision.standings,
    ]

    for table in tables:
        with pytest.raises(TypeError):
            table[0] = None
    with pytest.raises(AttributeError):
        decision.winner = None  # type: ignore[misc]

    assert resolver.explain(CACHE) == decision


def test_promise_r8_what_the_caller_passed_stays_the_callers() -> None:
    """Lists passed in are neither kept nor changed."""
    resolver = Resolver()
    offers, selections = [offer("a", source=ACME)], [choose("a")]
    resolver.replace_source(ACME, offers)
    resolver.configure(selections=selections)

    offers.clear()
    selections.clear()

    assert told(resolver.explain(CACHE)) == [("a", "selected", "selected by oneiric.toml:7")]
