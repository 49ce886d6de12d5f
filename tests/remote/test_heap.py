"""Many objects are made without full collections, and none is forgotten by the collector."""

import gc
from collections.abc import Iterator

import pytest

from oneiric.remote.heap import settling


class Node:
    """Something that holds itself, so that only the collector ends it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def collections() -> Iterator[list[int]]:
    """The generations that were collected."""
    found: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            found.append(info["generation"])

    gc.callbacks.append(note)
    yield found
    gc.callbacks.remove(note)


def test_nothing_is_collected_while_very_much_is_made(collections: list[int]) -> None:
    """Nor right afterwards: what was made is no news to the collector."""
    with settling():
        kept = [[number] for number in range(200_000)]
    more = [[number] for number in range(100)]
    assert collections == []
    assert gc.isenabled()
    assert len(kept) + len(more) == 200_100


def test_where_little_is_made_rubbish_does_not_grow_old() -> None:
    """Whoever does so every few seconds would else keep full collections from coming."""
    gc.collect()
    with settling():
        Node()
    gc.collect(0)
    assert not [each for each in gc.get_objects() if isinstance(each, Node)]


def test_what_was_made_is_collected_once_it_is_rubbish() -> None:
    """A full collection afterwards finds it as any other."""
    with settling():
        rubbish = [Node() for _ in range(20_000)]
    del rubbish
    gc.collect()
    assert not [each for each in gc.get_objects() if isinstance(each, Node)]


def test_the_collector_is_left_as_it_was() -> None:
    """Off stays off, one inside another changes nothing, and an error ends it as well."""
    with pytest.raises(ZeroDivisionError), settling(), settling():
        raise ZeroDivisionError
    assert gc.isenabled()
    gc.disable()
    try:
        with settling():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_the_process_has_frozen_stays_frozen() -> None:
    """Whoever froze their objects wanted them left alone."""
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with settling():
            kept = [[number] for number in range(20_000)]
        assert gc.get_freeze_count() > frozen
        assert kept
    finally:
        gc.unfreeze()
