"""Keep offers and count generations; a reader sees one generation or the next, never a mix."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from oneiric.core.ref import ComponentRef

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate, Source

Slot: TypeAlias = tuple[str, str]  # provider, source id: what tells the offers of one place apart


class Entry:
    """A registered candidate and its place in the order of registration."""

    __slots__ = ("candidate", "sequence")

    def __init__(self, candidate: Candidate, sequence: int) -> None:
        self.candidate = candidate
        self.sequence = sequence


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What `Registry.replace_source` did, each as offers `domain:key@provider`, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


class Registry:
    """Keep what is on offer.

    One lock guards every change. `derived` holds what readers worked out from the
    present generation; a change replaces it by an empty one in the same step, so a
    reader that finds something there needs no lock and still never sees a mix.

    >>> registry = Registry()
    >>> registry.register(Candidate("adapter:cache", "memory", dict))
    >>> registry.generation, [offer.provider for offer in registry.offers("adapter:cache")]
    (1, ['memory'])
    """

    __slots__ = ("_count", "_lock", "_places", "derived", "generation")

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._places: dict[str, dict[Slot, Entry]] = {}
        self._count = 0
        self.generation = 0
        self.derived: dict[str, Candidate] = {}

    def register(self, candidate: Candidate) -> None:
        """Add an offer, or replace the one with the same place, provider and source.

        An equal offer keeps its place in the order; a changed one counts as the latest.
        """
        with self._lock:  # as change() does, without the cost of a generator an offer
            self._put(candidate)
            self.generation += 1
            self.derived = {}

    def withdraw(self, ref: str, *, source: Source | None = None) -> tuple[Candidate, ...]:
        """Take back the offers that *ref* names and return them.

        *ref* names one provider's offers (`domain:key@provider`) or all for a place;
        *source* narrows that to what came from there.
        """
        named = ComponentRef[Any](ref)
        with self.change():
            entries = self._places.get(named.place, {})
            gone = [
                slot
                for slot in entries
                if named.provider in ("", slot[0]) and (source is None or source.id == slot[1])
            ]
            return tuple(self._drop(named.place, slot) for slot in gone)

    def replace_source(self, source: Source, candidates: Iterable[Candidate]) -> SourceChange:
        """Make *candidates* all that *source* offers, in one step.

        Raises:
            ValueError: a candidate came from another source, or two fill the same place alike.
        """
        wanted: dict[tuple[str, Slot], Candidate] = {}
        for candidate in candidates:
            if candidate.source.id != source.id:
                raise ValueError(f"{candidate.offer} comes from {candidate.source}, not {source}")
            name = (str(candidate.ref), (candidate.provider, source.id))
            if name in wanted:
                raise ValueError(f"{source} offers {candidate.offer} twice")
            wanted[name] = candidate
        with self.change():
            return self._replace(source.id, wanted)

    def offers(self, ref: str) -> tuple[Candidate, ...]:
        """Return what is offered for a place, in the order of registration."""
        place = ComponentRef[Any](ref).place
        return tuple(entry.candidate for entry in self.entries(place))

    def entries(self, place: str) -> list[Entry]:
        """Return the entries of a place, in the order of registration."""
        with self._lock:
            entries = list(self._places.get(place, {}).values())
        entries.sort(key=_sequence)
        return entries

    def refs(self, domain: str = "") -> list[ComponentRef[Any]]:
        """Return every place that has an offer, sorted; those of *domain* if given."""
        with self._lock:
            places = list(self._places)
        return sorted(
            ComponentRef(place) for place in places if place.startswith(domain and f"{domain}:")
        )

    @contextmanager
    def reading(self) -> Iterator[Mapping[str, Mapping[Slot, Entry]]]:
        """Hold the present generation still while reading it."""
        with self._lock:
            yield self._places

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the registry while something that decisions depend on changes."""
        with self._lock:
            try:
                yield
            finally:
                self.generation += 1
                self.derived = {}

    def _put(self, candidate: Candidate) -> str:
        entries = self._places.setdefault(candidate.ref, {})
        slot = (candidate.provider, candidate.source.id)
        present = entries.get(slot)
        if present is not None and present.candidate == candidate:
            return "unchanged"
        self._count += 1
        entries[slot] = Entry(candidate, self._count)
        return "changed" if present else "added"

    def _drop(self, place: str, slot: Slot) -> Candidate:
        entries = self._places[place]
        candidate = entries.pop(slot).candidate
        if not entries:
            del self._places[place]
        return candidate

    def _replace(self, origin: str, wanted: Mapping[tuple[str, Slot], Candidate]) -> SourceChange:
        gone = [
            (place, slot)
            for place, entries in self._places.items()
            for slot in entries
            if slot[1] == origin and (place, slot) not in wanted
        ]
        done: dict[str, list[str]] = {"added": [], "changed": [], "unchanged": []}
        removed = [str(self._drop(place, slot).offer) for place, slot in gone]
        for candidate in wanted.values():
            done[self._put(candidate)].append(str(candidate.offer))
        return SourceChange(
            removed=tuple(sorted(removed)),
            **{kind: tuple(sorted(offers)) for kind, offers in done.items()},
        )


def _sequence(entry: Entry) -> int:
    return entry.sequence
