"""Results of earlier work by the digest of what they depend on, and where they came up last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Lock

from oneiric.documents import parse
from oneiric.ports.results import Results, StoredResult
from oneiric.stores.database import Connection, damaged, has_table, open_writer, reading, translated
from oneiric.stores.migrations import RESULTS

MOST_BYTES = 256 << 20
MOST_RESULTS = 20_000
_COLUMNS = "key, place, parts, value, origin, at"


class ResultStore(Results):
    """Keep results in a database of their own, of a bounded size: the oldest ones go.

    Any number of processes may use it. Calls are short and block; on an event loop call them
    in a thread, any thread. A result outlives the process once it is put, but maybe not a loss
    of power just then: waiting for the disk takes longer than most work that is worth keeping.
    """

    __slots__ = ("_lock", "_most_bytes", "_most_results", "_path", "_writer")

    def __init__(
        self, path: Path, *, most_bytes: int = MOST_BYTES, most_results: int = MOST_RESULTS
    ) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._most_results = most_results
        self._writer: Connection | None = None
        self._lock = Lock()

    def get(self, key: str) -> StoredResult | None:
        """Return the result that was stored under *key*, without writing anything.

        Raises:
            StoreError: the database cannot be read.
        """
        return self._found("key = ?", key)

    def last(self, place: str) -> StoredResult | None:
        """Return what was stored last for a place.

        Raises:
            StoreError: the database cannot be read.
        """
        return self._found("place = ?", place)

    def _found(self, where: str, value: str) -> StoredResult | None:
        query = f"SELECT {_COLUMNS} FROM results WHERE {where} ORDER BY number DESC LIMIT 1"  # noqa: S608  fixed texts
        with reading(self._path, RESULTS) as connection:
            if connection is None or not has_table(connection, "results"):
                return None
            row = connection.execute(query, (value,)).fetchone()
        if row is None:
            return None
        key, place, parts, kept, origin, at = row
        try:
            return StoredResult(
                key, place, dict(json.loads(parts)), parse(kept.encode(), "json"), origin, at
            )
        except ValueError as error:
            raise damaged(self._path, error) from error

    def put(self, result: StoredResult) -> bool:
        """Store a result in place of one of the same key, and tell whether it was small enough.

        Raises:
            StoreError: nothing was stored.
        """
        parts, value = json.dumps(dict(result.parts)), json.dumps(result.value)
        size = len(parts) + len(value)
        if size > self._most_bytes:
            return False
        row = (result.key, result.place, parts, value, result.origin, result.at, size)
        with self._writing() as connection:
            connection.execute("DELETE FROM results WHERE key = ?", (result.key,))
            connection.execute(
                "INSERT INTO results (key, place, parts, value, origin, at, size)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            self._trim(connection)
        return True

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Give the connection that is kept for the next time, in a transaction of its own."""
        with self._lock, translated(self._path):
            if self._writer is None:
                self._writer = open_writer(self._path, RESULTS, "NORMAL")
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                with closing(self._writer):
                    self._writer = None
                raise

    def close(self) -> None:
        """Let go of the file; another call opens it again.

        Raises:
            StoreError: what was put cannot be written to its place; it is beside it still.
        """
        with self._lock, translated(self._path):
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()

    def _trim(self, connection: Connection) -> None:
        """Delete the oldest results until the others are few and small enough."""
        totals = "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM results"
        count, size = connection.execute(totals).fetchone()
        while count > self._most_results or size > self._most_bytes:
            oldest = "SELECT number, size FROM results ORDER BY number LIMIT 1"
            number, bytes_ = connection.execute(oldest).fetchone()
            connection.execute("DELETE FROM results WHERE number = ?", (number,))
            count, size = count - 1, size - bytes_
