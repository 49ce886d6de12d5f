"""Choose who serves a reference, and say why: one computation for both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from oneiric.core.precedence import Selection, StackOrder
from oneiric.core.ref import ComponentRef, words
from oneiric.core.registry import Registry, SourceChange
from oneiric.core.view import Rules, View

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate, Source
    from oneiric.core.decision import Decision, DecisionDiff, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """What `explain` and `preview` may take for granted instead of what is.

    Args:
        select: a choice made with `swap`.
        unselect: places whose choice made with `swap` is cleared.
        withdraw: offers, or all offers for a place, that are gone.
        replace: all that a source offers from then on, as a manifest would.
    """

    select: tuple[Selection, ...] = ()
    unselect: tuple[str, ...] = ()
    withdraw: tuple[str, ...] = ()
    replace: Mapping[Source, Iterable[Candidate]] = field(default_factory=dict)


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

    __slots__ = ("_rules", "registry")

    def __init__(self, registry: Registry | None = None) -> None:
        self.registry = registry if registry is not None else Registry()
        self._rules = Rules()

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
            provider: the provider to ask for, beside *ref*.
            needs: capabilities that the one chosen must have.

        Raises:
            InvalidRefError: *ref* is not a reference.
            NoCandidateError: nobody may serve; carries each offer and its reason.
            UnknownSelectionError: a selection names nobody who may serve.
        """
        if not provider and not needs:
            try:
                return self.registry.derived[ref]
            except KeyError:
                pass
        decision = self.explain(ref, provider=provider, needs=needs)
        if decision.winner is None:
            assert decision.problem is not None
            raise decision.problem
        return decision.winner

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
            InvalidRefError: *ref* is not a reference.
        """
        named: ComponentRef[Any] = ComponentRef(ref)
        asked = named.offer(provider) if provider else named
        wanted = words(needs)
        with self.registry.reading() as places:
            decision = self._view(places, assume).decide(asked, wanted)
            if assume is None and not wanted and decision.winner is not None:
                self.registry.derived[asked] = decision.winner
        return decision

    def preview(self, assume: Assumption) -> list[DecisionDiff]:
        """Return every decision that would change if *assume* held, by reference."""
        with self.registry.reading() as places:
            now, then = self._view(places, None), self._view(places, assume)
            refs: list[ComponentRef[Any]] = [
                ComponentRef(place) for place in sorted({*places, *then.extra_places()})
            ]
            pairs = [(now.decide(ref), then.decide(ref)) for ref in refs]
        diffs = [before.diff(after) for before, after in pairs]
        return [diff for diff in diffs if diff]

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
            self._rules = replace(
                rules,
                stacks=stacks if stacks is not None else rules.stacks,
                strict=strict_selections if strict_selections is not None else rules.strict,
                failover=failover if failover is not None else rules.failover,
            )

    def select(self, selection: Selection) -> None:
        """Put a choice made with `swap` in force; it outranks configuration."""
        with self.registry.change():
            swapped = {**self._rules.swapped, selection.ref: selection}
            self._rules = replace(self._rules, swapped=swapped)

    def unselect(self, ref: str) -> Selection | None:
        """End the choice made with `swap` for a place and return it."""
        with self.registry.change():
            swapped = dict(self._rules.swapped)
            gone = swapped.pop(ComponentRef[Any](ref).place, None)
            self._rules = replace(self._rules, swapped=swapped)
        return gone

    def exclude(self, offer: str, rejection: Rejection) -> None:
        """Reject one offer, `domain:key@provider`, until `admit`."""
        with self.registry.change():
            excluded = {**self._rules.excluded, ComponentRef[Any](offer): rejection}
            self._rules = replace(self._rules, excluded=excluded)

    def admit(self, offer: str) -> None:
        """End the rejection of an offer."""
        with self.registry.change():
            excluded = dict(self._rules.excluded)
            excluded.pop(ComponentRef[Any](offer), None)
            self._rules = replace(self._rules, excluded=excluded)

    def _view(self, places: Mapping[str, Any], assume: Assumption | None) -> View:
        if assume is None:
            return View(places, self._rules, self.registry.generation)
        swapped = {
            ref: choice for ref, choice in self._rules.swapped.items() if ref not in assume.unselect
        }
        swapped.update((choice.ref, choice) for choice in assume.select)
        return View(
            places,
            replace(self._rules, swapped=swapped),
            self.registry.generation,
            withdrawn=frozenset(assume.withdraw),
            replaced={source.id: tuple(offers) for source, offers in assume.replace.items()},
        )
