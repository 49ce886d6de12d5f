"""References: what may name a place or an offer, and what may not."""

import copy
import pickle
from typing import Any

import pytest

from oneiric.core.ref import DOMAINS, ComponentRef
from oneiric.errors import InvalidRefError

NAMES = (
    "names use letters, digits, dot, dash and underscore, begin with a letter or digit, "
    "hold no '..' and at most 200 characters"
)


def parts(ref: ComponentRef[Any]) -> tuple[str, str, str, str]:
    return ref.domain, ref.key, ref.provider, ref.place


def test_a_place_and_an_offer_are_taken_apart() -> None:
    """A reference tells its domain, key, provider and place."""
    assert parts(ComponentRef("adapter:cache")) == ("adapter", "cache", "", "adapter:cache")
    assert parts(ComponentRef("task:a.b-c_d@v1.2")) == ("task", "a.b-c_d", "v1.2", "task:a.b-c_d")


def test_every_domain_may_be_named() -> None:
    """There are six namespaces, no more."""
    assert DOMAINS == ("adapter", "service", "task", "event", "workflow", "action")
    assert [ComponentRef.of(domain, "x").domain for domain in DOMAINS] == list(DOMAINS)


def test_text_and_reference_find_the_same_entry() -> None:
    """Wherever a reference is taken, its text is too: they are equal and hash alike."""
    table: dict[str, int] = {ComponentRef[Any]("adapter:cache"): 1}

    assert table["adapter:cache"] == 1
    assert ComponentRef[Any]("adapter:cache") == "adapter:cache"


def test_a_reference_is_checked_once() -> None:
    """Making a reference of a reference gives that very object."""
    ref = ComponentRef[Any]("adapter:cache")

    assert ComponentRef[Any](ref) is ref
    assert ref.place is ref


def test_a_reference_is_composed_of_parts() -> None:
    """`of` and `offer` check what they put together."""
    place = ComponentRef.of("adapter", "cache")

    assert place.offer("redis") == "adapter:cache@redis"
    assert place.offer("redis").offer("memory") == "adapter:cache@memory"
    assert ComponentRef.of("adapter", "cache", "redis") == "adapter:cache@redis"
    with pytest.raises(InvalidRefError):
        place.offer("../redis")
    with pytest.raises(InvalidRefError):
        ComponentRef.of("adapter", "cache@redis", "memory")


def test_a_reference_survives_copy_and_pickle() -> None:
    """A copy is a reference too, not bare text."""
    ref = ComponentRef[Any]("adapter:cache@redis")

    copies = [copy.copy(ref), copy.deepcopy(ref), pickle.loads(pickle.dumps(ref))]

    assert [(type(twin), str(twin)) for twin in copies] == [(ComponentRef, str(ref))] * 3


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("", "it has no colon", "write domain:key, as in adapter:cache"),
        ("cache", "it has no colon", "write domain:key, as in adapter:cache"),
        ("adaptor:cache", "'adaptor' is no domain", "did you mean adapter:cache?"),
        ("Adapter:cache", "'Adapter' is no domain", "did you mean adapter:cache?"),
        (":cache", "'' is no domain", f"domains: {', '.join(DOMAINS)}"),
        ("port:cache", "'port' is no domain", f"domains: {', '.join(DOMAINS)}"),
        ("adapter:", "'' is no name", NAMES),
        ("adapter:a:b", "'a:b' is no name", NAMES),
        ("adapter:../../x", "'../../x' is no name", NAMES),
        ("adapter:a..b", "'a..b' is no name", NAMES),
        ("adapter:.a", "'.a' is no name", NAMES),
        ("adapter:-a", "'-a' is no name", NAMES),
        ("adapter:a b", "'a b' is no name", NAMES),
        ("adapter:a\n", "'a\\n' is no name", NAMES),
        ("adapter:é", "'é' is no name", NAMES),
        ("adapter:cache@", "'' is no name", NAMES),
        ("adapter:cache@a@b", "'a@b' is no name", NAMES),
        ("adapter:cache@a/b", "'a/b' is no name", NAMES),
    ],
)
def test_promise_r7_a_reference_of_another_form_is_refused(
    text: str, reason: str, hint: str
) -> None:
    """What is no reference is refused, saying which part is wrong and what would be right."""
    with pytest.raises(InvalidRefError) as caught:
        ComponentRef(text)

    assert caught.value.message == f"{text!r} is not a reference: {reason}"
    assert caught.value.hint == hint
    assert caught.value.details() == {"text": text, "reason": reason}


def test_what_is_no_text_is_no_reference() -> None:
    """A value of another type is refused like any malformed text."""
    with pytest.raises(InvalidRefError, match="None is not a reference: it is NoneType, not text"):
        ComponentRef(None)  # type: ignore[arg-type]
