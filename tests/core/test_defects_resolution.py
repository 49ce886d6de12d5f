"""Defects of the systems studied, each shown absent here (reference 5.1, P1)."""

import threading
import time
from collections.abc import Callable
from functools import partial
from operator import setitem
from typing import Any

import pytest

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.precedence import Number, StackOrder
from oneiric.core.resolver import Resolver
from oneiric.errors import (
    ConfigError,
    InvalidCandidateError,
    InvalidRefError,
    UnknownSelectionError,
)
from tests.core.offers import CACHE, VARIABLE, choose, offer, order, reasons, resolver_of, told

PLUGIN = Source(SourceKind.PLUGIN, "acme", version="1")


def test_defect_oneiric_r1_asking_for_a_provider_gives_its_newest_registration() -> None:
    """After a refresh neither way of asking serves the stale one, selection or not."""
    resolver = resolver_of(offer("p", version="1"), offer("q"), offer("p", version="2"))
    asked = [resolver.resolve(CACHE, provider="p"), resolver.resolve(f"{CACHE}@p")]
    plain = resolver.resolve(CACHE)
    resolver.configure(selections=[choose("p")])

    assert [found.version for found in (*asked, plain, resolver.resolve(CACHE))] == ["2"] * 4


def test_defect_oneiric_r1_two_sources_of_a_provider_rank_by_the_rules() -> None:
    """The newer source serves whichever way one asks."""
    resolver = resolver_of(offer("p", version="1"), offer("p", version="2", source=PLUGIN))

    versions = [resolver.resolve(CACHE, provider=name).version for name in ("p", "")]

    assert versions == ["2", "2"]


def test_defect_oneiric_r2_an_unknown_selection_picks_nobody_silently() -> None:
    """Explain and resolve agree that it is an error, naming the typo and the alternatives."""
    resolver = resolver_of(offer("redis"), offer("memory"), selections=[choose("rediss")])

    decision = resolver.explain(CACHE)
    with pytest.raises(UnknownSelectionError) as caught:
        resolver.resolve(CACHE)

    assert decision.winner is None
    assert (caught.value.provider, caught.value.known) == ("rediss", ("memory", "redis"))
    assert caught.value.hint == "did you mean redis?"


def test_defect_oneiric_r3_the_stack_order_is_live_and_for_everyone() -> None:
    """It ranks what was registered before it, plainly or from a plugin, over any priority."""
    resolver = resolver_of(
        offer("plain", stack="site", priority=-1),
        offer("plugged", source=PLUGIN, priority=1000),
    )
    before = resolver.resolve(CACHE).provider

    resolver.configure(stacks=order("acme,site"))

    assert (before, resolver.resolve(CACHE).provider) == ("plugged", "plain")


def test_defect_oneiric_r4_a_bad_level_is_an_error_of_ours_with_the_token() -> None:
    """`a:high` is no bare ValueError of int()."""
    with pytest.raises(ConfigError) as caught:
        StackOrder.parse("a:high", origin=VARIABLE)

    assert caught.value.render() == (
        "error[invalid-config]: the stack order is not valid\n"
        "  stack_order: 'a:high' has a level that is not a whole number (ONEIRIC_STACK_ORDER)\n"
        "hint: list stacks bottom to top, as in base,team,site:50"
    )


def test_defect_oneiric_r4_levels_always_rise() -> None:
    """Mixing names with and without levels never puts a later stack below an earlier one."""
    assert dict(order("a,b:50,c,d").levels) == {"a": 0, "b": 50, "c": 60, "d": 70}
    with pytest.raises(ConfigError, match="'b' has level 0, which does not rise above 50"):
        order("a:50,b,c")


def test_defect_oneiric_r5_offers_can_be_replaced_and_withdrawn() -> None:
    """Registering again grows no list, and no copy of an offer shadows itself."""
    resolver = resolver_of(*(offer("p", version=str(number)) for number in range(50)))

    assert told(resolver.explain(CACHE)) == [("p", "selected", "the only candidate")]
    assert [gone.version for gone in resolver.withdraw(f"{CACHE}@p")] == ["49"]
    assert resolver.explain(CACHE).standings == ()


def test_defect_oneiric_r6_nothing_is_copied() -> None:
    """A callable that holds a lock, and metadata that does, are registered as they are."""

    class Factory:
        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __call__(self) -> object:
            return self

    factory: Any = Factory()
    lock: Any = threading.RLock()
    resolver = resolver_of(Candidate(CACHE, "p", factory, metadata={"lock": lock}))

    found = resolver.resolve(CACHE)

    assert found.factory is factory
    assert found.metadata["lock"] is lock


@pytest.mark.parametrize(
    "ref", ["adapter:", ":cache", "", "gadget:cache", "adapter:../../x", "adapter:a/b", "adapter: "]
)
def test_defect_oneiric_r7_bad_names_are_refused_wherever_they_come_from(ref: str) -> None:
    """Code, plugins and manifests pass the same check, and questions do too."""
    for kind in SourceKind:
        with pytest.raises(InvalidCandidateError):
            Candidate(ref, "p", dict, source=Source(kind, "acme"))
    with pytest.raises(InvalidRefError):
        Resolver().resolve(ref)


def test_defect_oneiric_r8_a_returned_candidate_cannot_change_the_registry() -> None:
    """Its metadata is not writable, nor is anything else of it."""
    resolver = resolver_of(offer("p", metadata={"tier": "gold"}))
    found = resolver.resolve(CACHE)
    metadata: Any = found.metadata
    attempts: list[Callable[[], object]] = [
        partial(setitem, metadata, "tier", "lead"),
        partial(setattr, found, "metadata", {}),
        partial(setattr, found, "priority", 9),
    ]

    for attempt in attempts:
        with pytest.raises((TypeError, AttributeError)):
            attempt()

    assert dict(resolver.resolve(CACHE).metadata) == {"tier": "gold"}


def test_defect_oneiric_r9_explain_hides_nobody_and_tells_where_numbers_came_from() -> None:
    """The excluded are listed with their reason; each number has its origin."""
    resolver = resolver_of(
        offer("a", priority=3, source=PLUGIN),
        offer("b", stack="site"),
        offer("c", capabilities=["ttl"], unavailable="install oneiric[c]"),
        stacks=order("site"),
    )

    decision = resolver.explain(CACHE)

    assert {s.provider: (s.level, s.priority) for s in decision.standings} == {
        "a": (Number(0, "default"), Number(3, "plugin:acme 1")),
        "b": (Number(0, VARIABLE), Number(0, "default")),
        "c": (Number(0, "default"), Number(0, "default")),
    }
    assert reasons(resolver) == {"c": "unavailable: install oneiric[c]"}


def test_defect_oneiric_r10_removing_a_selection_really_removes_it() -> None:
    """After a change of the file, explain and resolve say the same, and the old one is gone."""
    resolver = resolver_of(offer("a"), offer("b"), offer("c"))
    seen = []
    for chosen in (["a"], ["b"], [], ["a"], []):
        resolver.configure(selections=map(choose, chosen))
        decision = resolver.explain(CACHE)
        selected = decision.selection and decision.selection.provider
        assert decision.winner is resolver.resolve(CACHE)
        seen.append((resolver.resolve(CACHE).provider, selected))

    assert seen == [("a", "a"), ("b", "b"), ("c", None), ("a", "a"), ("c", None)]


def test_defect_oneiric_r10_clearing_a_swap_brings_nothing_old_back() -> None:
    """A swap that was cleared leaves no trace, not even after another swap failed to last."""
    resolver = resolver_of(offer("a"), offer("b"), offer("c"))
    resolver.select(choose("a", "swap"))
    resolver.select(choose("b", "swap"))

    resolver.unselect(CACHE)

    assert told(resolver.explain(CACHE))[0] == ("c", "selected", "latest registration")
    assert dict(resolver.rules.swapped) == {}


@pytest.mark.parametrize("number", [1e9, 1.0, float("nan"), "5", True, None])
@pytest.mark.parametrize("field", ["priority", "stack_level"])
def test_defect_oneiric_p1_a_rank_is_a_whole_number(field: str, number: Any) -> None:
    """`priority: 1e9` is the float 1000000000.0 and is refused, not silently compared."""
    with pytest.raises(InvalidCandidateError, match=f"{field} must be an integer, not "):
        offer("p", **{field: number})


def test_a_miss_in_a_large_registry_is_quick() -> None:
    """The nearest spelling is looked for when the error is shown, not when it is made."""
    resolver = resolver_of(
        *(offer("p", ref=f"adapter:a-rather-long-key-{number}") for number in range(5_000))
    )

    started = time.perf_counter()
    problem = resolver.explain("adapter:a-rather-long-kay-77").problem
    missed = time.perf_counter()
    hint = problem.hint if problem else ""
    looked = time.perf_counter()

    assert hint == "did you mean adapter:a-rather-long-key-77?"
    assert missed - started < (looked - missed) / 4
