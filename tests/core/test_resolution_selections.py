"""Selections that name nobody, assumptions, and what a swap stores (R4, R5, R9)."""

import pytest

from oneiric.core.precedence import Rule
from oneiric.core.resolver import Assumption
from oneiric.errors import (
    InvalidCandidateError,
    InvalidRefError,
    NoCandidateError,
    UnknownSelectionError,
)
from tests.core.offers import ACME, CACHE, PAUSED, choose, offer, order, reasons, resolver_of, told


def test_promise_r4_an_unknown_selection_is_an_error_with_alternatives() -> None:
    """It names the place where it was made, the alternatives and the nearest spelling."""
    resolver = resolver_of(offer("redis"), offer("memory"), selections=[choose("redsi")])

    with pytest.raises(UnknownSelectionError) as caught:
        resolver.resolve(CACHE)

    assert caught.value.render() == (
        "error[unknown-selection]: oneiric.toml:7 selects redsi for adapter:cache, "
        "but nobody offers it\n"
        "  offered: memory, redis\n"
        "hint: did you mean redis?"
    )
    assert caught.value.exit_code == 6


def test_promise_r4_explain_shows_an_unknown_selection() -> None:
    """Nobody is selected; everyone stands below the selection, and the remedy is shown."""
    resolver = resolver_of(offer("redis"), offer("memory"), selections=[choose("redsi")])

    decision = resolver.explain(CACHE)

    assert decision.winner is None
    assert [(s.rule, s.value, s.against) for s in decision.standings] == [
        (Rule.SELECTION, 0, 1)
    ] * 2
    assert decision.render() == (
        "adapter:cache\n"
        "  shadowed  memory  oneiric.toml:7 selects another\n"
        "  shadowed  redis   oneiric.toml:7 selects another\n"
        "  problem: oneiric.toml:7 selects redsi for adapter:cache, but nobody offers it\n"
        "  offered: memory, redis\n"
        "  hint: did you mean redis?"
    )


def test_promise_r4_a_selection_of_who_may_not_serve_says_why() -> None:
    """An offer that is there but rejected is not misspelt: its reason is told."""
    resolver = resolver_of(
        offer("redis", unavailable="install oneiric[redis]"),
        offer("memory"),
        selections=[choose("redis")],
    )

    with pytest.raises(UnknownSelectionError) as caught:
        resolver.resolve(CACHE)

    assert caught.value.render() == (
        "error[unknown-selection]: oneiric.toml:7 selects redis for adapter:cache, "
        "but it may not serve: install oneiric[redis]\n"
        "  offered: memory, redis\n"
        "hint: oneiric explain adapter:cache"
    )
    assert told(resolver.explain(CACHE)) == [
        ("redis", "rejected", "install oneiric[redis]"),
        ("memory", "shadowed", "oneiric.toml:7 selects another"),
    ]


def test_promise_r4_a_selection_for_a_place_that_nobody_fills_is_shown() -> None:
    """Even without any offer the selection is what is wrong."""
    resolver = resolver_of(selections=[choose("redis")])

    assert str(resolver.explain(CACHE).problem) == (
        "oneiric.toml:7 selects redis for adapter:cache, but nobody offers it\n  offered: nothing"
    )


def test_promise_r4_a_setting_relaxes_it_to_a_warning() -> None:
    """Then the rules go on without the selection, and the decision says what is wrong."""
    resolver = resolver_of(
        offer("redis"),
        offer("memory", priority=1),
        selections=[choose("redsi")],
        strict_selections=False,
    )

    decision = resolver.explain(CACHE)

    assert (resolver.resolve(CACHE).provider, decision.problem) == ("memory", None)
    assert decision.warning == (
        "oneiric.toml:7 selects redsi for adapter:cache, but nobody offers it"
    )
    assert told(decision) == [
        ("memory", "selected", "priority 1"),
        ("redis", "shadowed", "priority 0 is below 1"),
    ]
    resolver.configure(strict_selections=True)
    assert resolver.explain(CACHE).winner is None


def test_promise_r4_a_relaxed_selection_without_anyone_keeps_its_warning() -> None:
    """When nobody may serve either, both are told."""
    resolver = resolver_of(selections=[choose("redis")], strict_selections=False)

    decision = resolver.explain(CACHE)

    assert isinstance(decision.problem, NoCandidateError)
    assert decision.warning.endswith("but nobody offers it")


def test_promise_r4_a_selection_that_is_out_for_a_while_is_no_mistake() -> None:
    """With failover the next best serves meanwhile; without, the selection cannot be met."""
    resolver = resolver_of(offer("a"), offer("b", priority=1), selections=[choose("a")])
    resolver.exclude("adapter:cache@a", PAUSED)

    assert told(resolver.explain(CACHE)) == [
        ("b", "selected", "the only one that may serve"),
        ("a", "rejected", "paused"),
    ]
    resolver.configure(failover=False)
    assert str(resolver.explain(CACHE).problem).startswith(
        "oneiric.toml:7 selects a for adapter:cache, but it may not serve: paused"
    )


def test_promise_r4_a_requirement_follows_the_selection() -> None:
    """A place whose selection names nobody serves nobody's requirement."""
    resolver = resolver_of(
        offer("app", ref="service:app", requires={"cache": CACHE}),
        offer("redis"),
        selections=[choose("redsi")],
    )

    assert reasons(resolver, "service:app") == {
        "app": "requirement: requires adapter:cache, which nobody serves"
    }


def test_promise_r5_explain_may_assume_another_selection() -> None:
    """The decision is what a swap would bring; what is stays."""
    resolver = resolver_of(offer("a"), offer("b"))

    assumed = resolver.explain(CACHE, assume=Assumption(select=(choose("a", "swap"),)))

    assert told(assumed) == [
        ("a", "selected", "selected by swap"),
        ("b", "shadowed", "swap selects another"),
    ]
    assert resolver.resolve(CACHE).provider == "b"


def test_promise_r5_explain_may_assume_a_swap_cleared() -> None:
    """What was chosen with swap is left out of account."""
    resolver = resolver_of(offer("a"), offer("b"))
    resolver.select(choose("a", "swap"))

    assumed = resolver.explain(CACHE, assume=Assumption(unselect=("adapter:cache@a",)))

    assert (assumed.winner, assumed.selection) == (offer("b"), None)
    assert resolver.resolve(CACHE).provider == "a"


@pytest.mark.parametrize("withdrawn", [CACHE, "adapter:cache@b"])
def test_promise_r5_explain_may_assume_a_candidate_withdrawn(withdrawn: str) -> None:
    """One offer or all of a place, for requirements of others too."""
    resolver = resolver_of(
        offer("b"), offer("app", ref="service:app", requires={"cache": "adapter:cache@b"})
    )

    assumed = Assumption(withdraw=(withdrawn,))

    assert resolver.explain(CACHE, assume=assumed).standings == ()
    assert resolver.explain("service:app", assume=assumed).winner is None
    assert resolver.resolve("service:app").provider == "app"


def test_promise_r5_explain_may_assume_a_manifest_applied() -> None:
    """The assumed decision is, to the number, the one that applying it brings."""
    resolver = resolver_of(
        offer("stays", source=ACME), offer("goes", source=ACME), offer("mine", stack_level=-1)
    )
    offers = [
        offer("comes", source=ACME),
        offer("stays", source=ACME),
        offer("goes", source=ACME, priority=2),
        offer("else", ref="adapter:else", source=ACME),
    ]

    assumed = resolver.explain(CACHE, assume=Assumption(replace={ACME: offers}))
    before = told(resolver.explain(CACHE))
    resolver.replace_source(ACME, offers)
    after = resolver.explain(CACHE)

    assert assumed == after
    assert assumed.as_json() | {"generation": 0} == after.as_json() | {"generation": 0}
    assert before != told(after)


def test_promise_r5_an_assumption_is_refused_like_the_deed() -> None:
    """What `replace_source` would not take cannot be assumed; references are checked."""
    with pytest.raises(InvalidCandidateError, match="it is no offer of manifest:acme 3"):
        Assumption(replace={ACME: [offer("mine")]})
    with pytest.raises(InvalidCandidateError, match="it is offered twice"):
        Assumption(replace={ACME: [offer("a", source=ACME), offer("a", source=ACME, priority=1)]})
    for fields in ({"withdraw": ("cache",)}, {"unselect": ("cache",)}):
        with pytest.raises(InvalidRefError):
            Assumption(**fields)  # type: ignore[arg-type]


def test_promise_r5_an_assumption_may_be_used_again() -> None:
    """Offers given once as an iterator are kept."""
    resolver = resolver_of(offer("a", stack_level=-5))
    assume = Assumption(replace={ACME: iter([offer("b", source=ACME)])})

    winners = [resolver.explain(CACHE, assume=assume).winner for _ in range(2)]

    assert [winner and winner.provider for winner in winners] == ["b", "b"]


def test_promise_r5_two_decisions_can_be_compared() -> None:
    """A difference lists who serves and everyone whose standing or reason changed."""
    resolver = resolver_of(offer("a"), offer("b"), offer("c", priority=-1))
    before = resolver.explain(CACHE)
    resolver.withdraw("adapter:cache@b")
    resolver.register(offer("d", unavailable="install oneiric[d]"))

    diff = before.diff(resolver.explain(CACHE))

    assert diff.render() == (
        "adapter:cache  b -> a\n"
        "  a: shadowed (registered before b) -> selected (priority 0)\n"
        "  b: selected (latest registration) -> absent\n"
        "  d: absent -> rejected (install oneiric[d])"
    )
    assert (bool(diff), diff.changes_winner) == (True, True)
    assert diff.as_json() == {
        "schema": "oneiric.decision-diff/1",
        "ref": "adapter:cache",
        "before": "b",
        "after": "a",
        "changes": [
            {
                "provider": "a",
                "source": "code",
                "before": {"standing": "shadowed", "why": "registered before b"},
                "after": {"standing": "selected", "why": "priority 0"},
            },
            {
                "provider": "b",
                "source": "code",
                "before": {"standing": "selected", "why": "latest registration"},
                "after": None,
            },
            {
                "provider": "d",
                "source": "code",
                "before": None,
                "after": {"standing": "rejected", "why": "install oneiric[d]"},
            },
        ],
    }


def test_promise_r5_equal_decisions_do_not_differ() -> None:
    """Another generation with the same outcome is no difference."""
    resolver = resolver_of(offer("a"), offer("b"))
    before = resolver.explain(CACHE)
    resolver.register(offer("x", ref="adapter:else"))

    diff = before.diff(resolver.explain(CACHE))

    assert not diff
    assert diff.render() == "adapter:cache  b -> b"


def test_promise_r5_a_sync_is_previewed_as_the_decisions_that_change() -> None:
    """Changed, new and vanishing places are listed by reference; untouched ones are not."""
    resolver = resolver_of(
        offer("mine", ref="adapter:kept"),
        offer("old", source=ACME),
        offer("gone", ref="adapter:gone", source=ACME),
        offer("app", ref="service:app", requires={"gone": "adapter:gone"}),
    )
    offers = [offer("new", source=ACME), offer("fresh", ref="adapter:fresh", source=ACME)]

    diffs = resolver.preview(Assumption(replace={ACME: offers}))

    assert [diff.render().splitlines()[0] for diff in diffs] == [
        "adapter:cache  old -> new",
        "adapter:fresh  nobody -> fresh",
        "adapter:gone  gone -> nobody",
        "service:app  app -> nobody",
    ]
    assert resolver.resolve("service:app").provider == "app"
    assert resolver.preview(Assumption()) == []


def test_promise_r5_a_swap_is_previewed_with_what_depends_on_it() -> None:
    """Who requires the present provider by name is not affected; the place is."""
    resolver = resolver_of(offer("a"), offer("b"), offer("app", ref="service:app"))

    diffs = resolver.preview(Assumption(select=(choose("a", "swap"),)))

    assert [str(diff.before.ref) for diff in diffs] == [CACHE]


def test_promise_r5_numbers_of_an_assumed_order_are_json() -> None:
    """An assumed offer's place in the order is a number JSON can say exactly."""
    resolver = resolver_of(offer("a"))

    decision = resolver.explain(CACHE, assume=Assumption(replace={ACME: [offer("b", source=ACME)]}))

    assert {s.provider: s.sequence for s in decision.standings} == {"a": 1, "b": 2}


def test_promise_r9_a_swapped_selection_outranks_the_configured_one() -> None:
    """Explain shows the one in force and the one it outranks."""
    resolver = resolver_of(offer("a"), offer("b"), selections=[choose("a")])

    resolver.select(choose("b", "swap"))
    decision = resolver.explain(CACHE)

    assert (decision.selection, decision.overridden) == (choose("b", "swap"), choose("a"))
    assert decision.render() == (
        "adapter:cache\n"
        "  selected  b  selected by swap\n"
        "  shadowed  a  swap selects another\n"
        "  note: outranks a from oneiric.toml:7"
    )


def test_promise_r9_clearing_brings_the_configured_one_back() -> None:
    """`unselect` returns what it ended; clearing nothing returns None."""
    resolver = resolver_of(offer("a"), offer("b"), selections=[choose("a")])
    resolver.select(choose("b", "swap"))

    gone = [resolver.unselect("adapter:cache@b"), resolver.unselect(CACHE)]
    decision = resolver.explain(CACHE)

    assert gone == [choose("b", "swap"), None]
    assert (decision.winner, decision.selection, decision.overridden) == (
        offer("a"),
        choose("a"),
        None,
    )


@pytest.mark.parametrize(
    ("before", "after", "served"),
    [
        (["a"], ["a"], "b"),
        (["a"], ["c"], "c"),
        (["a"], [], "c"),
        ([], ["a"], "a"),
        ([], ["b"], "b"),
        ([], [], "b"),
    ],
)
def test_promise_r9_a_swapped_selection_ends_when_the_file_changes_that_place(
    before: list[str], after: list[str], served: str
) -> None:
    """Changed, removed or new: the file has the last word; unchanged: the swap has."""
    resolver = resolver_of(offer("a"), offer("b"), offer("c"), selections=map(choose, before))
    resolver.select(choose("b", "swap"))

    resolver.configure(selections=[choose(name, "oneiric.toml:99") for name in after])

    assert resolver.resolve(CACHE).provider == served
    assert (CACHE in resolver.rules.swapped) is (before == after)


def test_promise_r9_a_file_that_changes_another_place_ends_nothing() -> None:
    """A swap stays in force through changes that are not about its place."""
    resolver = resolver_of(offer("a"), offer("b"), selections=[choose("a")])
    resolver.select(choose("b", "swap"))

    resolver.configure(selections=[choose("a"), choose("x", ref="adapter:other")])
    resolver.configure(stacks=order("base"), failover=False)

    assert resolver.explain(CACHE).selection == choose("b", "swap")


def test_promise_r9_an_equal_swap_is_told_from_the_configured_one() -> None:
    """A swap to what configuration says anyway is shown beside it."""
    resolver = resolver_of(offer("a"), offer("b"), selections=[choose("a")])

    resolver.select(choose("a"))

    assert resolver.explain(CACHE).overridden == choose("a")
