"""Whether components take work, kept across processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection, Row

from oneiric.clock import rfc3339
from oneiric.core.activity import ACTIVE, Activity, ActivityState
from oneiric.core.ref import ComponentRef
from oneiric.errors import InvalidRefError, StoreError
from oneiric.stores.database import reading, writing
from oneiric.stores.migrations import ACTIVITY

_JOIN = "INSERT OR REPLACE INTO followers VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Follower:
    """Who carries out, in which process, what the store says.

    `born` tells the process from a later one with the same number.
    """

    id: str
    pid: int
    born: str = ""


@dataclass(frozen=True, slots=True)
class DrainAnswer:
    """What one follower says of a drain: how many calls it still has in flight, and whose."""

    ref: str
    follower: str
    in_flight: int
    holders: tuple[str, ...]
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
        return {row[0]: self._activity(row) for row in rows}

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

    def join(self, follower: Follower, *, gone: Iterable[str] = ()) -> None:
        """Keep that *follower* carries out what is stored; forget those that are *gone*.

        Raises:
            StoreError: it was not stored.
        """
        with writing(self._path, ACTIVITY) as connection:
            _forget(connection, gone)
            connection.execute(_JOIN, astuple(follower))

    def leave(self, follower_id: str) -> None:
        """Forget a follower, with all that it answered.

        Raises:
            StoreError: the change was not stored.
        """
        with writing(self._path, ACTIVITY) as connection:
            _forget(connection, (follower_id,))

    def followers(self) -> list[Follower]:
        """Return who said that it follows, whether or not its process still lives.

        Raises:
            StoreError: the database cannot be read.
        """
        with reading(self._path, ACTIVITY) as connection:
            query = "SELECT id, pid, born FROM followers ORDER BY pid, id"
            return (
                [] if connection is None else [Follower(*row) for row in connection.execute(query)]
            )

    def answer(self, follower: Follower, answer: DrainAnswer) -> None:
        """Keep what *follower* says of a drain, in place of what it said before.

        Raises:
            StoreError: it was not stored.
        """
        values = (answer.ref, follower.id, answer.in_flight, "\n".join(answer.holders), answer.at)
        with writing(self._path, ACTIVITY) as connection:
            connection.execute(_JOIN, astuple(follower))
            connection.execute("INSERT OR REPLACE INTO drains VALUES (?, ?, ?, ?, ?)", values)

    def answers(self) -> list[DrainAnswer]:
        """Return what each follower said last of each drain.

        Raises:
            StoreError: the database cannot be read.
        """
        query = "SELECT ref, follower, in_flight, holders, at FROM drains ORDER BY ref, follower"
        with reading(self._path, ACTIVITY) as connection:
            rows = [] if connection is None else connection.execute(query).fetchall()
        return [
            DrainAnswer(ref, follower, in_flight, tuple(holders.splitlines()), at)
            for ref, follower, in_flight, holders, at in rows
        ]

    def _activity(self, row: Row) -> Activity:
        ref, state, note, actor, since = row
        try:
            ComponentRef[object](ref)
            when = datetime.fromisoformat(since).astimezone(UTC) if since else None
            return Activity(ActivityState(state), note, actor, when)
        except (ValueError, TypeError, InvalidRefError) as error:
            raise StoreError(
                f"{self._path} holds a damaged row about {ref!r}: {error}",
                hint="move the file away, and what it kept is forgotten",
            ) from error


def _forget(connection: Connection, followers: Iterable[str]) -> None:
    for each in followers:
        connection.execute("DELETE FROM followers WHERE id = ?", (each,))
        connection.execute("DELETE FROM drains WHERE follower = ?", (each,))
