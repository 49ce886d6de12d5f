"""How far each schedule has come, kept across processes."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from oneiric.clock import rfc3339
from oneiric.ports.schedules import Progress
from oneiric.stores.database import has_table, reading, writing
from oneiric.stores.migrations import STATE


class ScheduleStore:
    """Keep the progress of schedules in the state database; any number of processes share it.

    The database is opened in a thread for each call, so the loop is never held up.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    async def get(self, ref: str) -> Progress | None:
        """Return how far the schedule of *ref* has come, or None if it was never seen.

        Raises:
            StoreError: the database cannot be read.
        """
        return await asyncio.to_thread(self._get, ref)

    async def put(self, ref: str, progress: Progress, *, after: Progress | None) -> bool:
        """Store *progress*, unless somebody has stored another than *after* meanwhile.

        Raises:
            StoreError: it was not stored.
        """
        return await asyncio.to_thread(self._put, ref, progress, after)

    def _get(self, ref: str) -> Progress | None:
        query = "SELECT digest, since, last, taken FROM schedules WHERE ref = ?"
        with reading(self._path, STATE) as connection:
            if connection is None or not has_table(connection, "schedules"):
                return None
            row = connection.execute(query, (ref,)).fetchone()
        if row is None:
            return None
        digest, since, last, taken = row
        return Progress(digest, _moment(since), _moment(last), taken)

    def _put(self, ref: str, progress: Progress, after: Progress | None) -> bool:
        with writing(self._path, STATE) as connection:
            found = connection.execute(
                "SELECT digest, last, taken FROM schedules WHERE ref = ?", (ref,)
            ).fetchone()
            known = None if after is None else (after.digest, rfc3339(after.last), after.taken)
            if found != known:
                return False
            since, last = rfc3339(progress.since), rfc3339(progress.last)
            row = (ref, progress.digest, since, last, progress.taken)
            connection.execute("INSERT OR REPLACE INTO schedules VALUES (?, ?, ?, ?, ?)", row)
        return True


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
