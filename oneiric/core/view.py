"""One generation of offers and rules, judged as a whole."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from oneiric.core.candidate import SourceKind
from oneiric.core.decision import Decision, Place, Reason, Rejection, Standing
from oneiric.core.fit import python_matches, runs_on, system
from oneiric.core.precedence import (
    Rank,
    Rule,
    Selection,
    StackOrder,
    deciding_rule,
    inner_rank,
    rank,
)
from oneiric.core.registry import Entry
from oneiric.core.requirement import Requirements, Row
from oneiric.errors import NoCandidateError, UnknownSelectionError

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.ref import ComponentRef
    from oneiric.core.registry import Offered

_MANIFEST = SourceKind.MANIFEST  # looking up a member of an enum costs three of a global
_SELECTION, _LATEST = Rule.SELECTION, Rule.LATEST
_SHADOWED, _REJECTED = Place.SHADOWED, Place.REJECTED
_ELSEWHERE = Rejection(Reason.PROVIDER, "another provider was asked for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What outranks or excludes offers: selections, the stack order, exclusions.

    Args:
        configured: choices from configuration, by place.
        swapped: choices made with `swap`, by place; they outrank the configured ones.
        excluded: offers that may not serve for now, and for which reasons.
        strict: whether a selection that names nobody is an error, or a warning.
        failover: whether the next best serves while a better one is excluded.
    """

    configured: Mapping[str, Selection] = field(default_factory=dict)
    swapped: Mapping[str, Selection] = field(default_factory=dict)
    stacks: StackOrder = field(default_factory=StackOrder)
    excluded: Mapping[str, Mapping[Reason, Rejection]] = field(default_factory=dict)
    strict: bool = True
    failover: bool = True

    def __post_init__(self) -> None:
        for name in ("configured", "swapped", "excluded"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def configured_anew(self, configured: Mapping[str, Selection]) -> Rules:
        """Return the rules with other configured choices; swaps they contradict end."""
        swapped = {
            ref: choice
            for ref, choice in self.swapped.items()
            if _provider(self.configured.get(ref)) == _provider(configured.get(ref))
        }
        return replace(self, configured=configured, swapped=swapped)


class View:
    """Judge references against one generation, with assumptions laid over it."""

    __slots__ = ("_assumed", "_offered", "_replaced", "_requirements", "_rules", "_withdrawn")

    def __init__(
        self,
        offered: Offered,
        rules: Rules,
        *,
        withdrawn: frozenset[str] = frozenset(),
        replaced: Mapping[str, tuple[Candidate, ...]] = MappingProxyType({}),
    ) -> None:
        self._offered = offered
        self._rules = rules
        self._withdrawn = withdrawn
        self._replaced = replaced
        self._assumed = _registered(offered, replaced) if replaced else {}
        self._requirements = Requirements(self._judge, self._serving)

    @property
    def assumed_places(self) -> Iterable[str]:
        """The places for which offers are assumed."""
        return self._assumed.keys()

    def decide(self, ref: ComponentRef[Any], needs: frozenset[str] = frozenset()) -> Decision:
        """Judge every offer for *ref* and return the decision."""
        chosen = self._chosen(ref)
        rows = self._requirements.judged(ref, self._judge(ref, needs))
        field = self._contenders(rows)
        unmet = self._unmet(rows, chosen) if chosen else None
        barred = unmet is not None and self._rules.strict
        winner = None if barred else _winner(field)
        problem: NoCandidateError | UnknownSelectionError | None = None
        if winner is None:
            problem = unmet if barred else self._nobody(ref, rows)
        origin = chosen.origin if chosen else ""
        bench = Judgement(rows, field, winner, self._rules.stacks, origin, barred)
        return Decision(
            ref=ref,
            standings=tuple(bench.standings()),
            winner=winner.entry.candidate if winner else None,
            needs=needs,
            selection=chosen,
            overridden=self._overridden(chosen),
            problem=problem,
            warning=unmet.message if unmet and not barred else "",
            generation=self._offered.generation,
        )

    def _chosen(self, ref: ComponentRef[Any]) -> Selection | None:
        if "@" in ref:
            return None
        return self._rules.swapped.get(ref) or self._rules.configured.get(ref)

    def _overridden(self, chosen: Selection | None) -> Selection | None:
        if chosen is None or self._rules.swapped.get(chosen.ref) is not chosen:
            return None
        return self._rules.configured.get(chosen.ref)

    def _entries(self, place: str) -> Iterable[Entry]:
        present: Iterable[Entry] = self._offered.places.get(place, {}).values()
        if not self._withdrawn and not self._replaced:
            return present
        kept = [
            entry
            for entry in present
            if entry.candidate.source.id not in self._replaced
            and place not in self._withdrawn
            and entry.candidate.offer not in self._withdrawn
        ]
        return [*kept, *self._assumed.get(place, ())]

    def _judge(self, ref: ComponentRef[Any], needs: frozenset[str] = frozenset()) -> list[Row]:
        """Return every offer for *ref*'s place, best first, requirements aside."""
        selection = self._chosen(ref)
        chosen = selection.provider if selection else ""
        stacks, asked = self._rules.stacks, ref.provider
        rows = [
            Row(rank(entry, chosen, stacks), entry, self._rejection(entry.candidate, asked, needs))
            for entry in self._entries(ref.place)
        ]
        rows.sort(key=_rank, reverse=True)
        return rows

    def _rejection(
        self, candidate: Candidate, asked: str, needs: frozenset[str]
    ) -> Rejection | None:
        if asked and candidate.provider != asked:
            return _ELSEWHERE
        rejection = None
        if candidate.unavailable or candidate.os_platform or candidate.python_version:
            rejection = _unfit(candidate)
        if needs and rejection is None and not needs <= candidate.capabilities:
            missing = ", ".join(sorted(needs - candidate.capabilities))
            rejection = Rejection(Reason.CAPABILITY, f"lacks {missing}")
        if rejection is None and candidate.conflicts_with:
            rejection = self._conflict(candidate)
        if rejection is None and self._rules.excluded:
            excluded = self._rules.excluded.get(candidate.offer)
            rejection = next(iter(excluded.values())) if excluded else None
        return rejection

    def _conflict(self, candidate: Candidate) -> Rejection | None:
        for other in candidate.conflicts_with:
            for entry in self._entries(other.place):
                rival = entry.candidate
                if (
                    rival.offer != candidate.offer
                    and other.provider in ("", rival.provider)
                    and not _unfit(rival)
                ):
                    return Rejection(Reason.CONFLICT, f"conflicts with {rival.offer}")
        return None

    def _contenders(self, rows: list[Row]) -> list[Row]:
        """Return who competes, best first; without failover also who is out for a while."""
        waits = not self._rules.failover
        return _champions(
            [
                row
                for row in rows
                if row.rejection is None or (waits and row.rejection.reason.passing)
            ]
        )

    def _serving(self, ref: ComponentRef[Any], rows: list[Row]) -> Row | None:
        """Return the one of *rows* that serves *ref*."""
        chosen = self._chosen(ref)
        if chosen and self._rules.strict and self._unmet(rows, chosen):
            return None
        return _winner(self._contenders(rows))

    def _unmet(self, rows: list[Row], chosen: Selection) -> UnknownSelectionError | None:
        """Return why no offer of the provider that *chosen* names may serve, if none may."""
        named = [row for row in rows if row.entry.candidate.provider == chosen.provider]
        rejections = [row.rejection for row in named if row.rejection]
        if len(rejections) < len(named):
            return None
        if self._rules.failover and any(r.reason.passing for r in rejections):
            return None
        why = f"it may not serve: {rejections[0].detail}" if rejections else ""
        known = sorted({row.entry.candidate.provider for row in rows})
        return UnknownSelectionError(
            chosen.ref, chosen.provider, chosen.origin, known=known, why=why, hint=chosen.undo
        )

    def _nobody(self, ref: ComponentRef[Any], rows: list[Row]) -> NoCandidateError:
        rejected = [(r.entry.candidate.provider, r.rejection.detail) for r in rows if r.rejection]
        known: Iterable[str] = self._offered.places
        if rows:
            offers = [str(row.entry.candidate.offer) for row in rows]
            known = () if not ref.provider or ref in offers else offers
        return NoCandidateError(ref, rejected, known=known)


class Judgement(NamedTuple):
    """All rows of a decision once the winner is known; tells each where it stands.

    `field` are the contenders, best first; `barred` tells that a selection which nobody
    meets keeps them all from serving.
    """

    rows: list[Row]
    field: list[Row]
    winner: Row | None
    stacks: StackOrder
    origin: str
    barred: bool

    def standings(self) -> Iterator[Standing]:
        """Yield a standing for every row, the winner's first."""
        if self.winner is not None:
            yield self._selected(self.winner)
        kin = self._kin() if len(self.field) < len(self.rows) else {}
        for row in self.rows:
            if row is self.winner:
                continue
            if row.rejection is None:
                yield self._shadowed(row, kin)
            else:
                candidate, sequence = row.entry
                yield Standing(candidate, _REJECTED, sequence, self.stacks, rejection=row.rejection)

    def _kin(self) -> Mapping[str, Row]:
        """Return the best of each manifest, by source; it shadows its manifest's others."""
        sources = ((row.entry.candidate.source, row) for row in self.field)
        return {source.id: row for source, row in sources if source.kind is _MANIFEST}

    def _selected(self, winner: Row) -> Standing:
        candidate, sequence = winner.entry
        if winner.rank[0]:
            return Standing(
                candidate,
                Place.SELECTED,
                sequence,
                self.stacks,
                _SELECTION,
                1,
                within=self.origin,
            )
        second = self._second(winner)
        if second is None:
            others = len(self.rows) - 1
            return Standing(candidate, Place.SELECTED, sequence, self.stacks, against=others)
        rule, value, against, inside = _compare(winner, second)
        within = str(candidate.source) if inside else ""
        return Standing(
            candidate, Place.SELECTED, sequence, self.stacks, rule, value, against, within=within
        )

    def _second(self, winner: Row) -> Row | None:
        """Return the next best contender, or else the next best offer of the same manifest."""
        if len(self.field) > 1:
            return self.field[1]
        rest = [row for row in self.rows if row.rejection is None and row is not winner]
        return _champions(rest)[0] if rest else None

    def _shadowed(self, row: Row, kin: Mapping[str, Row]) -> Standing:
        candidate, sequence = row.entry
        best = kin.get(candidate.source.id, row) if kin else row
        rival = self.field[0] if best is row else best
        if self.barred:
            rule, against, value, inside = _SELECTION, 1, 0, False
        elif kin:
            rule, against, value, inside = _compare(rival, row)
        else:
            (rule, against, value), inside = deciding_rule(rival.rank, row.rank), False
        within = str(candidate.source) if inside else ""
        if rule is _SELECTION:
            within = self.origin
        elif rule is _LATEST:
            within = _told_apart(rival.entry.candidate, candidate)
        return Standing(
            candidate, _SHADOWED, sequence, self.stacks, rule, value, against, None, within
        )


def _registered(
    offered: Offered, replaced: Mapping[str, tuple[Candidate, ...]]
) -> dict[str, list[Entry]]:
    """Return assumed offers by place, each where registering it would put it in the order."""
    assumed: dict[str, list[Entry]] = {}
    last = offered.last
    for source, offers in replaced.items():
        for offer in offers:
            old = offered.places.get(offer.ref, {}).get((offer.provider, source))
            same = old is not None and old.candidate == offer
            last += not same
            entry = Entry(offer, old.sequence if same and old else last)
            assumed.setdefault(str(offer.ref), []).append(entry)
    return assumed


def _champions(rows: list[Row]) -> list[Row]:
    """Leave of each manifest's offers only the best by the manifest's own levels."""
    best: dict[str, Row] = {}
    for row in rows:
        source = row.entry.candidate.source
        if source.kind is _MANIFEST:
            rival = best.setdefault(source.id, row)
            if inner_rank(row.rank, row.entry) > inner_rank(rival.rank, rival.entry):
                best[source.id] = row
    if not best:
        return rows
    return [row for row in rows if best.get(row.entry.candidate.source.id, row) is row]


def _winner(field: list[Row]) -> Row | None:
    return field[0] if field and field[0].rejection is None else None


def _compare(winner: Row, loser: Row) -> tuple[Rule, int, int, bool]:
    """Return the rule that put *winner* above *loser*, the values, whether a manifest gave them."""
    ours, theirs = winner.rank, loser.rank
    mine, yours = winner.entry.candidate, loser.entry.candidate
    inside = (
        mine.source.kind is _MANIFEST
        and mine.source.id == yours.source.id
        and ours[:2] == theirs[:2]
    )
    if inside:
        ours = (ours[0], mine.stack_level, *ours[2:])
        theirs = (theirs[0], yours.stack_level, *theirs[2:])
    return *deciding_rule(ours, theirs), inside


def _told_apart(candidate: Candidate, other: Candidate) -> str:
    same = candidate.provider == other.provider
    return f"{candidate.provider} from {candidate.source}" if same else candidate.provider


def _unfit(candidate: Candidate) -> Rejection | None:
    """Return why *candidate* cannot run on this machine at all."""
    if candidate.unavailable:
        return Rejection(Reason.UNAVAILABLE, candidate.unavailable)
    if candidate.os_platform and not runs_on(candidate.os_platform):
        wanted = ", ".join(candidate.os_platform)
        return Rejection(Reason.PLATFORM, f"runs on {wanted}, not {system()}")
    if candidate.python_version and not python_matches(
        candidate.python_version, sys.version_info[:3]
    ):
        running = ".".join(map(str, sys.version_info[:3]))
        return Rejection(Reason.PYTHON, f"needs Python {candidate.python_version}, not {running}")
    return None


def _rank(row: Row) -> Rank:
    return row.rank


def _provider(selection: Selection | None) -> str:
    return selection.provider if selection else ""
