"""A queue in a SQLite file: durable, shared by processes of one machine, no server."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import aiosqlite
from pydantic import Field

from oneiric.adapters.settings import AdapterSettings
from oneiric.clock import Clock, SystemClock
from oneiric.core.health import HealthReport
from oneiric.errors import JSONValue
from oneiric.files import own_folder
from oneiric.ports.errors import AdapterError, UnavailableError
from oneiric.ports.queue import (
    QueueMessage,
    check_body,
    check_count,
    check_delay,
    check_name,
    pack_headers,
    pack_payload,
    subscription,
    unpack_headers,
)

SCHEMA = 1
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PRIMARY = 0xFF
_MAKE = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS messages (
    place INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    queue TEXT NOT NULL,
    body BLOB NOT NULL,
    headers TEXT NOT NULL,
    key TEXT,
    dedup_id TEXT,
    queued_at REAL NOT NULL,
    unique_until REAL NOT NULL,
    visible_at REAL NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    receipt TEXT NOT NULL DEFAULT '',
    is_dead INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS waiting ON messages (queue, is_dead, visible_at);
CREATE INDEX IF NOT EXISTS in_order ON messages (queue, key, place) WHERE key IS NOT NULL;
CREATE TABLE IF NOT EXISTS seen (
    queue TEXT NOT NULL,
    dedup_id TEXT NOT NULL,
    id TEXT NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (queue, dedup_id)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS refuse_twice BEFORE INSERT ON messages WHEN NEW.dedup_id IS NOT NULL
BEGIN
    DELETE FROM seen WHERE until <= NEW.queued_at;
    SELECT RAISE(IGNORE) FROM seen WHERE queue = NEW.queue AND dedup_id = NEW.dedup_id;
END;
CREATE TRIGGER IF NOT EXISTS remember AFTER INSERT ON messages WHEN NEW.dedup_id IS NOT NULL
BEGIN
    INSERT INTO seen VALUES (NEW.queue, NEW.dedup_id, NEW.id, NEW.unique_until);
END;
PRAGMA user_version = 1;
COMMIT;
"""
_PUT = """
INSERT INTO messages (
    id, queue, body, headers, key, dedup_id, queued_at, unique_until, visible_at
) VALUES (:id, :queue, :body, :headers, :key, :dedup_id, :now, :unique_until, :visible_at)
"""
_KEPT = "SELECT id FROM seen WHERE queue = :queue AND dedup_id = :dedup_id"
_READ = """
UPDATE messages SET deliveries = deliveries + 1, visible_at = :until, receipt = :receipt
WHERE place IN (
    SELECT place FROM messages AS one
    WHERE queue = :queue AND is_dead = 0 AND visible_at <= :now AND NOT EXISTS (
        SELECT 1 FROM messages AS earlier
        WHERE earlier.queue = one.queue AND earlier.key = one.key
            AND earlier.place < one.place AND earlier.is_dead = 0
    )
    ORDER BY place LIMIT :count
)
RETURNING place, id, body, headers, key, deliveries
"""

_FORGET = """
DELETE FROM messages
WHERE id = :id AND queue = :queue AND receipt = :receipt RETURNING 1
"""
_GIVE_BACK = """
UPDATE messages SET receipt = '', visible_at = 0
WHERE id = :id AND queue = :queue AND receipt = :receipt RETURNING 1
"""
_SET_ASIDE = """
UPDATE messages SET receipt = '', is_dead = 1
WHERE id = :id AND queue = :queue AND receipt = :receipt RETURNING 1
"""
_HOLD_ON = """
UPDATE messages SET visible_at = :until
WHERE id = :id AND queue = :queue AND receipt = :receipt RETURNING 1
"""


class SqliteQueueSettings(AdapterSettings):
    """Where the queue is kept, and how long a reader may hold a message.

    With `durable` a message survives a loss of power once `publish` returned; without, only
    the end of the process. Times are in seconds; a second message with one `dedup_id` within
    `dedup_window` of the first is not kept.
    """

    path: Path = Path(".oneiric_cache/queue.sqlite")
    queue: str = Field(default="oneiric", min_length=1, max_length=200)
    visibility_timeout: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    dedup_window: float = Field(default=3600.0, gt=0, allow_inf_nan=False)
    poll_interval: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    busy_timeout: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    durable: bool = True


class SqliteQueue:
    """Keep messages in one file that any number of processes of this machine may share.

    Messages of one key are delivered in order, one at a time. A call that is cancelled may
    still take effect; a message that was read by it is delivered again in time.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"queue", "delay", "dedup", "ordered"})

    def __init__(
        self, settings: SqliteQueueSettings | None = None, *, clock: Clock | None = None
    ) -> None:
        self._settings = settings or SqliteQueueSettings()
        self._backend = f"queue {self._settings.queue} in {self._settings.path}"
        self._clock = clock or SystemClock()
        self._database: aiosqlite.Connection | None = None
        self._came = asyncio.Event()
        self._opening = asyncio.Lock()

    async def init(self) -> None:
        """Open the file, and make it when there is none.

        Raises:
            UnavailableError: it cannot be opened or is held by somebody else.
            AdapterError: it is no database, or newer than this version knows.
        """
        async with self._opening:
            if self._database is None:
                self._database = await self._open()

    async def health(self) -> HealthReport:
        """Tell whether the file can be read, or why not."""
        try:
            await self.pending()
        except AdapterError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Close the file once the calls in flight have ended."""
        database, self._database = self._database, None
        self._came.set()
        if database is not None:
            await database.close()

    async def enqueue(
        self,
        payload: Mapping[str, JSONValue],
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        delay: float | None = None,
        dedup_id: str | None = None,
    ) -> str:
        """Put *payload* as JSON and return the message's id."""
        return await self.publish(
            pack_payload(payload), headers=headers, key=key, delay=delay, dedup_id=dedup_id
        )

    async def publish(
        self,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        delay: float | None = None,
        dedup_id: str | None = None,
    ) -> str:
        """Put *body* as it is and return the message's id."""
        now = self._now()
        message = {
            "id": self._clock.new_id(),
            "queue": self._settings.queue,
            "body": check_body(body),
            "headers": pack_headers(headers),
            "key": check_name("key", key),
            "dedup_id": check_name("dedup id", dedup_id),
            "now": now,
            "unique_until": now + self._settings.dedup_window,
            "visible_at": now + check_delay(delay),
        }
        await self._run(_PUT, message)
        self._came.set()
        if dedup_id is None:
            return str(message["id"])
        [(kept,)] = await self._run(_KEPT, message)
        return str(kept)

    async def read(self, *, count: int = 1, timeout: float = 0) -> list[QueueMessage]:
        """Return up to *count* messages; wait at most *timeout* seconds for the first."""
        end = self._clock.monotonic() + check_delay(timeout)
        while True:
            self._came.clear()
            found = await self._take(check_count(count))
            left = end - self._clock.monotonic()
            if found or left <= 0:
                return found
            try:
                async with asyncio.timeout(min(left, self._settings.poll_interval)):
                    await self._came.wait()
            except TimeoutError:
                continue

    async def ack(self, *messages: QueueMessage) -> int:
        """Forget messages whose work is done, and return how many were."""
        return await self._settle(_FORGET, messages)

    async def nack(self, *messages: QueueMessage, requeue: bool = True) -> int:
        """Give messages back to be delivered at once, or set them aside for good."""
        done = await self._settle(_GIVE_BACK if requeue else _SET_ASIDE, messages)
        self._came.set()
        return done

    async def extend(self, *messages: QueueMessage) -> int:
        """Keep messages for another `visibility_timeout` from now, as work goes on."""
        return await self._settle(_HOLD_ON, messages)

    async def visibility(self) -> float:
        """Return the `visibility_timeout` of the settings."""
        return self._settings.visibility_timeout

    async def pending(self) -> int:
        """Return how many messages wait or are being worked on; those set aside do not count."""
        query = "SELECT count(*) FROM messages WHERE queue = :queue AND is_dead = 0"
        rows = await self._run(query, {"queue": self._settings.queue})
        return int(rows[0][0])

    def subscribe(self, *, prefetch: int = 1) -> AsyncIterator[QueueMessage]:
        """Yield messages as they come, reading up to *prefetch* at a time, without end."""
        return subscription(self, prefetch)

    async def _open(self) -> aiosqlite.Connection:
        with self._translated():
            await asyncio.to_thread(own_folder, self._settings.path.parent)
            database = aiosqlite.connect(
                self._settings.path, timeout=self._settings.busy_timeout, isolation_level=None
            )
            # The library has no public way (0.22): a queue left open must not hold the process.
            database._thread.daemon = True
            await database
            try:
                await self._prepare(database)
            except BaseException:
                await database.close()
                raise
        return database

    async def _prepare(self, database: aiosqlite.Connection) -> None:
        async with database.execute("PRAGMA user_version") as cursor:
            row = await cursor.fetchone()
        version = int(row[0]) if row else 0
        if version > SCHEMA:
            raise AdapterError(
                self._backend,
                f"it has schema {version}, and this version knows {SCHEMA}",
                hint="use the version of oneiric that wrote it, or a newer one",
            )
        await database.execute("PRAGMA journal_mode = WAL")
        await database.execute(f"PRAGMA synchronous = {'FULL' if self._settings.durable else 1}")
        if version < SCHEMA:
            await database.executescript(_MAKE)

    async def _take(self, count: int) -> list[QueueMessage]:
        now, receipt = self._now(), self._clock.new_id()
        values = {
            "queue": self._settings.queue,
            "now": now,
            "until": now + self._settings.visibility_timeout,
            "receipt": receipt,
            "count": count,
        }
        rows = sorted(await self._run(_READ, values))
        return [
            QueueMessage(id_, body, unpack_headers(headers) or {}, key, deliveries, receipt)
            for _, id_, body, headers, key, deliveries in rows
        ]

    async def _settle(self, change: str, messages: Sequence[QueueMessage]) -> int:
        values = {
            "queue": self._settings.queue,
            "until": self._now() + self._settings.visibility_timeout,
        }
        done = 0
        for message in messages:
            own = {"id": message.id, "receipt": message.receipt}
            done += len(await self._run(change, values | own))
        return done

    async def _run(self, statement: str, values: Mapping[str, object]) -> list[sqlite3.Row]:
        with self._translated():
            return list(await self._up().execute_fetchall(statement, values))

    def _up(self) -> aiosqlite.Connection:
        if self._database is None:
            raise UnavailableError(self._backend, "is not up")
        return self._database

    def _now(self) -> float:
        return self._clock.now().timestamp()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
            kind = UnavailableError if code in (*_BUSY, sqlite3.SQLITE_FULL) else AdapterError
            raise kind(self._backend, str(error)) from error
        except ValueError as error:  # the library's word for a connection that was closed
            raise UnavailableError(self._backend, "was closed") from error
        except OSError as error:
            raise UnavailableError(self._backend, error.strerror or "cannot be opened") from error
