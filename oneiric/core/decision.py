"""The outcome of a resolution: who serves, where everybody else stands, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from oneiric.core.candidate import Candidate
from oneiric.core.precedence import Number, Rule, Selection, StackOrder, explain_priority
from oneiric.core.ref import ComponentRef
from oneiric.documents.tables import json_table
from oneiric.errors import JSONValue, NoCandidateError, UnknownSelectionError
from oneiric.text.layout import outline

SCHEMA = "oneiric.decision/1"
DIFF_SCHEMA = "oneiric.decision-diff/1"


class Place(StrEnum):
    """Where a candidate ends up in a decision."""

    SELECTED = "selected"
    SHADOWED = "shadowed"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why a candidate may not serve; a closed list."""

    PROVIDER = "other-provider-asked"
    UNAVAILABLE = "unavailable"
    PLATFORM = "platform"
    PYTHON = "python-version"
    QUARANTINE = "quarantine"
    PAUSED = "paused"
    CAPABILITY = "capability"
    CONFLICT = "conflict"
    REQUIREMENT = "requirement"

    @property
    def passing(self) -> bool:
        """Whether the reason goes away by itself or by `resume`."""
        return self in {Reason.QUARANTINE, Reason.PAUSED}


class Rejection(NamedTuple):
    """Why one candidate may not serve: a code, and the facts in words."""

    reason: Reason
    detail: str


class Standing(NamedTuple):
    """One candidate's place in a decision.

    A shadowed one names the `rule` that put it below the winner, its own `value` and the
    value it stood `against`; the selected one names the rule that put it above the next, or
    without a rule stood `against` so many rejected ones.
    `tied` tells that only the order of registration decided. `within` names the selection,
    the rival or the manifest by which the rule decided, where there is one.
    """

    candidate: Candidate
    place: Place
    sequence: int
    stacks: StackOrder
    rejection: Rejection | None = None
    rule: Rule | None = None
    value: int = 0
    against: int = 0
    within: str = ""

    @property
    def provider(self) -> str:
        """The candidate's provider."""
        return self.candidate.provider

    @property
    def level(self) -> Number:
        """The stack level at which it competed, and where that was set."""
        return self.stacks.explain_level(self.candidate)

    @property
    def priority(self) -> Number:
        """Its priority, and where that was set."""
        return explain_priority(self.candidate)

    @property
    def tied(self) -> bool:
        """Whether it equals its rival in all but the order of registration."""
        return self.rule is Rule.LATEST

    @property
    def why(self) -> str:
        """The reason in a few words."""
        if self.rejection is not None:
            return self.rejection.detail
        serves = self.place is Place.SELECTED
        if self.rule is None:
            alone = "the only one that may serve" if self.against else "the only candidate"
            return alone if serves else "nobody is selected"
        if self.rule is Rule.SELECTION:
            return f"selected by {self.within}" if serves else f"{self.within} selects another"
        if self.rule is Rule.LATEST:
            return str(Rule.LATEST) if serves else f"registered before {self.within}"
        number = self.level if self.rule is Rule.STACK else self.priority
        plain = self.within or number.origin in ("default", "code")
        origin = "" if plain else f" ({number.origin})"
        below = "" if serves else f" is below {self.against}"
        inside = f" within {self.within}" if self.within else ""
        return f"{self.rule} {self.value}{origin}{below}{inside}"

    def as_json(self) -> dict[str, JSONValue]:
        """Return the standing as documented in `docs/reference/json.md`."""
        return {
            **json_table(self, "provider"),
            **_side(self),
            **json_table(self, "rule sequence tied"),
            "value": self.value if self.rule else None,
            "against": self.against if self.rule else None,
            "rejection": self.rejection and str(self.rejection.reason),
            "stack_level": self.level._asdict(),
            "priority": self.priority._asdict(),
            "source": str(self.candidate.source),
            **json_table(self.candidate, "stack version capabilities"),
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """Who serves *ref*, with a standing for every candidate registered at that moment.

    `winner` is what `Resolver.resolve` returns, or None; `problem` is then what it raises.
    `selection` is the explicit choice in force, `overridden` the configured one that a swap
    outranks, `warning` what is wrong but did not stop the decision.
    """

    ref: ComponentRef[Any]
    standings: tuple[Standing, ...]
    winner: Candidate | None = None
    needs: frozenset[str] = frozenset()
    selection: Selection | None = None
    overridden: Selection | None = None
    problem: NoCandidateError | UnknownSelectionError | None = field(default=None, compare=False)
    warning: str = ""
    generation: int = field(default=0, compare=False)

    @property
    def rule(self) -> Rule | None:
        """The rule that put the winner above the next, or None with a single candidate."""
        return next((s.rule for s in self.standings if s.place is Place.SELECTED), None)

    def chosen(self) -> Candidate:
        """Return the winner, or raise the problem."""
        if self.winner is None:
            assert self.problem is not None
            raise self.problem
        return self.winner

    def standing(self, provider: str) -> Standing:
        """Return the standing of *provider*.

        Raises:
            KeyError: nobody of that name was registered.
        """
        return {one.provider: one for one in reversed(self.standings)}[provider]

    def as_json(self) -> dict[str, JSONValue]:
        """Return the decision as documented in `docs/reference/json.md`."""
        return {
            "schema": SCHEMA,
            **json_table(self, "ref needs"),
            "winner": self.winner.provider if self.winner else None,
            **json_table(self, "rule selection overridden"),
            "problem": self.problem.as_json()["error"] if self.problem else None,
            **json_table(self, "warning generation standings"),
        }

    def render(self, *, width: int = 80, colour: bool = False) -> str:
        """Return the decision as lines of text, at most *width* columns wide.

        >>> print(resolver.explain("adapter:cache").render())
        adapter:cache
          selected  redis   stack level 1
          shadowed  memory  stack level 0 is below 1
        """
        entries = [
            (f"{standing.place:<8}  {name}", _COLOURS[standing.place], standing.why)
            for name, standing in zip(_names(self), self.standings, strict=True)
        ]
        return outline(str(self.ref), entries, _notes(self), width=max(width, 20), colour=colour)

    def diff(self, other: Decision) -> DecisionDiff:
        """Tell what changes from this decision to *other*."""
        before = {_key(standing): standing for standing in self.standings}
        after = {_key(standing): standing for standing in other.standings}
        keys = sorted({*before, *after})
        changes = (StandingChange(*key, before.get(key), after.get(key)) for key in keys)
        return DecisionDiff(self, other, tuple(change for change in changes if change.is_change))


class StandingChange(NamedTuple):
    """How one candidate stood before and stands after; None where it was not registered."""

    provider: str
    source: str
    before: Standing | None
    after: Standing | None

    @property
    def is_change(self) -> bool:
        """Whether a person would see a difference."""
        if self.before is None or self.after is None:
            return True
        return (self.before.place, self.before.why) != (self.after.place, self.after.why)

    def __str__(self) -> str:
        sides = (f"{s.place} ({s.why})" if s else "absent" for s in (self.before, self.after))
        return f"{self.provider}: {' -> '.join(sides)}"


@dataclass(frozen=True, slots=True)
class DecisionDiff:
    """What differs between two decisions about one reference."""

    before: Decision
    after: Decision
    changes: tuple[StandingChange, ...]

    @property
    def changes_winner(self) -> bool:
        """Whether another offer serves afterwards, or the same one changed."""
        return self.before.winner != self.after.winner

    def __bool__(self) -> bool:
        return self.changes_winner or bool(self.changes)

    def render(self, *, width: int = 80) -> str:
        """Return the difference as lines of text, its reasons wrapped at *width* columns."""
        sides = (self.before.winner, self.after.winner)
        winners = " -> ".join(winner.provider if winner else "nobody" for winner in sides)
        head, changes = f"{self.before.ref}  {winners}", map(str, self.changes)
        return outline(head, (), changes, width=max(width, 20), deeper=2)

    def as_json(self) -> dict[str, JSONValue]:
        """Return the difference as documented in `docs/reference/json.md`."""
        return {
            "schema": DIFF_SCHEMA,
            "ref": str(self.before.ref),
            "before": self.before.winner.provider if self.before.winner else None,
            "after": self.after.winner.provider if self.after.winner else None,
            "changes": [
                {
                    **json_table(change, "provider source"),
                    "before": change.before and _side(change.before),
                    "after": change.after and _side(change.after),
                }
                for change in self.changes
            ],
        }


def _key(standing: Standing) -> tuple[str, str]:
    return standing.provider, standing.candidate.source.id


def _side(standing: Standing) -> dict[str, JSONValue]:
    return {"standing": str(standing.place), "why": standing.why}


_COLOURS: Mapping[Place, str] = {Place.SELECTED: "32", Place.SHADOWED: "2", Place.REJECTED: "33"}


def _names(decision: Decision) -> list[str]:
    """Return what to call each candidate: its provider, and its source where that matters."""
    count = Counter(standing.provider for standing in decision.standings)
    return [
        f"{s.provider} from {s.candidate.source}"
        if count[s.provider] > 1 or not s.candidate.source.signed
        else s.provider
        for s in decision.standings
    ]


def _notes(decision: Decision) -> Iterator[str]:
    if not decision.standings:
        yield "no candidate is registered"
    if decision.problem:
        yield f"problem: {decision.problem.message}"
        if isinstance(decision.problem, UnknownSelectionError):
            yield from decision.problem.lines()
        if decision.problem.hint not in ("", f"oneiric explain {decision.ref.place}"):
            yield f"hint: {decision.problem.hint}"
    if decision.warning:
        yield f"warning: {decision.warning}"
    if decision.overridden:
        yield f"note: outranks {decision.overridden.provider} from {decision.overridden.origin}"
