"""Another configuration put in force while everything runs, and who has to follow it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

from oneiric.config.layers import Layers
from oneiric.core.activity import ActivityState
from oneiric.core.generation import LifecycleState
from oneiric.core.ref import ComponentRef
from oneiric.domains import ALL, DomainSettings
from oneiric.errors import JSONValue, StoreError
from oneiric.runtime.lifecycle_log import log_swaps_not_forgotten
from oneiric.runtime.provider_settings import paths_of
from oneiric.runtime.rules import put_in_force
from oneiric.runtime.settings import LifecycleSettings

if TYPE_CHECKING:
    from oneiric.config import Config
    from oneiric.core.candidate import Candidate
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

_DOWN = (LifecycleState.INACTIVE, LifecycleState.FAILED, LifecycleState.CLOSED)
_LIVE = frozenset({"app", "resolver", *(domain.section for domain in ALL.values())})


class Target(NamedTuple):
    """Who serves, made with which settings.

    `stands_in` tells that somebody else is selected, who may not serve for now.
    """

    candidate: Candidate | None
    settings: Mapping[str, JSONValue]
    stands_in: bool = False

    @property
    def provider(self) -> str:
        """The name of the provider, or an empty string where nobody may serve."""
        return self.candidate.provider if self.candidate else ""

    def is_that(self, other: Target) -> bool:
        """Tell whether both mean the same offer, made alike; it calls no foreign code."""
        return self.candidate is other.candidate and self.settings == other.settings


class Move(Enum):
    """What to do about a component that a reload concerned."""

    NOTHING = auto()
    """It is as it shall be, or is not up: whoever brings it up makes it anew."""
    DEFER = auto()
    """It takes no work; wait until it does."""
    WAIT = auto()
    """Who is selected may not serve for a while, and who serves instead does so already."""
    SWAP = auto()


@dataclass(frozen=True, slots=True)
class Outdated:
    """A component that is up with something else than the configuration says by now.

    `served` is what it was made from, as instance number `generation`. `tried` tells that a swap
    was tried since.
    """

    ref: ComponentRef[Any]
    served: Target
    generation: int
    tried: bool = False


class Reloads:
    """Put configurations in force one after the other, and remember who has to follow.

    Any thread may do so; it blocks for as long as the decisions about what is up take.
    """

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        self._runtime = runtime
        self.begun_with = runtime.config
        """What the program began with, which counts on for what awaits a restart."""
        self._outdated: Mapping[ComponentRef[Any], Outdated] = {}
        self._turn = threading.Lock()  # for who puts in force, which takes its time
        self._lock = threading.Lock()  # for who changes who is outdated, which does not

    @property
    def outdated(self) -> Mapping[ComponentRef[Any], Outdated]:
        """What has to follow, by reference: places, and offers that serve only who names them."""
        return self._outdated

    def apply(self, config: Config) -> tuple[ComponentRef[Any], ...]:
        """Put *config* in force in one step; return the places that are up and have to follow.

        Whoever resolves sees all of the old rules or all of the new. Stored swaps whose place
        the file speaks of otherwise have ended.
        """
        runtime, resolver = self._runtime, self._runtime.resolver
        statuses = runtime.lifecycle.statuses
        with self._turn:
            before = {e.ref: (self._target(e.ref), e.generation) for e in statuses()}
            by_name = list(self._by_name(runtime.config, config))
            with resolver.registry.change():
                put_in_force(config, resolver)
                for ref in runtime.stored.follow(config):
                    resolver.unselect(ref)
                runtime.lifecycle.builder.settings = runtime.settings_to_make_with(config)
                runtime.config = config
            changed = []
            for ref in [each.ref for each in statuses() if each.state not in _DOWN]:
                served, generation = before.get(ref, _UNKNOWN)
                if not served.is_that(self._target(ref)):
                    changed.append(Outdated(ref, served, generation))
            self._note(changed, by_name)
        try:
            runtime.stored.forget_ended()
        except StoreError as error:
            log_swaps_not_forgotten(error)
        return tuple(each.ref for each in changed)

    def move(self, ref: ComponentRef[Any]) -> tuple[Move, Outdated | None]:
        """Return what is to be done about a place now, and for what."""
        due, status = self._outdated.get(ref), self._runtime.lifecycle.status(ref)
        if due is None or status.state in _DOWN:
            return Move.NOTHING, due
        if self._runtime.lifecycle.activity.get(ref).state is not ActivityState.ACTIVE:
            return Move.DEFER, due
        now, is_same = self._target(ref), status.generation == due.generation
        if status.provider == now.provider:
            if is_same and now.is_that(due.served):
                return (Move.WAIT if now.stands_in else Move.NOTHING), due
            if due.tried and not is_same:  # somebody else made it anew, by the present rules
                return Move.NOTHING, due
        return Move.SWAP, due

    def settle(self, due: Outdated) -> None:
        """Forget what was done, unless another configuration came meanwhile."""
        with self._lock:
            if self._outdated.get(due.ref) is due:
                self._outdated = {r: o for r, o in self._outdated.items() if r != due.ref}

    def tried(self, due: Outdated) -> None:
        """Note that a swap did not hold, unless another configuration came meanwhile."""
        generation = self._runtime.lifecycle.status(due.ref).generation
        with self._lock:
            if self._outdated.get(due.ref) is due:
                noted = Outdated(due.ref, due.served, generation, tried=True)
                self._outdated = {**self._outdated, due.ref: noted}

    def awaiting_restart(self) -> tuple[str, ...]:
        """Return the sections that count only after a restart."""
        now, then = self._runtime.config, self.begun_with
        fixed = [name for name in now.names if name not in _LIVE]
        return tuple(name for name in fixed if _fixed(now, name) != _fixed(then, name))

    def _note(self, changed: list[Outdated], by_name: list[Outdated]) -> None:
        with self._lock:
            noted = {**self._outdated}
            for due in changed:
                earlier = noted.get(due.ref)
                is_same = earlier is not None and earlier.generation == due.generation
                served = earlier.served if earlier is not None and is_same else due.served
                noted[due.ref] = Outdated(due.ref, served, due.generation)
            for due in by_name:
                earlier = noted.get(due.ref)
                if earlier is None or earlier.generation != due.generation:
                    noted[due.ref] = due
            self._outdated = noted

    def _by_name(self, old: Config, new: Config) -> Iterator[Outdated]:
        """Yield the offers that are up for who names them, and would be made otherwise."""
        lifecycle, registry = self._runtime.lifecycle, self._runtime.resolver.registry
        for domain in ALL.values():
            if _tables(old, domain.section) == _tables(new, domain.section):
                continue
            for place in registry.refs(domain.name):
                serving = lifecycle.status(place).generation
                for candidate in registry.offers(place):
                    offer, made = candidate.offer, settings_of(old, candidate)
                    status = lifecycle.status(offer)
                    is_up = status.generation not in (0, serving)
                    if is_up and made != settings_of(new, candidate):
                        served = Target(candidate, made)
                        yield Outdated(offer, served, status.generation)

    def _target(self, ref: ComponentRef[Any]) -> Target:
        """Return who serves a place or an offer by the rules of now, and with which settings."""
        decision = self._runtime.resolver.explain(ref)
        winner, selection = decision.winner, decision.selection
        if winner is None:
            return Target(None, {})
        stands_in = selection is not None and selection.provider != winner.provider
        return Target(winner, settings_of(self._runtime.config, winner), stands_in)


_UNKNOWN = (Target(None, {"": None}), -1)
"""What a component was made from, and its number, that came up while the rules changed."""


def _tables(config: Config, section: str) -> Mapping[str, Mapping[str, JSONValue]]:
    settings = config.section(section)
    assert isinstance(settings, DomainSettings)
    return settings.provider_settings


def settings_of(config: Config, candidate: Candidate) -> Mapping[str, JSONValue]:
    """Return what *config* sets for an offer, its two tables merged; nothing if it takes none."""
    layers = Layers()
    if candidate.settings_model is not None:
        section = ALL[candidate.ref.domain].section
        tables = _tables(config, section)
        for path in paths_of(candidate):
            layers.lay(tables.get(path.removeprefix(f"{section}.provider_settings."), {}), str)
    return layers.values


def _fixed(config: Config, name: str) -> object:
    """Return the settings of a section of which nothing changes while it is in use."""
    settings = config.section(name)
    if isinstance(settings, LifecycleSettings):
        return settings.model_copy(update={"failover": True})
    return settings
