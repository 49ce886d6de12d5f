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
    own_rank,
    rank,
)
from oneiric.core.ref import ComponentRef
from oneiric.core.registry import Entry
from oneiric.errors import NoCandidateError, UnknownSelectionError

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate
    from oneiric.core.registry import Slot

_MANIFEST = SourceKind.MANIFEST  # looking up a member of an enum costs three of a global
_SELECTION, _LATEST, _SHADOWED = Rule.SELECTION, Rule.LATEST, Place.SHADOWED
_ELSEWHERE = Rejection(Reason.PROVIDER, "another provider was asked for")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What outranks or excludes offers: selections, the stack order, exclusions.

    Args:
        configured: choices from configuration, by place.
        swapped: choices made with `swap`, by place; they outrank the configured ones.
        excluded: offers that may not serve for now (quarantine, pause).
        strict: whether a selection that names nobody is an error, or a warning.
        failover: whether the next best serves while a better one is excluded.
    """

    configured: Mapping[str, Selection] = field(default_factory=dict)
    swapped: Mapping[str, Selection] = field(default_factory=dict)
    stacks: StackOrder = field(default_factory=StackOrder)
    excluded: Mapping[str, Rejection] = field(default_factory=dict)
    strict: bool = True
    failover: bool = True

    def configured_anew(self, configured: Mapping[str, Selection]) -> Rules:
        """Return the rules with other configured choices; swaps they contradict end."""
        swapped = {
            ref: choice
            for ref, choice in self.swapped.items()
            if _provider(self.configured.get(ref)) == _provider(configured.get(ref))
        }
        return replace(self, configured=configured, swapped=swapped)


class Row(NamedTuple):
    """An entry under judgement: what the rules see of it, and why it may not serve."""

    rank: Rank
    entry: Entry
    rejection: Rejection | None


class View:
    """Judge references against one generation, with assumptions laid over it."""

    __slots__ = ("_generation", "_places", "_replaced", "_rules", "_withdrawn")

    def __init__(
        self,
        places: Mapping[str, Mapping[Slot, Entry]],
        rules: Rules,
        generation: int,
        *,
        withdrawn: frozenset[str] = frozenset(),
        replaced: Mapping[str, tuple[Candidate, ...]] = MappingProxyType({}),
    ) -> None:
        self._places = places
        self._rules = rules
        self._generation = generation
        self._withdrawn = withdrawn
        self._replaced = replaced

    def extra_places(self) -> Iterator[str]:
        """Return the places for which only assumed offers may exist."""
        return (str(offer.ref) for offers in self._replaced.values() for offer in offers)

    def decide(self, ref: ComponentRef[Any], needs: frozenset[str] = frozenset()) -> Decision:
        """Judge every offer for *ref* and return the decision."""
        place = ref.place
        chosen = None if ref.provider else self._selection(place)
        rows = self._rows(ref, needs, ())
        winner, problem, warning = self._choose(rows, ref, chosen)
        return Decision(
            ref=ref,
            standings=tuple(self._standings(rows, winner, chosen)),
            winner=winner.entry.candidate if winner else None,
            needs=needs,
            selection=chosen,
            overridden=self._rules.configured.get(place) if self._is_swap(chosen) else None,
            problem=problem,
            warning=warning,
            generation=self._generation,
        )

    def _selection(self, place: str) -> Selection | None:
        return self._rules.swapped.get(place) or self._rules.configured.get(place)

    def _is_swap(self, chosen: Selection | None) -> bool:
        return chosen is not None and self._rules.swapped.get(chosen.ref) is chosen

    def _entries(self, place: str) -> Iterable[Entry]:
        present: Iterable[Entry] = self._places.get(place, {}).values()
        if not self._withdrawn and not self._replaced:
            return present
        kept = [
            entry
            for entry in present
            if entry.candidate.source.id not in self._replaced
            and place not in self._withdrawn
            and entry.candidate.offer not in self._withdrawn
        ]
        return [*kept, *self._assumed(place)]

    def _assumed(self, place: str) -> Iterator[Entry]:
        """Yield the assumed offers, each where registering it would put it in the order."""
        latest = sys.maxsize - sum(map(len, self._replaced.values()))
        for source, offers in self._replaced.items():
            for number, offer in enumerate(offers):
                if offer.ref == place:
                    old = self._places.get(place, {}).get((offer.provider, source))
                    same = old is not None and old.candidate == offer
                    yield old if same and old else Entry(offer, latest + number)

    def _rows(
        self, ref: ComponentRef[Any], needs: frozenset[str], path: tuple[str, ...]
    ) -> list[Row]:
        """Return every offer for *ref*'s place, best first, with why it may not serve."""
        selection = None if ref.provider else self._selection(ref.place)
        chosen = selection.provider if selection else ""
        stacks, asked = self._rules.stacks, ref.provider
        rows = [
            Row(rank(entry, chosen, stacks), entry, self._rejection(entry, asked, needs, path))
            for entry in self._entries(ref.place)
        ]
        rows.sort(key=_rank, reverse=True)
        return rows

    def _rejection(
        self, entry: Entry, asked: str, needs: frozenset[str], path: tuple[str, ...]
    ) -> Rejection | None:
        candidate = entry.candidate
        if asked and candidate.provider != asked:
            return _ELSEWHERE
        rejection = _unfit(candidate)
        if rejection is None and self._rules.excluded:
            rejection = self._rules.excluded.get(candidate.offer)
        if rejection is None and not needs <= candidate.capabilities:
            missing = ", ".join(sorted(needs - candidate.capabilities))
            rejection = Rejection(Reason.CAPABILITY, f"lacks {missing}")
        if rejection is None and candidate.conflicts_with:
            rejection = self._conflict(candidate)
        if rejection is None and candidate.requires:
            rejection = self._requirement(candidate, path)
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

    def _requirement(self, candidate: Candidate, path: tuple[str, ...]) -> Rejection | None:
        here = (*path, str(candidate.ref), str(candidate.offer))
        for required in candidate.requires.values():
            if required in here:
                way = " -> ".join((*here[1::2], required))
                return Rejection(Reason.REQUIREMENT, f"requires itself: {way}")
            rows = self._rows(required, frozenset(), here)
            chosen = None if required.provider else self._selection(required)
            winner, _, _ = self._choose(rows, required, chosen)
            if winner is None:
                return Rejection(Reason.REQUIREMENT, f"requires {required}, which nobody serves")
        return None

    def _choose(
        self, rows: list[Row], ref: ComponentRef[Any], chosen: Selection | None
    ) -> tuple[Row | None, NoCandidateError | UnknownSelectionError | None, str]:
        """Return the winner, or what `resolve` raises, and a warning."""
        fit = _champions([row for row in rows if row.rejection is None])
        problem = _unmet(rows, chosen, failover=self._rules.failover) if chosen else None
        if problem is not None and self._rules.strict:
            return None, problem, ""
        waiting = rows[0].rejection if rows and not self._rules.failover else None
        if not fit or (waiting is not None and waiting.reason.passing):
            rejected = [
                (r.entry.candidate.provider, r.rejection.detail) for r in rows if r.rejection
            ]
            return None, NoCandidateError(ref, rejected, known=self._places), ""
        return fit[0], None, problem.message if problem else ""

    def _standings(
        self, rows: list[Row], winner: Row | None, chosen: Selection | None
    ) -> Iterator[Standing]:
        stacks = self._rules.stacks
        origin = chosen.origin if chosen else ""
        if winner is not None:
            second = next((r for r in rows if r is not winner and r.rejection is None), None)
            yield _selected(winner, second, stacks, origin)
        for row in rows:
            if row is winner:
                continue
            if row.rejection is not None:
                candidate, sequence = row.entry.candidate, row.entry.sequence
                yield Standing(candidate, Place.REJECTED, sequence, stacks, rejection=row.rejection)
            else:
                yield _shadowed(row, rows, winner, stacks, origin)


def _unmet(rows: list[Row], chosen: Selection, *, failover: bool) -> UnknownSelectionError | None:
    """Return why no offer of the provider that *chosen* names may serve, if none may."""
    named = [row for row in rows if row.entry.candidate.provider == chosen.provider]
    if any(row.rejection is None for row in named):
        return None
    if failover and any(row.rejection and row.rejection.reason.passing for row in named):
        return None
    why = next((f"it may not serve: {row.rejection.detail}" for row in named if row.rejection), "")
    known = sorted({row.entry.candidate.provider for row in rows})
    return UnknownSelectionError(chosen.ref, chosen.provider, chosen.origin, known=known, why=why)


def _champions(rows: list[Row]) -> list[Row]:
    """Leave of each manifest's offers only the best by the manifest's own levels."""
    best: dict[str, Row] = {}
    for row in rows:
        source = row.entry.candidate.source
        if source.kind is _MANIFEST:
            rival = best.setdefault(source.id, row)
            if (row.rank[0], own_rank(row.entry)) > (rival.rank[0], own_rank(rival.entry)):
                best[source.id] = row
    if not best:
        return rows
    return [row for row in rows if best.get(row.entry.candidate.source.id, row) is row]


def _rival(row: Row, rows: list[Row], winner: Row | None) -> Row | None:
    """Return the row that put a manifest's *row* in the shadow: its own best, or the winner."""
    source = row.entry.candidate.source
    kin = [r for r in rows if r.rejection is None and r.entry.candidate.source.id == source.id]
    best = _champions(kin)[0]
    return winner if best is row else best


def _selected(winner: Row, second: Row | None, stacks: StackOrder, origin: str) -> Standing:
    candidate, sequence = winner.entry.candidate, winner.entry.sequence
    if winner.rank[0]:
        return Standing(candidate, Place.SELECTED, sequence, stacks, Rule.SELECTION, within=origin)
    if second is None:
        return Standing(candidate, Place.SELECTED, sequence, stacks)
    rule, value, against = _compare(winner, second)
    return Standing(candidate, Place.SELECTED, sequence, stacks, rule, value, against)


def _shadowed(
    row: Row, rows: list[Row], winner: Row | None, stacks: StackOrder, origin: str
) -> Standing:
    candidate, sequence = row.entry.candidate, row.entry.sequence
    manifest = candidate.source.kind is _MANIFEST
    rival = _rival(row, rows, winner) if manifest else winner
    if rival is None:
        return Standing(candidate, _SHADOWED, sequence, stacks)
    compare = _compare(rival, row) if manifest else deciding_rule(rival.rank, row.rank)
    rule, against, value = compare
    within = ""
    if rule is _SELECTION:
        within = origin
    elif rule is _LATEST:
        within = rival.entry.candidate.provider
    elif manifest and _same_manifest(rival, row):
        within = str(candidate.source)
    return Standing(candidate, _SHADOWED, sequence, stacks, rule, value, against, None, within)


def _compare(winner: Row, loser: Row) -> tuple[Rule, int, int]:
    """Return the rule that put *winner* above *loser*, and the two values it compared."""
    ours, theirs = winner.rank, loser.rank
    if _same_manifest(winner, loser):
        ours = (ours[0], winner.entry.candidate.stack_level, *ours[2:])
        theirs = (theirs[0], loser.entry.candidate.stack_level, *theirs[2:])
    return deciding_rule(ours, theirs)


def _same_manifest(one: Row, other: Row) -> bool:
    mine, yours = one.entry.candidate.source, other.entry.candidate.source
    return mine.kind is _MANIFEST and mine.id == yours.id


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
