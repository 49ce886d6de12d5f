"""Selections made with `swap`, kept across processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from sqlite3 import Connection

from oneiric.stores.database import has_table, reading, writing
from oneiric.stores.migrations import STATE


@dataclass(frozen=True, slots=True)
class StoredSelection:
    """A choice made with `swap`: for which place, whom, over what, by whom and when.

    `configured` is what the file and its `profile` selected then, or empty; when they select
    another, the choice has ended. An empty `profile` stands for any.
    """

    ref: str
    provider: str
    configured: str
    actor: str
    at: str
    profile: str = ""


class SelectionStore:
    """Keep selections in the state database.

    Calls are short and block; on an event loop call them in a thread.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Mapping[str, StoredSelection]:
        """Return the stored selections by place, without writing anything.

        Raises:
            StoreError: the database cannot be read.
        """
        query = "SELECT ref, provider, configured, actor, at, profile FROM selections"
        with reading(self._path, STATE) as connection:
            if connection is None or not has_table(connection, "selections"):
                return {}
            rows = connection.execute(query).fetchall()
        return {row[0]: StoredSelection(*row) for row in rows}

    def save(self, selection: StoredSelection, *, ended: Iterable[StoredSelection] = ()) -> None:
        """Store *selection*, in place of an earlier one for the same place; forget the *ended*.

        Raises:
            StoreError: nothing was stored or forgotten.
        """
        with writing(self._path, STATE) as connection:
            _forget(connection, ended)
            connection.execute(
                "INSERT OR REPLACE INTO selections"
                " (ref, provider, configured, actor, at, profile) VALUES (?, ?, ?, ?, ?, ?)",
                astuple(selection),
            )

    def clear(self, ref: str, *, ended: Iterable[StoredSelection] = ()) -> bool:
        """Forget the selection for a place, and the *ended*; tell whether there was one for it.

        Raises:
            StoreError: the change was not stored.
        """
        with writing(self._path, STATE) as connection:
            done = connection.execute("DELETE FROM selections WHERE ref = ?", (ref,))
            _forget(connection, ended)
            return done.rowcount > 0

    def forget(self, ended: Iterable[StoredSelection]) -> None:
        """Forget the *ended*, but none that somebody has stored anew since.

        Raises:
            StoreError: the change was not stored.
        """
        with writing(self._path, STATE) as connection:
            _forget(connection, ended)


def _forget(connection: Connection, ended: Iterable[StoredSelection]) -> None:
    """Delete those that nobody has stored anew since."""
    keys = [(each.ref, each.at) for each in ended]
    connection.executemany("DELETE FROM selections WHERE ref = ? AND at = ?", keys)
