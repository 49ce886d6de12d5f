"""Stored swaps, held against what the file says now."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from oneiric.clock import Clock, rfc3339
from oneiric.core.precedence import Selection
from oneiric.core.ref import ComponentRef
from oneiric.domains import ALL
from oneiric.errors import InvalidRefError, JSONValue, StoreError
from oneiric.stores.selections import SelectionStore, StoredSelection

if TYPE_CHECKING:
    from pathlib import Path

    from oneiric.config import Config


@dataclass(frozen=True, slots=True)
class Dormant:
    """A stored selection that is not in force: it has ended, or belongs to another profile.

    One that has ended is deleted when a selection is next stored or cleared; a file that says
    again what it said, before then, puts it back in force.
    """

    stored: StoredSelection
    profile: str
    filed: str

    @property
    def ended(self) -> bool:
        """Whether the file says something else about the place than it did."""
        return self.stored.profile in ("", self.profile)

    @property
    def why(self) -> str:
        """Why it is not in force, in a few words."""
        if not self.ended:
            return f"it belongs to the profile {self.stored.profile}"
        then, now = self.stored.configured or "nobody", self.filed or "nobody"
        return f"it has ended: the file selected {then} then, and {now} now"

    def __str__(self) -> str:
        return f"{_origin(self.stored)} selected {self.stored.provider}, but {self.why}"

    def as_json(self) -> dict[str, JSONValue]:
        """Return who was selected where, whether that has ended, and why it does not count."""
        return {
            "provider": self.stored.provider,
            "origin": _origin(self.stored),
            "ended": self.ended,
            "why": self.why,
        }


class StoredSwaps:
    """Keep what `swap` selects across processes, until the file says something else.

    What the file and its profile say about a place is remembered with each selection. A
    variable is laid over both and never ends one. A selection made under another profile is
    not in force, and is kept. Where the store cannot be read, none is in force and `problem`
    says why.
    """

    __slots__ = ("_clock", "_config", "_kept", "_lock", "_store", "_turns", "problem")

    def __init__(self, path: Path, config: Config, clock: Clock) -> None:
        self._store = SelectionStore(path)
        self._config = config
        self._clock = clock
        self._kept: Mapping[str, StoredSelection] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._lock = threading.Lock()  # for who changes what is kept, in whichever thread
        self.problem: StoreError | None = None
        try:
            self._kept = self._store.load()
            self._check(path)
        except StoreError as error:
            self._kept, self.problem = {}, error

    @property
    def kept(self) -> Mapping[str, StoredSelection]:
        """What is stored, by place, in force or not."""
        return MappingProxyType(dict(self._kept))

    def in_force(self) -> Iterator[Selection]:
        """Yield the selections that count."""
        for stored in self._kept.values():
            if self.dormant(stored.ref) is None:
                undo = f"oneiric swap {stored.ref} --clear"
                yield Selection.of(stored.ref, stored.provider, origin=_origin(stored), undo=undo)

    def dormant(self, ref: str) -> Dormant | None:
        """Return what is stored for a place and does not count, if so."""
        stored = self._kept.get(ref)
        if stored is None:
            return None
        profile, filed = self._config.profile, self._filed(ref)
        if stored.profile in ("", profile) and stored.configured == filed:
            return None
        return Dormant(stored, profile, filed)

    def follow(self, config: Config) -> tuple[str, ...]:
        """Hold them against *config* from now on; return the places whose selection has ended."""
        self._config = config
        return tuple(each.ref for each in self._ended())

    def forget_ended(self) -> None:
        """Delete those that have ended, so that none comes back if the file changes back.

        Raises:
            StoreError: nothing was deleted; they stay out of force.
        """
        with self._lock:
            ended = self._ended()
            if ended:
                self._store.forget(ended)
                gone = {each.ref for each in ended}
                self._kept = {
                    place: each for place, each in self._kept.items() if place not in gone
                }

    def turn(self, ref: str) -> asyncio.Lock:
        """Return what who swaps a place holds until that is stored, so that the last one is."""
        return self._turns.setdefault(ref, asyncio.Lock())

    def remember(self, ref: str, *, provider: str, actor: str = "") -> None:
        """Store the selection of *provider* for a place, or without one forget it.

        Raises:
            StoreError: nothing was stored.
        """
        if self.problem is not None:
            raise self.problem.again()
        with self._lock:
            ended = self._ended()
            gone = {ref, *(each.ref for each in ended)}
            kept = {place: each for place, each in self._kept.items() if place not in gone}
            if provider:
                at, profile = rfc3339(self._clock.now()), self._config.profile
                kept[ref] = StoredSelection(ref, provider, self._filed(ref), actor, at, profile)
                self._store.save(kept[ref], ended=ended)
            else:
                self._store.clear(ref, ended=ended)
            self._kept = kept

    def _ended(self) -> list[StoredSelection]:
        dormant = [self.dormant(each) for each in self._kept]
        return [each.stored for each in dormant if each is not None and each.ended]

    def _filed(self, ref: str) -> str:
        """Return the provider that the file and its profile select for a place, or nothing."""
        named = ComponentRef[Any](ref)
        said = self._config.filed(ALL[named.domain].section, "selections", named.key)
        return said if isinstance(said, str) else ""

    def _check(self, path: Path) -> None:
        for stored in self._kept.values():
            try:
                Selection.of(stored.ref, stored.provider)
            except InvalidRefError as error:
                raise StoreError(f"{path} holds a damaged selection: {error}") from error


def _origin(stored: StoredSelection) -> str:
    by = f" by {stored.actor}" if stored.actor else ""
    return f"swap at {stored.at}{by}"
