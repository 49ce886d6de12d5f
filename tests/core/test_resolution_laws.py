"""Laws of resolution: a naive model agrees with the resolver for anything that may happen."""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from hypothesis import example, given, settings
from hypothesis import strategies as st

from oneiric.core.candidate import CODE, Candidate, Source, SourceKind
from oneiric.core.decision import Place, Reason, Rejection
from oneiric.core.precedence import RULES, Rule, Selection, StackOrder
from oneiric.core.resolver import Assumption, Resolver
from oneiric.errors import ConfigError, OneiricError
from tests.core.offers import ELSEWHERE

KEYS = ("a", "b", "c")
PROVIDERS = ("p", "q", "r")
SOURCES = (
    CODE,
    Source(SourceKind.PLUGIN, "plug"),
    Source(SourceKind.MANIFEST, "m"),
    Source(SourceKind.MANIFEST, "n"),
)
CAPABILITIES = ("x", "y")
Name: TypeAlias = tuple[str, str, str]


def place(key: str) -> str:
    return f"adapter:{key}"


def below(key: str) -> list[str]:
    """Return what an offer for *key* may require without ever closing a ring."""
    later = KEYS[KEYS.index(key) + 1 :]
    return [place(k) for k in later] + [f"{place(k)}@{p}" for k in later for p in PROVIDERS]


def build(
    key: str,
    provider: str,
    source: Source,
    level: int,
    priority: int,
    stack: str,
    capabilities: Iterable[str],
    platform: tuple[str, ...],
    required: str | None,
) -> Candidate:
    return Candidate(
        place(key),
        provider,
        dict,
        requires={"it": required} if required in below(key) else {},
        capabilities=capabilities,
        stack=stack,
        stack_level=level,
        priority=priority,
        os_platform=platform,
        source=source,
    )


small = st.integers(-2, 2)
candidates = st.builds(
    build,
    st.sampled_from(KEYS),
    st.sampled_from(PROVIDERS),
    st.sampled_from(SOURCES),
    small,
    small,
    st.sampled_from(["", "", "base", "site"]),
    st.sets(st.sampled_from(CAPABILITIES)),
    st.sampled_from([(), (), (), (ELSEWHERE,)]),
    st.none() | st.sampled_from(below("a")),
)
selections = st.builds(
    lambda key, provider: Selection.of(place(key), provider, origin="swap"),
    st.sampled_from(KEYS),
    st.sampled_from((*PROVIDERS, "nobody")),
)
orders = st.sampled_from(["", "base", "base,site", "site,base:40", "plug,m", "n:-5,base,m"]).map(
    lambda text: StackOrder.parse(text, origin="ONEIRIC_STACK_ORDER")
)
needs = st.sets(st.sampled_from(CAPABILITIES))
offer_names = st.builds(
    lambda key, provider: f"{place(key)}@{provider}",
    st.sampled_from(KEYS),
    st.sampled_from(PROVIDERS),
)


@dataclass
class Model:
    """What a careful reader of the four rules would do by hand."""

    offers: dict[Name, tuple[int, Candidate]] = field(default_factory=dict)
    count: int = 0
    configured: dict[str, str] = field(default_factory=dict)
    swapped: dict[str, str] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    excluded: set[str] = field(default_factory=set)
    strict: bool = True
    failover: bool = True

    def register(self, candidate: Candidate) -> None:
        name = (str(candidate.ref), candidate.provider, candidate.source.id)
        if name not in self.offers or self.offers[name][1] != candidate:
            self.count += 1
            self.offers[name] = (self.count, candidate)

    def withdraw(self, ref: str, source: Source | None = None) -> None:
        key, _, provider = ref.partition("@")
        for name in list(self.offers):
            from_there = source is None or source.id == name[2]
            if from_there and name[0] == key and provider in ("", name[1]):
                del self.offers[name]

    def replace_source(self, source: Source, offers: list[Candidate]) -> None:
        kept = {(str(c.ref), c.provider) for c in offers}
        for name in list(self.offers):
            if name[2] == source.id and name[:2] not in kept:
                del self.offers[name]
        for candidate in offers:
            self.register(candidate)

    def configure(self, chosen: Iterable[Selection]) -> None:
        new = {str(choice.ref): choice.provider for choice in chosen}
        for ref in list(self.swapped):
            if self.configured.get(ref) != new.get(ref):
                del self.swapped[ref]
        self.configured = new

    def level(self, c: Candidate) -> int:
        own = -1 if c.source.kind is SourceKind.MANIFEST else c.stack_level
        return self.levels.get(c.stack, own)

    def fits(self, c: Candidate, asked: str, wanted: frozenset[str]) -> bool:
        return (
            asked in ("", c.provider)
            and ELSEWHERE not in c.os_platform
            and wanted <= c.capabilities
            and c.offer not in self.excluded
            and all(self.serve(ref)[0] is not None for ref in c.requires.values())
        )

    def serve(self, ref: str, wanted: frozenset[str] = frozenset()) -> tuple[Candidate | None, str]:
        """Filter, then sort by the four rules; return the winner, or None and the error's code."""
        key, _, asked = ref.partition("@")
        chosen = "" if asked else self.swapped.get(key) or self.configured.get(key, "")
        here = [(n, c) for (k, _, _), (n, c) in self.offers.items() if k == key]
        fit = [(n, c) for n, c in here if self.fits(c, asked, wanted)]
        if chosen and self.strict and chosen not in {c.provider for _, c in fit}:
            named = [c for _, c in here if c.provider == chosen]
            if not any(self.waits(c, wanted) for c in named):
                return None, "unknown-selection"
        ranked: dict[str, tuple[tuple[int, ...], tuple[int, ...], Candidate]] = {}
        for n, c in fit:
            outer = (c.provider == chosen, self.level(c), c.priority, n)
            inner = (*outer[:2], c.stack_level, *outer[2:])
            group = c.source.id if c.source.kind is SourceKind.MANIFEST else str(n)
            ranked[group] = max(ranked.get(group, (inner, outer, c)), (inner, outer, c))
        best = max(((outer, c) for _, outer, c in ranked.values()), default=None)
        return (best[1], "") if best else (None, "no-candidate")

    def waits(self, c: Candidate, wanted: frozenset[str]) -> bool:
        """Tell whether *c* is out for a while and nothing else is wrong with it."""
        fit = ELSEWHERE not in c.os_platform and wanted <= c.capabilities
        return self.failover and fit and c.offer in self.excluded


def outcome(ask: Callable[[], Candidate | None]) -> tuple[Candidate | None, str]:
    try:
        return ask(), ""
    except OneiricError as error:
        return None, error.code


def check(resolver: Resolver, model: Model, ref: str, wanted: frozenset[str]) -> None:
    """Compare resolver, decision and model, twice, since the second answer is remembered."""
    expected = model.serve(ref, wanted)
    for _ in range(2):
        assert outcome(lambda: resolver.resolve(ref, needs=wanted)) == expected
    decision = resolver.explain(ref, needs=wanted)
    assert (decision.winner, decision.problem.code if decision.problem else "") == expected
    if decision.winner is not None:
        assert resolver.resolve(ref, needs=wanted) is decision.winner


def check_standings(resolver: Resolver, ref: str, wanted: frozenset[str]) -> None:
    """Every offer stands once; what shadows it has the better value; the winner comes first."""
    decision = resolver.explain(ref, needs=wanted)
    offers = resolver.registry.offers(ref)
    stood = sorted(decision.standings, key=lambda standing: standing.sequence)
    assert [standing.candidate for standing in stood] == list(offers)
    selected = [s for s in decision.standings if s.place is Place.SELECTED]
    assert [s.candidate for s in selected] == ([decision.winner] if decision.winner else [])
    assert selected in ([], list(decision.standings[:1]))
    for standing in decision.standings:
        rejected = standing.place is Place.REJECTED
        assert (standing.rejection is not None) is rejected
        if standing.place is Place.SHADOWED:
            assert standing.rule in RULES
            assert standing.value < standing.against
        elif standing.rule is not None:
            assert standing.value > standing.against
        assert standing.tied is (standing.rule is Rule.LATEST)
        assert standing.why


@given(
    st.lists(candidates, max_size=12),
    st.lists(selections, max_size=2),
    orders,
    needs,
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_promise_r2_a_naive_model_agrees_for_any_set_of_candidates(
    offers: list[Candidate],
    chosen: list[Selection],
    order: StackOrder,
    wanted: set[str],
    strict: bool,
    random: Any,
) -> None:
    """Filter, then sort by the four rules: the resolver does that, in any order of registration."""
    random.shuffle(offers)
    resolver, model = Resolver(), Model(levels=dict(order.levels), strict=strict)
    resolver.configure(selections=chosen, stacks=order, strict_selections=strict)
    model.configure(chosen)
    for offer in offers:
        resolver.register(offer)
        model.register(offer)

    for key in KEYS:
        check(resolver, model, place(key), frozenset(wanted))
        check_standings(resolver, place(key), frozenset(wanted))
        for provider in PROVIDERS:
            check(resolver, model, f"{place(key)}@{provider}", frozenset(wanted))


@given(st.lists(candidates, max_size=8), orders, st.data())
def test_promise_r2_registration_order_counts_only_by_the_last_rule(
    offers: list[Candidate], order: StackOrder, data: st.DataObject
) -> None:
    """Where no two offers tie, every order of registration gives the same decision."""
    distinct = {
        (str(c.ref), c.provider, c.source.id): replace(c, priority=10 * number, stack_level=0)
        for number, c in enumerate(offers)
    }
    first = list(distinct.values())
    second = data.draw(st.permutations(first))
    resolvers = Resolver(), Resolver()
    for resolver, arrangement in zip(resolvers, (first, second), strict=True):
        resolver.configure(stacks=order)
        for offer in arrangement:
            resolver.register(offer)

    for key in KEYS:
        one, other = (resolver.explain(place(key)) for resolver in resolvers)
        assert [(s.candidate, s.place, s.why) for s in one.standings] == [
            (s.candidate, s.place, s.why) for s in other.standings
        ]


Act: TypeAlias = tuple[str, Any]

acts: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just("register"), candidates),
    st.tuples(st.just("register"), candidates),
    st.tuples(
        st.just("withdraw"),
        st.tuples(
            st.sampled_from([place(key) for key in KEYS]) | offer_names,
            st.none() | st.sampled_from(SOURCES),
        ),
    ),
    st.tuples(
        st.just("replace_source"),
        st.tuples(st.sampled_from(SOURCES), st.lists(candidates, max_size=4)),
    ),
    st.tuples(st.just("select"), selections),
    st.tuples(st.just("unselect"), st.sampled_from(KEYS)),
    st.tuples(st.just("configure"), st.lists(selections, max_size=2)),
    st.tuples(st.just("stacks"), orders),
    st.tuples(st.just("strict"), st.booleans()),
    st.tuples(st.just("exclude"), offer_names),
    st.tuples(st.just("admit"), offer_names),
)


def sourced(source: Source, offers: list[Candidate]) -> list[Candidate]:
    """Return *offers* as coming from *source*, without two that are the same offer."""
    distinct = {str(c.offer): replace(c, source=source) for c in offers}
    return list(distinct.values())


def act_on_candidates(resolver: Resolver, model: Model, what: str, argument: Any) -> None:
    if what == "register":
        resolver.register(argument)
        model.register(argument)
    elif what == "withdraw":
        ref, source = argument
        resolver.withdraw(ref, source=source)
        model.withdraw(ref, source)
    elif what == "replace_source":
        source, offers = argument[0], sourced(*argument)
        resolver.replace_source(source, offers)
        model.replace_source(source, offers)


def act_on_rules(resolver: Resolver, model: Model, what: str, argument: Any) -> None:
    if what == "select":
        resolver.select(argument)
        model.swapped[str(argument.ref)] = argument.provider
    elif what == "unselect":
        resolver.unselect(place(argument))
        model.swapped.pop(place(argument), None)
    elif what == "configure":
        resolver.configure(selections=argument)
        model.configure(argument)
    elif what == "stacks":
        resolver.configure(stacks=argument)
        model.levels = dict(argument.levels)
    elif what == "strict":
        resolver.configure(strict_selections=argument)
        model.strict = argument
    elif what == "exclude":
        resolver.exclude(argument, Rejection(Reason.PAUSED, "paused"))
        model.excluded.add(argument)
    elif what == "admit":
        resolver.admit(argument)
        model.excluded.discard(argument)


@settings(max_examples=120)
@given(st.lists(st.tuples(acts, st.sets(st.sampled_from(KEYS))), max_size=30))
def test_promise_r6_any_history_leaves_the_resolver_as_the_model(
    history: list[tuple[Act, set[str]]],
) -> None:
    """However changes and questions are interleaved, no answer is stale."""
    resolver, model = Resolver(), Model()
    for (what, argument), asked in history:
        act_on_candidates(resolver, model, what, argument)
        act_on_rules(resolver, model, what, argument)
        for key in sorted(asked):
            check(resolver, model, place(key), frozenset())
            check_standings(resolver, place(key), frozenset())

    for key in KEYS:
        check(resolver, model, place(key), frozenset())
        check(resolver, model, place(key), frozenset({"x"}))
        expected = [c for n, c in sorted(model.offers.values(), key=first) if c.ref == place(key)]
        assert list(resolver.registry.offers(place(key))) == expected


def first(pair: tuple[int, Candidate]) -> int:
    return pair[0]


@given(candidates, candidates)
def test_promise_r6_withdrawn_and_registered_again_counts_as_the_latest(
    one: Candidate, other: Candidate
) -> None:
    """Between two that tie in all else, the one that came back serves."""
    one, other = (
        Candidate("adapter:a", c.provider, dict, source=source, priority=1)
        for c, source in ((one, SOURCES[0]), (other, SOURCES[1]))
    )
    resolver = Resolver()
    for offer in (one, other):
        resolver.register(offer)

    resolver.register(one)
    unmoved = resolver.resolve("adapter:a")
    resolver.withdraw("adapter:a", source=one.source)
    resolver.register(one)

    assert (unmoved, resolver.resolve("adapter:a")) == (other, one)


@settings(max_examples=50)
@given(st.lists(candidates, max_size=8), st.lists(candidates, max_size=8), st.sampled_from(SOURCES))
def test_promise_r5_what_is_assumed_is_what_comes(
    before: list[Candidate], after: list[Candidate], source: Source
) -> None:
    """The decision about an assumed replacement equals the one after it; so do selections."""
    resolver, offers = Resolver(), sourced(source, after)
    for offer in before:
        resolver.register(offer)
    choice = Selection.of("adapter:a", "p", origin="swap")
    assume = Assumption(replace={source: offers}, select=(choice,))

    assumed = [resolver.explain(place(key), assume=assume) for key in KEYS]
    changing = [str(diff.before.ref) for diff in resolver.preview(assume)]
    were = [resolver.explain(place(key)) for key in KEYS]
    resolver.replace_source(source, offers)
    resolver.select(choice)
    became = [resolver.explain(place(key)) for key in KEYS]

    assert assumed == became
    assert [outcome_of(decision) for decision in assumed] == [outcome_of(d) for d in became]
    differing = [str(a.ref) for a, b in zip(were, became, strict=True) if a.diff(b)]
    assert changing == [ref for ref in differing if ref in changing]
    assert set(differing) - set(changing) <= {"adapter:a"}  # only a selection of an empty place


def outcome_of(decision: Any) -> str:
    return str(decision.problem or decision.winner.offer)


rings = st.dictionaries(
    st.tuples(st.sampled_from(KEYS), st.sampled_from(PROVIDERS)),
    st.tuples(
        small,
        st.lists(
            st.sampled_from([place(key) for key in KEYS])
            | st.builds(lambda k, p: f"{place(k)}@{p}", st.sampled_from(KEYS), st.just("p")),
            max_size=2,
        ),
    ),
)


def registered(ring: Iterable[tuple[tuple[str, str], tuple[int, list[str]]]]) -> Resolver:
    resolver = Resolver()
    for (key, provider), (priority, required) in ring:
        requires = {f"r{number}": ref for number, ref in enumerate(required)}
        rank = 10 * priority + PROVIDERS.index(provider)
        resolver.register(Candidate(place(key), provider, dict, priority=rank, requires=requires))
    return resolver


@settings(max_examples=60)
@example({("a", "p"): (1, ["adapter:b"]), ("b", "p"): (1, ["adapter:a"])}, None)
@given(rings, st.data())
def test_promise_r3_winners_never_wait_for_nobody_or_for_themselves(
    ring: dict[tuple[str, str], tuple[int, list[str]]], data: st.DataObject | None
) -> None:
    """Whatever requires whatever, each winner's requirements are served and close no ring."""
    resolver = registered(ring.items())
    served = {place(key): resolver.explain(place(key)).winner for key in KEYS}

    def rise(ref: str, path: tuple[str, ...]) -> None:
        winner = resolver.explain(ref).winner
        assert winner is not None
        assert winner.offer not in path
        for required in winner.requires.values():
            rise(required, (*path, winner.offer))

    for ref, winner in served.items():
        if winner is not None:
            rise(ref, ())
    if data is not None:
        again = registered(data.draw(st.permutations(list(ring.items()))))
        preview = again.preview(Assumption(withdraw=tuple(served)))
        at_once = {str(d.before.ref): d.before.winner for d in preview}
        assert {ref: at_once.get(ref) for ref in served} == served


@given(st.text(max_size=30))
def test_promise_r1_any_text_is_an_order_or_an_error(text: str) -> None:
    """Parsing a stack order gives rising levels or a `ConfigError`, never another error."""
    levels: list[int] = []
    with suppress(ConfigError):
        levels += StackOrder.parse(text, origin="here").levels.values()

    assert levels == sorted(set(levels))


@settings(max_examples=50)
@given(st.lists(candidates, max_size=10), st.integers(0, 200))
def test_any_decision_renders_within_its_width(offers: list[Candidate], width: int) -> None:
    """No line is wider than asked where names leave room; colour changes no letter."""
    resolver = Resolver()
    for offer in offers:
        resolver.register(offer)

    decision = resolver.explain("adapter:a")
    lines = decision.render(width=width).splitlines()

    assert max(map(len, lines)) <= max(width, 40)
    assert len(lines) >= 1 + max(1, len(decision.standings))
    painted = decision.render(width=width, colour=True)
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted).splitlines() == lines
