"""Whether components take work, kept across processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from sqlite3 import Row

from oneiric.clock import rfc3339
from oneiric.core.activity import ACTIVE, Activity, ActivityState
from oneiric.core.ref import ComponentRef
from oneiric.stores.database import reading, writing
from oneiric.stores.migrations import ACTIVITY


@dataclass(frozen=True, slots=True)
class DrainAnswer:
    """What one process says of a drain: how many calls it still has in flight."""

    ref: str
    pid: int
    in_flight: int
    at: str


class DomainActivityStore:
    """Keep the activity of components in SQLite; what is active and without a note is not kept.

    Calls are short and block; on an event loop call them in a thread. Each write is one
    transaction about one component, so writers at the same time lose nothing of each other.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """The database."""
        return self._path

    def get(self, ref: str) -> Activity:
        """Return the activity of the component or offer that *ref* names.

        Raises:
            StoreError: the database cannot be read.
        """
        return self.snapshot().get(ComponentRef[object](ref), ACTIVE)

    def all_for_domain(self, domain: str) -> Mapping[str, Activity]:
        """Return what is not active in *domain*, by key.

        Raises:
            StoreError: the database cannot be read.
        """
        kept = {ComponentRef[object](ref): activity for ref, activity in self.snapshot().items()}
        return {
            ref.partition(":")[2]: activity
            for ref, activity in kept.items()
            if ref.domain == domain
        }

    def snapshot(self) -> Mapping[str, Activity]:
        """Return what is not active, by reference.

        Raises:
            StoreError: the database cannot be read.
        """
        query = "SELECT ref, state, note, actor, since FROM activity ORDER BY ref"
        with reading(self._path, ACTIVITY) as connection:
            if connection is None:
                return {}
            rows: list[Row] = connection.execute(query).fetchall()
        return {row[0]: _activity(row) for row in rows}

    def set(self, ref: str, activity: Activity) -> None:
        """Keep *activity* for what *ref* names; an active one ends it, note included.

        Raises:
            StoreError: it was not stored.
        """
        named: ComponentRef[object] = ComponentRef(ref)
        since = rfc3339(activity.since) if activity.since else ""
        values = (str(named), str(activity.state), activity.note, activity.actor, since)
        with writing(self._path, ACTIVITY) as connection:
            connection.execute("DELETE FROM drains WHERE ref = ?", values[:1])
            if activity.state is ActivityState.ACTIVE:
                connection.execute("DELETE FROM activity WHERE ref = ?", values[:1])
            else:
                connection.execute("INSERT OR REPLACE INTO activity VALUES (?, ?, ?, ?, ?)", values)

    def answer(self, answer: DrainAnswer) -> None:
        """Keep what a process says of a drain, in place of what it said before.

        Raises:
            StoreError: it was not stored.
        """
        values = (answer.ref, answer.pid, answer.in_flight, answer.at)
        with writing(self._path, ACTIVITY) as connection:
            connection.execute("INSERT OR REPLACE INTO drains VALUES (?, ?, ?, ?)", values)

    def answers(self, ref: str) -> list[DrainAnswer]:
        """Return what each process said last of the drain of *ref*.

        Raises:
            StoreError: the database cannot be read.
        """
        query = "SELECT ref, pid, in_flight, at FROM drains WHERE ref = ? ORDER BY pid"
        with reading(self._path, ACTIVITY) as connection:
            rows = [] if connection is None else connection.execute(query, (ref,)).fetchall()
        return [DrainAnswer(*row) for row in rows]


def _activity(row: Row) -> Activity:
    since = datetime.fromisoformat(row[4]) if row[4] else None
    return Activity(ActivityState(row[1]), row[2], row[3], since)
