"""How large the plan of a recipe is, and which of its steps make it so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oneiric.documents import canonical
from oneiric.recipes.arranging import Misplaced, Placed
from oneiric.runs.plan import Limits, Plan, Step

_MOST_TOLD = 3
_LONGEST = 6
"""Bytes of canonical JSON that one character of a value's `repr` may take."""


def too_large(plan: Plan, placed: Mapping[str, Placed]) -> Iterator[Misplaced]:
    """Yield the largest steps of a plan that has more bytes than an engine takes.

    A recipe of few lines may make such a one by a matrix. What is clearly small is not measured.
    """
    most = Limits().max_plan_bytes
    if sum(map(_about, plan.steps)) * _LONGEST < most:
        return
    size = len(plan.canonical)
    if size <= most:
        return
    shares: dict[str, int] = {}
    for step in plan.steps:
        at = placed[step.id].at
        shares[at] = shares.get(at, 0) + _bytes(step)
    for at in sorted(shares, key=lambda each: -shares[each])[:_MOST_TOLD]:
        if shares[at] < max(shares.values()) / 2:
            return
        what = (
            f"the plan takes {size} bytes, more than {most}: {shares[at]} of them are this step's"
        )
        yield Misplaced(at, what)


def _about(step: Step) -> int:
    return 100 + len(repr(step.input)) + sum(len(each) + 3 for each in step.depends_on)


def _bytes(step: Step) -> int:
    return len(canonical([step.input, list(step.depends_on)]))
