"""What commands about activity answer, as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.core.activity import ActivityState
from oneiric.core.ref import DOMAINS, ComponentRef
from oneiric.runtime.answer import page, table

if TYPE_CHECKING:
    from oneiric.core.activity import Activity
    from oneiric.errors import JSONValue
    from oneiric.runtime.drain import Share


@dataclass(frozen=True, slots=True)
class ActivityChange:
    """What a pause, a resume or a drain did.

    `shares` are what the processes answered that were waited for, or None if none was;
    `place` is the activity of the place, which an offer cannot be without.
    """

    ref: str
    before: Activity
    activity: Activity
    place: Activity
    poll_interval: float
    shares: tuple[Share, ...] | None = None
    applied: str = "stored"

    @property
    def takes_work(self) -> bool:
        """Whether it takes new work from now on."""
        return {self.activity.state, self.place.state} == {ActivityState.ACTIVE}

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.activity-change/1`."""
        waited = None if self.shares is None else [share.as_json() for share in self.shares]
        return {
            "schema": "oneiric.activity-change/1",
            "ref": self.ref,
            "applied": self.applied,
            "activity": self.activity.as_json(),
            "before": self.before.as_json(),
            "takes_work": self.takes_work,
            "processes": waited,
        }

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def render(self, *, columns: int, colour: bool) -> str:
        """Return what it does from now on, and from when on elsewhere."""
        ref, head = self.ref, f"{self.applied}: {self.ref}"
        if self.activity == self.before:
            return page(f"{ref} was active already{self._but()}")
        if self.shares is None:
            who = "other" if self.applied == "live" else "running"
            within = f"{who} processes follow within {self.poll_interval:g} s"
            return page(f"{head} is {self.activity.state}; {within}{self._but()}")
        if self.shares:
            count = len(self.shares)
            who = "the running process has" if count == 1 else f"{count} running processes have"
            return page(f"{head} is drained; {who} none in flight")
        return page(f"{head} is {self.activity.state}; no running process answered")

    def _but(self) -> str:
        """Say what keeps an offer from work although it is active itself."""
        if self.activity.state != "active" or self.takes_work:
            return ""
        return f"; but {self.ref.partition('@')[0]} is {self.place}"


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """One component or offer that takes no new work; for a drain with what is in flight."""

    ref: ComponentRef[object]
    activity: Activity
    is_offered: bool
    shares: tuple[Share, ...] = ()

    @property
    def in_flight(self) -> int:
        """How many calls the processes that answered have in flight, together."""
        return sum(share.in_flight or 0 for share in self.shares)

    def as_json(self) -> dict[str, JSONValue]:
        """Return the entry as documented in `docs/reference/json.md`."""
        state = self.activity.state
        return {
            "ref": str(self.ref),
            "key": self.ref.key,
            "provider": self.ref.provider or None,
            "paused": state is ActivityState.PAUSED,
            "draining": state is ActivityState.DRAINING,
            **self.activity.as_json(),
            "offered": self.is_offered,
            "processes": [share.as_json() for share in self.shares],
        }


@dataclass(frozen=True, slots=True)
class ActivityListing:
    """Everything that takes no new work, by reference; of one domain, or of all."""

    entries: tuple[ActivityEntry, ...]
    domain: str = ""
    applied: str = "stored"

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.activity/1`: the entries and their counts by domain, and the totals."""
        domains = [self.domain] if self.domain else list(DOMAINS)
        found = {
            name: [each for each in self.entries if each.ref.domain == name] for name in domains
        }
        return {
            "schema": "oneiric.activity/1",
            "applied": self.applied,
            "domains": {
                name: {
                    "counts": _counts(entries),
                    "entries": [each.as_json() for each in entries],
                }
                for name, entries in found.items()
            },
            "totals": _counts(self.entries),
        }

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a row for each entry."""
        rows = [
            (
                each.ref if each.is_offered else f"{each.ref} (offered by nobody)",
                each.activity.state,
                each.in_flight if each.shares else "-",
                each.as_json()["since"] or "-",
                each.activity.actor or "-",
                each.activity.note or "-",
            )
            for each in self.entries
        ]
        headers = ("component", "activity", "in flight", "since", "by", "note")
        return page(table(headers, rows, columns=columns, empty="everything takes work"))


def _counts(entries: Iterable[ActivityEntry]) -> Mapping[str, JSONValue]:
    """Count entries by state; what is active keeps no note, so that none has only a note."""
    states = Counter(each.activity.state for each in entries)
    return {
        "paused": states[ActivityState.PAUSED],
        "draining": states[ActivityState.DRAINING],
        "note_only": 0,
    }
