"""Keep offers and count generations; a reader sees one generation or the next, never a mix."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from oneiric.core.candidate import Candidate, Source
from oneiric.core.ref import ComponentRef
from oneiric.errors import InvalidCandidateError

Slot: TypeAlias = tuple[str, str]  # provider, source id: what tells the offers of one place apart
Wanted: TypeAlias = tuple[str, Slot]


class Entry(NamedTuple):
    """A registered candidate and its place in the order of registration."""

    candidate: Candidate
    sequence: int


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What `Registry.replace_source` did, each as offers `domain:key@provider`, sorted."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


class Offered(NamedTuple):
    """One generation of offers, held still, by place."""

    places: Mapping[str, Mapping[Slot, Entry]]
    generation: int


class Registry:
    """Keep what is on offer.

    One lock guards what readers see, and every change ends with a new `generation`. What a
    reader worked out holds as long as the generation it read it from; comparing the two
    needs no lock. A second lock lets writers take their turns, so that a long change can be
    worked out while others read.

    >>> registry = Registry()
    >>> registry.register(Candidate("adapter:cache", "memory", dict))
    >>> registry.generation, [offer.provider for offer in registry.offers("adapter:cache")]
    (1, ['memory'])
    """

    __slots__ = ("_count", "_lock", "_places", "_turn", "generation")

    def __init__(self) -> None:
        self._turn, self._lock = threading.RLock(), threading.RLock()
        self._places: dict[str, dict[Slot, Entry]] = {}
        self._count = 0
        self.generation = 0

    def register(self, candidate: Candidate) -> None:
        """Add an offer, or replace the one with the same place, provider and source.

        An equal offer keeps its place in the order; a changed one counts as the latest.
        """
        with self.change():
            place, slot = name = (candidate.ref, (candidate.provider, candidate.source.id))
            present = self._places.get(place, {}).get(slot)
            self._put(candidate, name, present if _same(present, candidate) else None)

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
            InvalidCandidateError: one came from another source, or two fill a place alike.
        """
        wanted, mine = offered_by(source, candidates), source.id
        with self._turn:
            present = {
                (place, slot): entry
                for place, entries in self._places.items()
                for slot, entry in entries.items()
                if slot[1] == mine
            }
            same = {  # compare first, which calls foreign code; the rest cannot fail
                name: entry for name, entry in present.items() if _same(entry, wanted.get(name))
            }
            with self.change():
                for place, slot in present.keys() - wanted.keys():
                    self._drop(place, slot)
                for name, candidate in wanted.items():
                    self._put(candidate, name, same.get(name))
        return SourceChange(
            added=_told(wanted.keys() - present.keys()),
            changed=_told((wanted.keys() & present.keys()) - same.keys()),
            removed=_told(present.keys() - wanted.keys()),
            unchanged=_told(same),
        )

    def offers(self, ref: str) -> tuple[Candidate, ...]:
        """Return what is offered for a place, in the order of registration."""
        place = ComponentRef[Any](ref).place
        with self._lock:
            entries = list(self._places.get(place, {}).values())
        return tuple(entry.candidate for entry in sorted(entries, key=attrgetter("sequence")))

    def refs(self, domain: str = "") -> list[ComponentRef[Any]]:
        """Return every place that has an offer, sorted; those of *domain* if given."""
        with self._lock:
            places = list(self._places)
        return sorted(
            ComponentRef(place) for place in places if place.startswith(domain and f"{domain}:")
        )

    @contextmanager
    def reading(self) -> Iterator[Offered]:
        """Hold the present generation still while reading it."""
        with self._lock:
            yield Offered(MappingProxyType(self._places), self.generation)

    def assuming(
        self, *, withdraw: Iterable[str], replace: Mapping[Source, Iterable[Candidate]]
    ) -> Offered:
        """Return what would be on offer after these changes, done to a copy."""
        then = Registry()
        with self._lock:
            then._places = {place: dict(entries) for place, entries in self._places.items()}
            then._count, generation = self._count, self.generation
        for ref in withdraw:
            then.withdraw(ref)
        for source, candidates in replace.items():
            then.replace_source(source, candidates)
        return Offered(MappingProxyType(then._places), generation)

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the registry while something that decisions depend on changes."""
        with self._turn, self._lock:
            try:
                yield
            finally:
                self.generation += 1

    def _put(self, candidate: Candidate, name: Wanted, same: Entry | None) -> None:
        """Keep *candidate*: where its equal stood, or as the latest."""
        if same is None:
            self._count += 1
        entries = self._places.setdefault(name[0], {})
        entries[name[1]] = Entry(candidate, same.sequence if same else self._count)

    def _drop(self, place: str, slot: Slot) -> Candidate:
        entries = self._places[place]
        candidate = entries.pop(slot).candidate
        if not entries:
            del self._places[place]
        return candidate


def offered_by(source: Source, candidates: Iterable[Candidate]) -> dict[Wanted, Candidate]:
    """Return *candidates* by place, provider and source, if they may be all that *source* offers.

    Raises:
        InvalidCandidateError: one came from another source, or two fill a place alike.
    """
    wanted: dict[Wanted, Candidate] = {}
    for candidate in candidates:
        name = (str(candidate.ref), (candidate.provider, source.id))
        if candidate.source.id != source.id or name in wanted:
            reason = "it is offered twice" if name in wanted else f"it is no offer of {source}"
            raise InvalidCandidateError(candidate.offer, reason, origin=str(candidate.source))
        wanted[name] = candidate
    return wanted


def _same(present: Entry | None, candidate: Candidate | None) -> bool:
    return present is not None and present.candidate == candidate


def _told(names: Iterable[Wanted]) -> tuple[str, ...]:
    return tuple(sorted(f"{place}@{provider}" for place, (provider, _) in names))
