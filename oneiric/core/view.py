"""One generation of offers and rules, judged as a whole."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from oneiric.core.candidate import SourceKind
from oneiric.core.decision import Decision, Place, Reason, Rejection, Standing
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
from oneiric.machine import python_matches, runs_on, system

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

    def choices(self, ref: str) -> tuple[Selection | None, Selection | None]:
        """Return what `swap` and configuration choose for a place."""
        return self.swapped.get(ref), self.configured.get(ref)

    def swapped_anew(self, select: Iterable[Selection], unselect: Iterable[str]) -> Rules:
        """Return the rules with other choices made with `swap`: first fewer, then more."""
        swapped = {ref: one for ref, one in self.swapped.items() if ref not in unselect}
        swapped.update((choice.ref, choice) for choice in select)
        return replace(self, swapped=swapped)


class View:
    """Judge references against one generation of offers under one set of rules."""

    __slots__ = ("_requirements", "_rules", "generation", "places")

    def __init__(self, offered: Offered, rules: Rules) -> None:
        self.places, self.generation = offered
        self._rules = rules
        self._requirements = Requirements(self._judge, self._serving)

    def decide(self, ref: ComponentRef[Any], needs: frozenset[str] = frozenset()) -> Decision:
        """Judge every offer for *ref* and return the decision."""
        swapped, configured = self._rules.choices(ref)
        chosen = swapped or configured
        rows = self._requirements.judged(ref, self._judge(ref, needs))
        field, kin = self._contenders(rows)
        unmet = self._unmet(rows, chosen) if chosen else None
        barred = unmet is not None and self._rules.strict
        winner = None if barred else _winner(field)
        problem: NoCandidateError | UnknownSelectionError | None = None
        if winner is None:
            problem = unmet if barred else self._nobody(ref, rows)
        origin = chosen.origin if chosen else ""
        bench = Judgement(rows, field, kin, winner, self._rules.stacks, origin, barred)
        return Decision(
            ref=ref,
            standings=tuple(bench.standings()),
            winner=winner.candidate if winner else None,
            needs=needs,
            selection=chosen,
            overridden=configured if chosen is swapped else None,
            problem=problem,
            warning=unmet.message if unmet and not barred else "",
            generation=self.generation,
        )

    def _chosen(self, ref: ComponentRef[Any]) -> Selection | None:
        swapped, configured = self._rules.choices(ref)
        return swapped or configured

    def _entries(self, place: str) -> Iterable[Entry]:
        return self.places.get(place, {}).values()

    def _judge(self, ref: ComponentRef[Any], needs: frozenset[str] = frozenset()) -> list[Row]:
        """Return every offer for *ref*'s place, best first, requirements aside."""
        selection = self._chosen(ref)
        chosen = selection.provider if selection else ""
        stacks, asked = self._rules.stacks, ref.provider
        rows = [
            Row(rank(entry, chosen, stacks), entry[0], self._rejection(entry[0], asked, needs))
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

    def _contenders(self, rows: list[Row]) -> tuple[list[Row], Mapping[str, Row]]:
        """Return who competes, best first; without failover also who is out for a while.

        Return too the best of each manifest, by source.
        """
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
        return _winner(self._contenders(rows)[0])

    def _unmet(self, rows: list[Row], chosen: Selection) -> UnknownSelectionError | None:
        """Return why no offer of the provider that *chosen* names may serve, if none may."""
        named = [row for row in rows if row.candidate.provider == chosen.provider]
        rejections = [row.rejection for row in named if row.rejection]
        if len(rejections) < len(named):
            return None
        if self._rules.failover and any(r.reason.passing for r in rejections):
            return None
        why = f"it may not serve: {rejections[0].detail}" if rejections else ""
        known = sorted({row.candidate.provider for row in rows})
        return UnknownSelectionError(
            chosen.ref, chosen.provider, chosen.origin, known=known, why=why, hint=chosen.undo
        )

    def _nobody(self, ref: ComponentRef[Any], rows: list[Row]) -> NoCandidateError:
        rejected = [(r.candidate.provider, r.rejection.detail) for r in rows if r.rejection]
        known: Iterable[str] = self.places
        if rows:
            offers = [str(row.candidate.offer) for row in rows]
            known = () if not ref.provider or ref in offers else offers
        return NoCandidateError(ref, rejected, known=known)


class Judgement(NamedTuple):
    """All rows of a decision once the winner is known; tells each where it stands.

    `field` are the contenders, best first; `kin` the best of each manifest, which shadow
    their manifest's others; `barred` tells that a selection which nobody
    meets keeps them all from serving.
    """

    rows: list[Row]
    field: list[Row]
    kin: Mapping[str, Row]
    winner: Row | None
    stacks: StackOrder
    origin: str
    barred: bool

    def standings(self) -> Iterator[Standing]:
        """Yield a standing for every row, the winner's first."""
        rows, field, kin, winner, stacks, origin, barred = self
        if winner is not None:
            case = self._case_for(winner)
            yield Standing(winner.candidate, Place.SELECTED, winner.sequence, stacks, None, *case)
        for row in rows:
            rank, candidate, rejection = row
            if rejection is not None:
                yield Standing(candidate, _REJECTED, rank[-1], stacks, rejection)
            elif row is not winner:
                rule, value, against, within = _SELECTION, 0, 1, origin
                if not barred:
                    best = kin.get(candidate.source.id, row) if kin else row
                    rival = field[0] if best is row else best
                    rule, value, against, within = _case_against(row, rival, origin)
                yield Standing(
                    candidate, _SHADOWED, rank[-1], stacks, None, rule, value, against, within
                )

    def _case_for(self, winner: Row) -> tuple[Rule | None, int, int, str]:
        """Return what put *winner* above the next contender, or else above its manifest's next."""
        if winner.rank[0]:
            return _SELECTION, 1, 0, self.origin
        rest = [row for row in self.rows if row.rejection is None and row is not winner]
        second = self.field[1] if len(self.field) > 1 else next(iter(_champions(rest)[0]), None)
        if second is None:
            return None, 0, len(self.rows) - 1, ""
        rule, value, against, inside = _compare(winner, second)
        return rule, value, against, str(winner.candidate.source) if inside else ""


def _case_against(row: Row, rival: Row, origin: str) -> tuple[Rule, int, int, str]:
    """Return what put *row* below *rival*."""
    rule, against, value, inside = _compare(rival, row)
    if rule is _SELECTION:
        return rule, value, against, origin
    if rule is _LATEST:
        return rule, value, against, _told_apart(rival.candidate, row.candidate)
    return rule, value, against, str(row.candidate.source) if inside else ""


def _champions(rows: list[Row]) -> tuple[list[Row], Mapping[str, Row]]:
    """Leave of each manifest's offers only the best by its own levels; return these by source."""
    best: dict[str, Row] = {}
    for row in rows:
        source = row.candidate.source
        if source.kind is _MANIFEST:
            rival = best.setdefault(source.id, row)
            if inner_rank(row.rank, row.candidate) > inner_rank(rival.rank, rival.candidate):
                best[source.id] = row
    if not best:
        return rows, best
    return [row for row in rows if best.get(row.candidate.source.id, row) is row], best


def _winner(field: list[Row]) -> Row | None:
    return field[0] if field and field[0].rejection is None else None


def _compare(winner: Row, loser: Row) -> tuple[Rule, int, int, bool]:
    """Return the rule that put *winner* above *loser*, the values, whether a manifest gave them."""
    ours, theirs = winner.rank, loser.rank
    source, inside = winner.candidate.source, False
    if source.kind is _MANIFEST and source == loser.candidate.source and ours[:2] == theirs[:2]:
        ours = (ours[0], winner.candidate.stack_level, *ours[2:])
        theirs = (theirs[0], loser.candidate.stack_level, *theirs[2:])
        inside = True
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
