"""Whether a component takes new work: active, paused or draining; who said so, when and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from oneiric.clock import rfc3339
from oneiric.core.ref import ComponentRef
from oneiric.errors import JSONValue, PausedError


class ActivityState(StrEnum):
    """Whether work is accepted. Draining tells that a pause waits for what is in flight."""

    ACTIVE = "active"
    PAUSED = "paused"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Activity:
    """The activity of one component, with a note, who set it and when."""

    state: ActivityState = ActivityState.ACTIVE
    note: str = ""
    actor: str = ""
    since: datetime | None = None

    def __str__(self) -> str:
        """Return the state, who set it and why, as in `paused by ada: new certificate`."""
        by = f" by {self.actor}" if self.actor else ""
        return f"{self.state}{by}: {self.note}" if self.note else f"{self.state}{by}"

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"state", "note", "actor", "since"}`."""
        since = rfc3339(self.since) if self.since else None
        return {"state": str(self.state), "note": self.note, "actor": self.actor, "since": since}


ACTIVE = Activity()


class ActivityBoard:
    """Keep the activity of every component of this process, in memory.

    Whatever is not on the board is active; becoming active takes it off, note included.
    """

    def __init__(self) -> None:
        self._activities: dict[str, Activity] = {}

    def set(self, ref: str, activity: Activity) -> None:
        """Set the activity of the component or offer that *ref* names."""
        named = ComponentRef[object](ref)
        if activity.state is ActivityState.ACTIVE:
            self._activities.pop(named, None)
        else:
            self._activities[named] = activity

    def __contains__(self, ref: str) -> bool:
        return ref in self._activities

    def get(self, ref: str) -> Activity:
        """Return the activity of what *ref* names; an offer is inactive with its place."""
        own = self._activities.get(ref)
        return own or self._activities.get(ref.partition("@")[0], ACTIVE)

    def check(self, ref: str) -> None:
        """Pass if *ref* takes work.

        Raises:
            PausedError: it is paused or draining; carries the note and who set it.
        """
        activity = self.get(ref)
        if activity.state is not ActivityState.ACTIVE:
            raise PausedError(ref, str(activity.state), note=activity.note, actor=activity.actor)

    def snapshot(self) -> Mapping[str, Activity]:
        """Return what is not active, by reference."""
        return dict(sorted(self._activities.items()))
