"""Wait until no process has anything of a component in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.core.activity import ACTIVE, Activity, ActivityState
from oneiric.errors import JSONValue, UnavailableError
from oneiric.runtime.process import is_alive

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.stores.activity import DomainActivityStore

PACE_SECONDS = 0.05
POLLS = 2
"""Within so many polls everybody who follows has answered, unless it is held up."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one living process has in flight, and who holds it; None before it has answered."""

    pid: int
    in_flight: int | None
    holders: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.in_flight is None:
            return f"process {self.pid}  has not answered"
        held = f": {', '.join(self.holders)}" if self.holders else ""
        return f"process {self.pid}  {self.in_flight} in flight{held}"

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"pid", "in_flight", "holders"}`."""
        return {"pid": self.pid, "in_flight": self.in_flight, "holders": list(self.holders)}


class NotDrainedError(UnavailableError):
    """A drain that was not over when its waiting was; who still holds the component."""

    code = "not-drained"

    def __init__(self, ref: str, reason: str, shares: Sequence[Share]) -> None:
        hint = f"it takes no new work meanwhile; oneiric resume {ref} ends that"
        super().__init__(f"{ref} {reason}", hint=hint)
        self.ref = ref
        self.shares = tuple(shares)

    def details(self) -> Mapping[str, JSONValue]:
        return {"ref": self.ref, "processes": [share.as_json() for share in self.shares]}

    def lines(self) -> Sequence[str]:
        return [str(share) for share in self.shares]


def shares_of(store: DomainActivityStore) -> Mapping[str, tuple[Share, ...]]:
    """Return, for each component that is draining, what every living process has in flight.

    Processes that have ended have nothing in flight any more and are left out.

    Raises:
        StoreError: the database cannot be read.
    """
    draining = [
        ref
        for ref, activity in store.snapshot().items()
        if activity.state is ActivityState.DRAINING
    ]
    living = [each for each in store.followers() if is_alive(each.pid, since=each.born)]
    said = {(answer.ref, answer.follower): answer for answer in store.answers()}
    found: dict[str, tuple[Share, ...]] = {}
    for ref in draining:
        answers = [(each.pid, said.get((ref, each.id))) for each in living]
        found[ref] = tuple(
            Share(pid, answer.in_flight, answer.holders) if answer else Share(pid, None)
            for pid, answer in answers
        )
    return found


async def drained(
    store: DomainActivityStore,
    ref: str,
    *,
    clock: Clock,
    interval: float,
    limit: float,
    told: Callable[[Sequence[Share]], None],
) -> tuple[Share, ...]:
    """Wait until every living process that follows *store* has answered that nothing is in flight.

    It waits for two polls at least, within which everybody answers who can, and at most
    *limit* seconds more. An empty result says that no running process follows. *told* is
    called with each look at the answers.

    Raises:
        NotDrainedError: the limit passed, or somebody ended the drain.
        StoreError: the database cannot be read.
    """
    begun, least = clock.monotonic(), POLLS * interval
    while True:
        await clock.sleep(PACE_SECONDS)
        found = await asyncio.to_thread(shares_of, store)
        if ref not in found:
            now: Activity = (await asyncio.to_thread(store.snapshot)).get(ref, ACTIVE)
            by = f" by {now.actor}" if now.actor else ""
            raise NotDrainedError(ref, f"is {now.state}{by}, and drains no more", ())
        told(found[ref])
        spent = clock.monotonic() - begun
        busy = [share for share in found[ref] if share.in_flight != 0]
        if not busy and spent >= least:
            return found[ref]
        if spent >= least + limit:
            raise NotDrainedError(ref, f"is not drained after {spent:.1f} s", busy)
