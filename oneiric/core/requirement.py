"""Whether what an offer requires is served, and does not lead back to the offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from oneiric.chains import closed_ways
from oneiric.core.candidate import Candidate
from oneiric.core.decision import Reason, Rejection
from oneiric.core.precedence import Rank
from oneiric.core.ref import ComponentRef


class Row(NamedTuple):
    """An offer under judgement: what the rules see of it, and why it may not serve."""

    rank: Rank
    candidate: Candidate
    rejection: Rejection | None

    @property
    def sequence(self) -> int:
        """Its place in the order of registration, the last of what the rules see."""
        return self.rank[-1]


@dataclass(slots=True, eq=False)
class Requirements:
    """Reject every offer whose requirements nobody serves, or that would wait for itself.

    What serves a requirement is what `resolve` would return for it, so the two have to be
    settled together: offers are rejected until every winner's requirements have a winner and
    no chain of winners closes. All winners on such a chain are rejected alike; chains that
    others lead to come first. So the outcome depends neither on the order of registration
    nor on where one starts to ask, and it is kept for further questions to the same view.

    Args:
        judge: gives the rows of a reference, requirements aside.
        choose: gives the one of these rows that serves, or None.
    """

    judge: Callable[[ComponentRef[Any]], list[Row]]
    choose: Callable[[ComponentRef[Any], list[Row]], Row | None]
    _rows: dict[str, list[Row]] = field(default_factory=dict)
    _rejected: dict[int, Rejection] = field(default_factory=dict)
    _serving: dict[str, Row | None] = field(default_factory=dict)

    def judged(self, ref: ComponentRef[Any], rows: list[Row]) -> list[Row]:
        """Return *rows* of *ref*, with those rejected whose requirements are not met."""
        for row in rows:
            if row.rejection is None and row.candidate.requires:
                self._settle(ref.place)
                return self._marked(rows)
        return rows

    def _settle(self, ref: ComponentRef[Any]) -> None:
        reached = self._reach(ref)
        self._reject_unserved(reached)
        while closed := self._closed_chains(reached):
            for row in self._rows_of(reached):
                if row.sequence in closed:
                    self._reject(row, closed[row.sequence])
            self._reject_unserved(reached)

    def _reach(self, start: ComponentRef[Any]) -> list[ComponentRef[Any]]:
        """Collect the rows of all that *start* leads to; return what is new, nearest first."""
        reached, pending = [], [start]
        while pending:
            ref = pending.pop()
            if ref in self._rows:
                continue
            self._rows[ref] = rows = self.judge(ref)
            reached.append(ref)
            for row in rows:
                if row.rejection is None:
                    pending += row.candidate.requires.values()
        return reached

    def _rows_of(self, refs: list[ComponentRef[Any]]) -> list[Row]:
        return [row for ref in reversed(refs) for row in self._rows[ref]]

    def _reject_unserved(self, reached: list[ComponentRef[Any]]) -> None:
        rows = [r for r in self._rows_of(reached) if r.candidate.requires]
        found = True
        while found:
            found = False
            for row in rows:
                if row.rejection is None and row.sequence not in self._rejected:
                    required = row.candidate.requires.values()
                    missing = next((r for r in required if self._winner(r) is None), None)
                    if missing is not None:
                        detail = f"requires {missing}, which nobody serves"
                        self._reject(row, Rejection(Reason.REQUIREMENT, detail))
                        found = True

    def _reject(self, row: Row, rejection: Rejection) -> None:
        candidate = row.candidate
        self._rejected[row.sequence] = rejection
        self._serving.pop(candidate.ref, None)
        self._serving.pop(candidate.offer, None)

    def _winner(self, ref: ComponentRef[Any]) -> Row | None:
        if ref not in self._serving:
            self._serving[ref] = self.choose(ref, self._marked(self._rows[ref]))
        return self._serving[ref]

    def _marked(self, rows: list[Row]) -> list[Row]:
        rejected = self._rejected
        return [
            row._replace(rejection=rejected[row.sequence])
            if row.rejection is None and row.sequence in rejected
            else row
            for row in rows
        ]

    def _closed_chains(self, reached: list[ComponentRef[Any]]) -> dict[int, Rejection]:
        """Return whom chains of winners lead back to, by sequence."""
        winners = [row for ref in reached if (row := self._winner(ref)) is not None]
        names: dict[int, str] = {}
        edges: dict[int, tuple[int, ...]] = {}
        for row in winners:
            required = [self._winner(ref) for ref in row.candidate.requires.values()]
            names[row.sequence] = str(row.candidate.offer)
            edges[row.sequence] = tuple(r.sequence for r in required if r is not None)
        return {
            number: Rejection(
                Reason.REQUIREMENT, f"requires itself: {' -> '.join(names[n] for n in way)}"
            )
            for number, way in closed_ways(edges).items()
        }
