"""Selections made with `swap`, kept across processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oneiric.stores.database import has_table, reading, writing
from oneiric.stores.migrations import STATE


@dataclass(frozen=True, slots=True)
class StoredSelection:
    """A choice made with `swap`: for which place, whom, over what, by whom and when.

    `configured` is what configuration said then; when it says something else, the choice
    has ended.
    """

    ref: str
    provider: str
    configured: str
    actor: str
    at: str


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
        query = "SELECT ref, provider, configured, actor, at FROM selections"
        with reading(self._path, STATE) as connection:
            if connection is None or not has_table(connection, "selections"):
                return {}
            rows = connection.execute(query).fetchall()
        return {row[0]: StoredSelection(*row) for row in rows}

    def save(self, selection: StoredSelection) -> None:
        """Store *selection*, in place of an earlier one for the same place.

        Raises:
            StoreError: it was not stored.
        """
        values = (
            selection.ref,
            selection.provider,
            selection.configured,
            selection.actor,
            selection.at,
        )
        with writing(self._path, STATE) as connection:
            connection.execute("INSERT OR REPLACE INTO selections VALUES (?, ?, ?, ?, ?)", values)

    def clear(self, ref: str) -> bool:
        """Forget the selection for a place, and tell whether there was one.

        Raises:
            StoreError: the change was not stored.
        """
        with writing(self._path, STATE) as connection:
            done = connection.execute("DELETE FROM selections WHERE ref = ?", (ref,))
            return done.rowcount > 0
