"""One generation of offers and rules, judged as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeAlias

from oneiric.core.candidate import Candidate, SourceKind
from oneiric.core.decision import Decision, Place, Reason, Rejection, Standing
from oneiric.core.precedence import Rule, Selection, StackOrder, deciding_rule, inner_rank, rank
from oneiric.core.ref import ComponentRef
from oneiric.core.registry import Entry, Offered
from oneiric.core.requirement import Requirements, Row
from oneiric.errors import NoCandidateError, UnknownSelectionError
from oneiric.machine import wrong_python, wrong_system

_MANIFEST = SourceKind.MANIFEST  # looking up a member of an enum costs three of a global
_SELECTION, _LATEST = Rule.SELECTION, Rule.LATEST
_SHADOWED, _REJECTED = Place.SHADOWED, Place.REJECTED
Case: TypeAlias = tuple[Rule | None, int, int, str]
"""The rule that put an offer where it stands, its value, what it stood against, within what."""
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

    def chosen(self, ref: str) -> Selection | None:
        """Return the choice in force for a place."""
        return self.swapped.get(ref) or self.configured.get(ref)

    def swapped_anew(self, select: Iterable[Selection], unselect: Iterable[str]) -> Rules:
        """Return the rules with other choices made with `swap`: first fewer, then more."""
        swapped = {ref: one for ref, one in self.swapped.items() if ref not in unselect}
        swapped.update((choice.ref, choice) for choice in select)
        return replace(self, swapped=swapped)


class View:
    """Judge references against one generation of offers under one set of rules."""

    def __init__(self, offered: Offered, rules: Rules) -> None:
        self.places, self.generation = offered
        self._rules = rules
        self._requirements = Requirements(self._judge, self._serving)

    def decide(self, ref: ComponentRef[Any], needs: frozenset[str] = frozenset()) -> Decision:
        """Judge every offer for *ref* and return the decision."""
        swapped, configured = self._rules.choices(ref)
        rows = self._requirements.judged(ref, self._judge(ref, needs))
        found = Judgement(rows, swapped or configured, self._rules)
        winner, unmet = found.winner, found.unmet
        return Decision(
            ref=ref,
            standings=tuple(found.standings()),
            winner=winner.candidate if winner else None,
            needs=needs,
            selection=swapped or configured,
            overridden=configured if swapped else None,
            problem=None if winner else unmet if found.is_barred else self._nobody(ref, rows),
            warning=unmet.message if unmet and not found.is_barred else "",
            generation=self.generation,
        )

    def _entries(self, place: str) -> Iterable[Entry]:
        return self.places.get(place, {}).values()

    def _judge(self, ref: ComponentRef[Any], needs: frozenset[str] = frozenset()) -> list[Row]:
        """Return every offer for *ref*'s place, best first, requirements aside."""
        chosen = _provider(self._rules.chosen(ref))
        stacks, asked = self._rules.stacks, ref.provider
        rows = [
            Row(rank(entry, chosen, stacks), entry[0], self._rejection(entry[0], asked, needs))
            for entry in self._entries(ref.place)
        ]
        rows.sort(key=attrgetter("rank"), reverse=True)
        return rows

    def _rejection(
        self, candidate: Candidate, asked: str, needs: frozenset[str]
    ) -> Rejection | None:
        if asked and candidate.provider != asked:
            return _ELSEWHERE
        is_bound = candidate.unavailable or candidate.os_platform or candidate.python_version
        if is_bound and (unfit := _unfit(candidate)):
            return unfit
        if needs and not needs <= candidate.capabilities:
            missing = ", ".join(sorted(needs - candidate.capabilities))
            return Rejection(Reason.CAPABILITY, f"lacks {missing}")
        if candidate.conflicts_with and (conflict := self._conflict(candidate)):
            return conflict
        if self._rules.excluded and (excluded := self._rules.excluded.get(candidate.offer)):
            return next(iter(excluded.values()))
        return None

    def _conflict(self, candidate: Candidate) -> Rejection | None:
        for other in candidate.conflicts_with:
            for entry in self._entries(other.place):
                rival = entry.candidate
                meant = other.provider in ("", rival.provider) and rival.offer != candidate.offer
                if meant and not _unfit(rival):
                    return Rejection(Reason.CONFLICT, f"conflicts with {rival.offer}")
        return None

    def _serving(self, ref: ComponentRef[Any], rows: list[Row]) -> Row | None:
        """Return the one of *rows* that serves *ref*."""
        return Judgement(rows, self._rules.chosen(ref), self._rules).winner

    def _nobody(self, ref: ComponentRef[Any], rows: list[Row]) -> NoCandidateError:
        rejected = [(r.candidate.provider, r.rejection.detail) for r in rows if r.rejection]
        known: Iterable[str] = self.places
        if rows:
            offers = [str(row.candidate.offer) for row in rows]
            known = () if not ref.provider or ref in offers else offers
        return NoCandidateError(ref, rejected, known=known)


class Judgement:
    """All offers for one place, under one choice: who competes, who wins, where each stands.

    `field` are the contenders, best first; without failover these include who is out for a
    while. `kin` are the best of each manifest, by source, which shadow their manifest's
    others. `unmet` says why nobody meets the choice; `is_barred` that this keeps all from
    serving.
    """

    def __init__(self, rows: list[Row], chosen: Selection | None, rules: Rules) -> None:
        self.rows = rows
        self.rules = rules
        self.origin = chosen.origin if chosen else ""
        self.unmet = self._unmet(chosen) if chosen else None
        self.is_barred = self.unmet is not None and rules.strict
        waits = not rules.failover
        self.field, self.kin = _champions(
            [r for r in rows if r.rejection is None or (waits and r.rejection.reason.passing)]
        )
        best = self.field[0] if self.field and not self.is_barred else None
        self.winner = best if best and best.rejection is None else None

    def _unmet(self, chosen: Selection) -> UnknownSelectionError | None:
        """Return why no offer of the provider that *chosen* names may serve, if none may."""
        named = [row for row in self.rows if row.candidate.provider == chosen.provider]
        rejections = [row.rejection for row in named if row.rejection]
        if len(rejections) < len(named):
            return None
        if self.rules.failover and any(r.reason.passing for r in rejections):
            return None
        why = f"it may not serve: {rejections[0].detail}" if rejections else ""
        return chosen.unknown({row.candidate.provider for row in self.rows}, why)

    def standings(self) -> Iterator[Standing]:
        """Yield a standing for every row, the winner's first."""
        winner, stacks = self.winner, self.rules.stacks
        if winner is not None:
            case = self._case_for(winner)
            yield Standing(winner.candidate, Place.SELECTED, winner.sequence, stacks, None, *case)
        for row in self.rows:
            rank, candidate, rejection = row
            if rejection is not None:
                yield Standing(candidate, _REJECTED, rank[-1], stacks, rejection)
            elif row is not winner:
                case = self._case_against(row)
                yield Standing(candidate, _SHADOWED, rank[-1], stacks, None, *case)

    def _case_for(self, winner: Row) -> Case:
        """Return what put *winner* above the next contender, or else above its manifest's next."""
        if winner.rank[0]:
            return _SELECTION, 1, 0, self.origin
        rest = [row for row in self.rows if row.rejection is None and row is not winner]
        second = self.field[1] if len(self.field) > 1 else next(iter(_champions(rest)[0]), None)
        if second is None:
            return None, 0, len(self.rows) - 1, ""
        rule, value, against, inside = _compare(winner, second)
        return rule, value, against, str(winner.candidate.source) if inside else ""

    def _case_against(self, row: Row) -> Case:
        """Return what put *row* below the best of its manifest, or else of all."""
        if self.is_barred:
            return _SELECTION, 0, 1, self.origin
        best = self.kin.get(row.candidate.source.id, row) if self.kin else row
        rival = self.field[0] if best is row else best
        rule, against, value, inside = _compare(rival, row)
        if rule is _SELECTION:
            return rule, value, against, self.origin
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
    if candidate.os_platform and (wrong := wrong_system(candidate.os_platform)):
        return Rejection(Reason.PLATFORM, wrong)
    if candidate.python_version and (wrong := wrong_python(candidate.python_version)):
        return Rejection(Reason.PYTHON, wrong)
    return None


def _provider(selection: Selection | None) -> str:
    return selection.provider if selection else ""
