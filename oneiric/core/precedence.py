"""The four ordered rules of precedence, and where each number they compare came from.

    1. explicit selection    a selection from `swap` or configuration names the provider
    2. stack level           higher wins; the stack order outranks an offer's own level
    3. priority              higher wins
    4. latest registration   the newest wins

Nothing else decides. Capabilities, platforms and the like only reject.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from oneiric.core.candidate import Candidate, SourceKind
from oneiric.core.ref import ComponentRef
from oneiric.core.registry import Entry
from oneiric.documents.tables import json_table
from oneiric.errors import JSONValue, UnknownSelectionError
from oneiric.text.stacks import read_stacks

UNNAMED_MANIFEST = -1


class Rule(StrEnum):
    """One of the four rules, in their order."""

    SELECTION = "selection"
    STACK = "stack level"
    PRIORITY = "priority"
    LATEST = "latest registration"


RULES = tuple(Rule)
_LAST = len(RULES) - 1
_MANIFEST = SourceKind.MANIFEST  # looking up a member of an enum costs three of a global


class Number(NamedTuple):
    """A number that a rule compared, and where it was set."""

    value: int
    origin: str


Rank: TypeAlias = tuple[int, int, int, int]
"""What the four rules see of an offer: 1 if selected or 0, level, priority, sequence."""


@dataclass(frozen=True, slots=True)
class Selection:
    """An explicit choice: this place is to be filled by that provider.

    `origin` says where it was made, such as `oneiric.toml:12` or `swap`; `undo` what to do
    to end it, where that is a command.
    """

    ref: ComponentRef[Any]
    provider: str
    origin: str = "configuration"
    undo: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        named = ComponentRef[Any](self.ref).offer(self.provider)
        object.__setattr__(self, "ref", named.place)

    @classmethod
    def of(
        cls, ref: str, provider: str, *, origin: str = "configuration", undo: str = ""
    ) -> Selection:
        """Make a selection from text.

        Raises:
            InvalidRefError: *ref* is not `domain:key`, or *provider* is no name.
        """
        return cls(ComponentRef(ref), provider, origin, undo)

    def unknown(self, known: Iterable[str], why: str) -> UnknownSelectionError:
        """Return the error that says that nobody whom it names may serve; *known* are on offer."""
        choice = (self.ref, self.provider, self.origin)
        return UnknownSelectionError(*choice, known=sorted(known), why=why, hint=self.undo)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"provider", "origin"}`."""
        return json_table(self, "provider origin")


@dataclass(frozen=True, slots=True)
class StackOrder:
    """Levels of named stacks, from bottom to top.

    >>> order = StackOrder.parse("base,team,site:50", origin="ONEIRIC_STACK_ORDER")
    >>> dict(order.levels)
    {'base': 0, 'team': 10, 'site': 50}
    """

    levels: Mapping[str, int] = field(default_factory=dict)
    origin: str = "default"

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", MappingProxyType(dict(self.levels)))

    @classmethod
    def parse(cls, text: str, *, origin: str) -> StackOrder:
        """Read `name` and `name:level` tokens, separated by commas.

        The first bare name has level 0, each further one stands 10 above what precedes it.

        Raises:
            ConfigError: a token is no name, repeats one, or does not rise; it shows the token.
        """
        return cls(read_stacks(text, origin=origin), origin)

    def level_of(self, candidate: Candidate) -> int:
        """Return the level at which *candidate* competes."""
        is_remote = candidate.source.kind is _MANIFEST
        own = UNNAMED_MANIFEST if is_remote else candidate.stack_level
        return self.levels.get(candidate.stack, own) if self.levels else own

    def explain_level(self, candidate: Candidate) -> Number:
        """Return that level with where it was set."""
        if candidate.stack in self.levels:
            return Number(self.levels[candidate.stack], self.origin)
        if candidate.source.kind is _MANIFEST:
            return Number(UNNAMED_MANIFEST, "no stack order names the manifest's stack")
        origin = str(candidate.source) if candidate.stack_level else "default"
        return Number(candidate.stack_level, origin)


def explain_priority(candidate: Candidate) -> Number:
    """Return *candidate*'s priority with where it was set."""
    return Number(candidate.priority, str(candidate.source) if candidate.priority else "default")


def rank(entry: Entry, chosen: str, stacks: StackOrder) -> Rank:
    """Return what the rules see of *entry* when the selection names *chosen*."""
    candidate = entry.candidate
    is_chosen = 1 if candidate.provider == chosen else 0
    return is_chosen, stacks.level_of(candidate), candidate.priority, entry.sequence


def inner_rank(rank: Rank, candidate: Candidate) -> tuple[int, ...]:
    """Return the order among one manifest's offers: its own levels rank below the stack order."""
    return (*rank[:2], candidate.stack_level, *rank[2:])


def deciding_rule(winner: Rank, loser: Rank) -> tuple[Rule, int, int]:
    """Return the first rule by which *winner* stands above *loser*, and the two values."""
    place = 0
    while place < _LAST and winner[place] == loser[place]:
        place += 1
    return RULES[place], winner[place], loser[place]
