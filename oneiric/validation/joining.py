"""Checks of which one hands something on to another are done as one, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneiric.validation.proving import captured_in


@dataclass(frozen=True, slots=True)
class Joined:
    """A check, the step that it would be alone, and where in the task it stands."""

    step: str
    field: str
    number: int
    check: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Where in the task it stands."""
        return f"criteria.{self.field}.{self.number}"


def joined(checks: Sequence[Joined]) -> tuple[list[list[Joined]], list[tuple[Joined, str]]]:
    """Return the groups, and each check with a name that nobody before it captures.

    Whoever refers to a name is of the group of all that capture it before.
    """
    group = list(range(len(checks)))
    lost: list[tuple[Joined, str]] = []
    makers: dict[str, list[int]] = {}
    for number, each in enumerate(checks):
        for name in sorted(captured_in(each.check)):
            if name not in makers:
                lost.append((each, name))
            for other in makers.get(name, ()):
                old, new = group[number], group[other]
                group = [min(old, new) if of in (old, new) else of for of in group]
        for name in each.check.get("capture") or ():
            makers.setdefault(name, []).append(number)
    members: dict[int, list[Joined]] = {}
    for number, each in enumerate(checks):
        members.setdefault(group[number], []).append(each)
    return list(members.values()), lost
