"""The registry: one offer per place, provider and source; changes are whole."""

from collections.abc import Callable
from typing import Any

import pytest

from oneiric.core.candidate import CODE, Candidate, Source, SourceKind
from oneiric.core.registry import Registry, SourceChange
from oneiric.errors import InvalidCandidateError, InvalidRefError

ACME = Source(SourceKind.MANIFEST, "acme", version="1")
PLUGIN = Source(SourceKind.PLUGIN, "plug")


def offer(key: str, provider: str, source: Source = CODE, **fields: Any) -> Candidate:
    return Candidate(f"adapter:{key}", provider, dict, source=source, **fields)


def offered(registry: Registry, key: str = "cache") -> list[tuple[str, int, str]]:
    offers = registry.offers(f"adapter:{key}")
    return [(o.provider, o.priority, o.source.id) for o in offers]


class Touchy:
    """A factory that will not be compared."""

    def __call__(self) -> None: ...
    def __eq__(self, other: object) -> bool:
        raise ArithmeticError("do not compare me")

    def __hash__(self) -> int:
        return 1


def test_offers_come_in_the_order_of_registration() -> None:
    """Offers of one place are listed oldest first; other places are others."""
    registry = Registry()
    for provider in ("b", "a", "c"):
        registry.register(offer("cache", provider))
    registry.register(offer("store", "z"))

    assert [name for name, _, _ in offered(registry)] == ["b", "a", "c"]
    assert registry.offers("adapter:cache@a") == registry.offers("adapter:cache")
    assert registry.offers("adapter:nothing") == ()


def test_promise_r6_an_identical_offer_keeps_its_place() -> None:
    """Registering the same again replaces it where it stood."""
    registry = Registry()
    for provider in ("a", "b", "a"):
        registry.register(offer("cache", provider))

    assert offered(registry) == [("a", 0, "code"), ("b", 0, "code")]


def test_promise_r6_an_identical_offer_is_replaced_by_the_newer_object() -> None:
    """What its source tells of itself is news, though the offer is the same and keeps its place."""
    registry = Registry()
    newer = Source(SourceKind.MANIFEST, "acme", version="2", signed=False)
    registry.register(offer("cache", "a", ACME))
    registry.register(offer("cache", "b", ACME))

    registry.register(offer("cache", "a", newer))

    assert [(o.provider, str(o.source)) for o in registry.offers("adapter:cache")] == [
        ("a", "manifest:acme 2 (unsigned)"),
        ("b", "manifest:acme 1"),
    ]


def test_promise_r6_a_changed_offer_counts_as_the_latest() -> None:
    """Registering the same provider with other content moves it to the end."""
    registry = Registry()
    for provider, priority in (("a", 0), ("b", 0), ("a", 1)):
        registry.register(offer("cache", provider, priority=priority))

    assert offered(registry) == [("b", 0, "code"), ("a", 1, "code")]


def test_promise_r6_sources_do_not_replace_each_other() -> None:
    """One provider from two sources is two offers."""
    registry = Registry()
    registry.register(offer("cache", "a"))
    registry.register(offer("cache", "a", PLUGIN))

    assert offered(registry) == [("a", 0, "code"), ("a", 0, "plugin:plug")]


def test_promise_r6_an_offer_withdrawn_and_registered_again_is_the_latest() -> None:
    """Withdrawal forgets the place in the order."""
    registry = Registry()
    registry.register(offer("cache", "a"))
    registry.register(offer("cache", "b"))

    gone = registry.withdraw("adapter:cache@a")
    registry.register(gone[0])

    assert [o.offer for o in gone] == ["adapter:cache@a"]
    assert [name for name, _, _ in offered(registry)] == ["b", "a"]


def test_withdrawal_is_as_wide_as_what_is_named() -> None:
    """One provider's offers, all of a place, or those of one source."""
    registry = Registry()
    for source in (CODE, PLUGIN):
        for provider in ("a", "b"):
            registry.register(offer("cache", provider, source))

    by_source = registry.withdraw("adapter:cache@a", source=PLUGIN)
    assert [(o.provider, o.source.id) for o in by_source] == [("a", "plugin:plug")]

    by_provider = registry.withdraw("adapter:cache@b")
    assert [(o.provider, o.source.id) for o in by_provider] == [("b", "code"), ("b", "plugin:plug")]

    assert [o.provider for o in registry.withdraw("adapter:cache")] == ["a"]
    assert registry.withdraw("adapter:cache") == ()
    assert registry.refs() == []
    with pytest.raises(InvalidRefError):
        registry.withdraw("cache")


def test_places_are_listed_sorted_and_by_domain() -> None:
    """A place is known as long as someone offers it."""
    registry = Registry()
    for ref in ("task:b", "adapter:z", "adapter:a", "task:a"):
        registry.register(Candidate(ref, "p", dict))
    registry.withdraw("adapter:z")

    assert registry.refs() == ["adapter:a", "task:a", "task:b"]
    assert registry.refs("task") == ["task:a", "task:b"]
    assert registry.refs("tas") == []


def test_promise_r6_a_source_is_replaced_whole() -> None:
    """Added, changed, removed and unchanged are told; what stays keeps its place."""
    registry = Registry()
    registry.register(offer("cache", "a", ACME))
    registry.register(offer("cache", "b", ACME))
    registry.register(offer("store", "s", ACME))
    registry.register(offer("cache", "mine"))

    change = registry.replace_source(
        ACME,
        [offer("cache", "b", ACME, priority=9), offer("cache", "a", ACME), offer("log", "l", ACME)],
    )

    assert change == SourceChange(
        added=("adapter:log@l",),
        changed=("adapter:cache@b",),
        removed=("adapter:store@s",),
        unchanged=("adapter:cache@a",),
    )
    assert [name for name, _, _ in offered(registry)] == ["a", "mine", "b"]
    assert registry.refs() == ["adapter:cache", "adapter:log"]


def test_replacing_a_source_twice_changes_nothing() -> None:
    """The same offers again are all unchanged, and none of the source withdraws it."""
    registry = Registry()
    offers = [offer("cache", "b", ACME), offer("cache", "a", ACME)]
    registry.replace_source(ACME, offers)

    again = registry.replace_source(ACME, iter(offers))
    order = offered(registry)
    none = registry.replace_source(ACME, [])

    assert again == SourceChange(unchanged=("adapter:cache@a", "adapter:cache@b"))
    assert [name for name, _, _ in order] == ["b", "a"]
    assert none == SourceChange(removed=("adapter:cache@a", "adapter:cache@b"))


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        (offer("cache", "x"), "it is no offer of manifest:acme 1"),
        (offer("cache", "a", ACME, priority=1), "it is offered twice"),
    ],
)
def test_promise_r6_a_source_that_cannot_be_replaced_stays_whole(
    extra: Candidate, reason: str
) -> None:
    """A refused replacement leaves every offer as it was, and names the one at fault."""
    registry = Registry()
    registry.register(offer("cache", "old", ACME))
    generation = registry.generation

    with pytest.raises(InvalidCandidateError) as caught:
        registry.replace_source(ACME, [offer("cache", "a", ACME), extra])

    assert (caught.value.offer, caught.value.reason) == (str(extra.offer), reason)
    assert offered(registry) == [("old", 0, "manifest:acme")]
    assert registry.generation == generation


def test_promise_r6_foreign_code_that_fails_leaves_the_source_whole() -> None:
    """Comparing factories may run anything; when it raises, nothing has changed yet."""
    registry = Registry()
    touchy = Candidate("adapter:cache", "touchy", Touchy(), source=ACME)
    registry.replace_source(ACME, [offer("cache", "old", ACME), touchy])

    with pytest.raises(ArithmeticError):
        registry.replace_source(
            ACME,
            [Candidate("adapter:cache", "touchy", Touchy(), source=ACME), offer("x", "n", ACME)],
        )

    assert [name for name, _, _ in offered(registry)] == ["old", "touchy"]
    assert registry.refs() == ["adapter:cache"]


def test_promise_r6_candidates_are_gathered_before_the_registry_is_held() -> None:
    """A generator that fails half way changes nothing."""
    registry = Registry()
    registry.register(offer("cache", "old", ACME))

    def broken() -> Any:
        yield offer("cache", "new", ACME)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        registry.replace_source(ACME, broken())

    assert [name for name, _, _ in offered(registry)] == ["old"]


def test_every_change_is_a_generation() -> None:
    """Reading keeps the generation, changing moves it on."""
    registry = Registry()
    acts: list[Callable[[], object]] = [
        lambda: registry.register(offer("cache", "a", ACME)),
        lambda: registry.offers("adapter:cache"),
        registry.refs,
        lambda: registry.replace_source(ACME, []),
        lambda: registry.withdraw("adapter:cache"),
    ]

    seen = []
    for act in acts:
        act()
        seen.append(registry.generation)

    assert seen == [1, 1, 1, 2, 3]


def test_promise_r8_the_registry_holds_and_returns_the_very_offer() -> None:
    """Nothing is copied on the way in or out."""
    registry = Registry()
    given = offer("cache", "a", metadata={"list": []})
    registry.register(given)

    assert registry.offers("adapter:cache")[0] is given
    assert registry.withdraw("adapter:cache")[0] is given


def test_promise_r8_nothing_returned_changes_the_registry() -> None:
    """Lists that are returned are the caller's own; what is held still for reading is not."""
    registry = Registry()
    registry.register(offer("cache", "a"))

    registry.refs().clear()
    with registry.reading() as held, pytest.raises((TypeError, AttributeError)):
        held.places["adapter:cache"] = {}  # type: ignore[index]
    with registry.reading() as held, pytest.raises(AttributeError):
        next(iter(held.places["adapter:cache"].values())).sequence = 9  # type: ignore[misc]

    assert registry.refs() == ["adapter:cache"]
    assert offered(registry) == [("a", 0, "code")]
