"""Choose who serves a reference, and say why: one computation for both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

from oneiric.core.candidate import Candidate, Source
from oneiric.core.decision import Decision, DecisionDiff, Reason, Rejection
from oneiric.core.precedence import Selection, StackOrder
from oneiric.core.ref import ComponentRef
from oneiric.core.registry import Offered, Registry, SourceChange, offered_by
from oneiric.core.view import Rules, View
from oneiric.errors import InvalidRefError
from oneiric.text.names import words


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """What `explain` and `preview` may take for granted instead of what is.

    Args:
        select: a choice made with `swap`.
        unselect: places whose choice made with `swap` is cleared.
        withdraw: offers, or all offers for a place, that are gone.
        replace: all that a source offers from then on, as a manifest would.

    Raises:
        InvalidRefError: *unselect* or *withdraw* holds what is no reference.
        InvalidCandidateError: `replace_source` would not take what *replace* holds.
    """

    select: tuple[Selection, ...] = ()
    unselect: tuple[str, ...] = ()
    withdraw: tuple[str, ...] = ()
    replace: Mapping[Source, Iterable[Candidate]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keep = partial(object.__setattr__, self)
        keep("unselect", tuple(ComponentRef[Any](ref).place for ref in self.unselect))
        keep("withdraw", tuple(ComponentRef[Any](ref) for ref in self.withdraw))
        offered = {source: offered_by(source, all_) for source, all_ in self.replace.items()}
        keep("replace", {source: tuple(found.values()) for source, found in offered.items()})


class Resolver:
    """Choose by four ordered rules, and explain every choice in full.

    `resolve` returns the winner of the decision that `explain` returns, for every set
    of candidates, so an explanation can never disagree with what happens. Reading is
    safe from any thread.

    >>> resolver = Resolver()
    >>> resolver.register(Candidate("adapter:cache", "memory", dict, priority=10))
    >>> resolver.register(Candidate("adapter:cache", "redis", dict, stack_level=1))
    >>> resolver.resolve("adapter:cache").provider
    'redis'
    """

    __slots__ = ("_generation", "_rules", "_winners", "registry")

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry if registry is not None else Registry()
        self._rules = Rules()
        self._winners: dict[str, Candidate] = {}
        self._generation = self.registry.generation

    @property
    def rules(self) -> Rules:
        """The selections, stack order and exclusions in force; unchangeable."""
        return self._rules

    def register(self, candidate: Candidate) -> None:
        """Add an offer, or replace the one with the same place, provider and source."""
        self.registry.register(candidate)

    def withdraw(self, ref: str, *, source: Source | None = None) -> tuple[Candidate, ...]:
        """Take back the offers that *ref* names and return them."""
        return self.registry.withdraw(ref, source=source)

    def replace_source(self, source: Source, candidates: Iterable[Candidate]) -> SourceChange:
        """Make *candidates* all that *source* offers, in one step."""
        return self.registry.replace_source(source, candidates)

    def resolve(self, ref: str, *, provider: str = "", needs: Iterable[str] = ()) -> Candidate:
        """Return who serves *ref*, without activating anything.

        Args:
            ref: `domain:key`, or `domain:key@provider` to ask for one provider.
            provider: the provider to ask for, where *ref* names a place.
            needs: capabilities that the one chosen must have.

        Raises:
            InvalidRefError: *ref* is not a reference.
            NoCandidateError: nobody may serve; carries each offer and its reason.
            UnknownSelectionError: a selection names nobody who may serve.
        """
        if not provider and not needs and self._generation == self.registry.generation:
            try:
                return self._winners[ref]
            except KeyError:
                pass
        return self.explain(ref, provider=provider, needs=needs).chosen()

    def explain(
        self,
        ref: str,
        *,
        provider: str = "",
        needs: Iterable[str] = (),
        assume: Assumption | None = None,
    ) -> Decision:
        """Decide who serves *ref* and say why, without activating anything.

        `resolve` returns the winner of this same decision.

        >>> resolver.register(Candidate("adapter:cache", "memory", dict, priority=10))
        >>> resolver.register(Candidate("adapter:cache", "redis", dict, stack_level=1))
        >>> print(resolver.explain("adapter:cache").render())
        adapter:cache
          selected  redis   stack level 1
          shadowed  memory  stack level 0 is below 1

        Raises:
            InvalidRefError: *ref* is not a reference, or names another than *provider*.
        """
        asked = _asked(ref, provider)
        wanted = words(needs)
        with self.registry.reading() as offered:
            decision = self._view(offered, assume).decide(asked, wanted)
            if assume is None and not wanted and decision.winner is not None:
                self._remember(offered.generation, asked, decision.winner)
        return decision

    def _remember(self, generation: int, asked: str, winner: Candidate) -> None:
        """Keep a winner for `resolve`, which looks without the lock, generation first."""
        if self._generation != generation:
            self._winners = {}
            self._generation = generation
        self._winners[asked] = winner

    def preview(self, assume: Assumption) -> list[DecisionDiff]:
        """Return every decision that would change if *assume* held, by reference."""
        with self.registry.reading() as offered:
            now, then = self._view(offered, None), self._view(offered, assume)
            refs: list[ComponentRef[Any]] = sorted(map(ComponentRef, {*now.places, *then.places}))
            pairs = [(now.decide(ref), then.decide(ref)) for ref in refs]
        return [diff for before, after in pairs if (diff := before.diff(after))]

    def configure(
        self,
        *,
        selections: Iterable[Selection] | None = None,
        stacks: StackOrder | None = None,
        strict_selections: bool | None = None,
        failover: bool | None = None,
    ) -> None:
        """Put rules from configuration in force, at once; what is None stays.

        A choice made with `swap` ends when *selections* say something else about its place
        than they did before.
        """
        with self.registry.change():
            rules = self._rules
            if selections is not None:
                rules = rules.configured_anew({choice.ref: choice for choice in selections})
            given = {"stacks": stacks, "strict": strict_selections, "failover": failover}
            told: dict[str, Any] = {name: one for name, one in given.items() if one is not None}
            self._rules = replace(rules, **told)

    def select(self, selection: Selection) -> None:
        """Put a choice made with `swap` in force; it outranks configuration."""
        self.enforce(Assumption(select=(selection,)))

    def unselect(self, ref: str) -> Selection | None:
        """End the choice made with `swap` for a place and return it."""
        place = ComponentRef[Any](ref).place
        with self.registry.change():
            gone = self._rules.swapped.get(place)
            self._rules = self._rules.swapped_anew([], [place])
        return gone

    def enforce(self, assume: Assumption) -> Callable[[], None]:
        """Put what *assume* selects in force; calling the result restores what was before.

        What was chosen or configured otherwise since then stays as it is.
        """
        refs = {*assume.unselect, *(choice.ref for choice in assume.select)}
        if not refs:
            return lambda: None
        with self.registry.change():
            before = self._rules
            after = self._rules = before.swapped_anew(assume.select, assume.unselect)

        def restore() -> None:
            with self.registry.change():
                same = [ref for ref in refs if self._rules.choices(ref) == after.choices(ref)]
                old = [before.swapped[ref] for ref in same if ref in before.swapped]
                self._rules = self._rules.swapped_anew(old, same)

        return restore

    def exclude(self, offer: str, rejection: Rejection) -> None:
        """Reject one offer, `domain:key@provider`, until `admit`.

        An offer may be excluded for several reasons at once; each ends by itself.

        Raises:
            InvalidRefError: *offer* names no offer.
        """
        named = _offer(offer)
        with self.registry.change():
            reasons = {**self._rules.excluded.get(named, {}), rejection.reason: rejection}
            excluded = {**self._rules.excluded, named: MappingProxyType(reasons)}
            self._rules = replace(self._rules, excluded=excluded)

    def admit(self, offer: str, *, reason: Reason | None = None) -> None:
        """End the rejection of an offer for *reason*, or for every reason."""
        named = _offer(offer)
        with self.registry.change():
            excluded = dict(self._rules.excluded)
            reasons = excluded.pop(named, {})
            if left := {why: reasons[why] for why in reasons if reason not in (None, why)}:
                excluded[named] = MappingProxyType(left)
            self._rules = replace(self._rules, excluded=excluded)

    def _view(self, offered: Offered, assume: Assumption | None) -> View:
        if assume is None:
            return View(offered, self._rules)
        if assume.withdraw or assume.replace:
            offered = self.registry.assuming(withdraw=assume.withdraw, replace=assume.replace)
        return View(offered, self._rules.swapped_anew(assume.select, assume.unselect))


def _asked(ref: str, provider: str) -> ComponentRef[Any]:
    named: ComponentRef[Any] = ComponentRef(ref)
    if provider and named.provider not in ("", provider):
        raise InvalidRefError(ref, f"it names {named.provider}, and {provider} was asked for")
    return named.offer(provider) if provider else named


def _offer(offer: str) -> ComponentRef[Any]:
    named: ComponentRef[Any] = ComponentRef(offer)
    if not named.provider:
        reason = "it names a place, not an offer"
        raise InvalidRefError(offer, reason, hint=f"write {offer}@provider")
    return named
