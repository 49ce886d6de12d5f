"""Dead letters, kept across processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from oneiric.documents import canonical
from oneiric.ports.dead_letters import DeadLetter
from oneiric.stores.database import has_table, reading, writing
from oneiric.stores.migrations import STATE

_COLUMNS = "id, handler, event, reason, error, attempts, at, claimed_until"


class DeadLetterStore:
    """Keep dead letters in the state database; any number of processes may share it.

    The database is opened in a thread for each call, so the loop is never held up, and what
    was begun is done even when the caller is cancelled.
    """

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    async def add(self, letter: DeadLetter) -> None:
        """Keep *letter*, in place of one with the same id; nobody's claim is left on it.

        Raises:
            StoreError: it is not kept.
        """
        await asyncio.to_thread(self._add, letter)

    async def letters(self) -> Sequence[DeadLetter]:
        """Return every letter, oldest first, without writing anything.

        Raises:
            StoreError: the database cannot be read.
        """
        return await asyncio.to_thread(self._letters)

    async def claim(self, letter_id: str, *, now: str, until: str) -> DeadLetter | None:
        """Claim a letter and return it; None if there is none, or another's claim lasts.

        Raises:
            StoreError: the claim was not stored.
        """
        return await asyncio.to_thread(self._claim, letter_id, now, until)

    async def remove(self, letter_id: str) -> bool:
        """Forget a letter, and tell whether there was one.

        Raises:
            StoreError: the change was not stored.
        """
        return await asyncio.to_thread(self._remove, letter_id)

    def _add(self, letter: DeadLetter) -> None:
        values = (
            letter.id,
            letter.handler,
            canonical(letter.event).decode(),
            letter.reason,
            letter.error,
            letter.attempts,
            letter.at,
        )
        with writing(self._path, STATE) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, '')", values
            )

    def _letters(self) -> list[DeadLetter]:
        query = f"SELECT {_COLUMNS} FROM dead_letters ORDER BY at, id"  # noqa: S608  our own names
        with reading(self._path, STATE) as connection:
            if connection is None or not has_table(connection, "dead_letters"):
                return []
            return [_letter(row) for row in connection.execute(query)]

    def _claim(self, letter_id: str, now: str, until: str) -> DeadLetter | None:
        query = (
            "UPDATE dead_letters SET claimed_until = ? WHERE id = ? AND claimed_until <= ? "  # noqa: S608
            f"RETURNING {_COLUMNS}"
        )
        with writing(self._path, STATE) as connection:
            row = connection.execute(query, (until, letter_id, now)).fetchone()
        return _letter(row) if row else None

    def _remove(self, letter_id: str) -> bool:
        if not self._path.exists():
            return False
        with writing(self._path, STATE) as connection:
            done = connection.execute("DELETE FROM dead_letters WHERE id = ?", (letter_id,))
            return done.rowcount > 0


def _letter(row: tuple[str, str, str, str, str, int, str, str]) -> DeadLetter:
    letter_id, handler, event, reason, error, attempts, at, claimed_until = row
    return DeadLetter(
        id=letter_id,
        handler=handler,
        event=json.loads(event),
        reason=reason,
        error=error,
        attempts=attempts,
        at=at,
        claimed_until=claimed_until,
    )
