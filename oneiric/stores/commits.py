"""Commit together what was asked for while the last commit was under way."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from oneiric.errors import ClosedError, InvalidError, OneiricError, StoreError
from oneiric.stores import database

T = TypeVar("T")

MOST_TOGETHER = 512
CHECKPOINT_EVERY = 1000
_LOOK_AGAIN_SECONDS = 0.002
_FAILURES = (sqlite3.Error, ValueError, OverflowError, TypeError)  # the last: damaged rows


class Job(Generic[T]):
    """One piece of work inside a transaction, and the future of who waits for it.

    The work checks before it writes: an error of ours that it raises leaves nothing to undo.
    """

    __slots__ = ("error", "future", "result", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        self.work = work
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.error: OneiricError | None = None
        self.result: T | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        """Do the work, and keep its result or its error."""
        self.error = None
        try:
            self.result = self.work(connection)
        except OneiricError as error:
            self.error = error

    def settle(self) -> None:
        """Tell who waits, if somebody still does; call it on the loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


Jobs: TypeAlias = Sequence[Job[Any]]


class Ledger:
    """The one connection that writes; it opens with the first commit.

    One caller at a time, from any thread.
    """

    __slots__ = ("_connection", "_identity", "_open", "_path")

    def __init__(self, path: Path, opener: Callable[[], sqlite3.Connection]) -> None:
        self._path = path
        self._open = opener
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)

    @property
    def is_open(self) -> bool:
        """Whether a commit finds the file open."""
        return self._connection is not None

    def commit(self, jobs: Jobs, *, is_patient: bool = True) -> bool:
        """Do *jobs* in one transaction; when one breaks it, each in its own.

        Every job has its result or its error then. False says that another process writes
        just now and nothing was done, for a caller that has no patience.
        """
        try:
            connection = self.connection()
            self._check_place()
        except OneiricError as error:
            _fail(jobs, error)
            return True
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not is_patient and database.is_busy(error):
                return False
            _fail(jobs, database.told(self._path, error))
            return True
        self._do(connection, jobs)
        return True

    def connection(self) -> sqlite3.Connection:
        """Return the connection, opened now if it was not.

        Raises:
            StoreError: the file cannot be opened for writing.
        """
        if self._connection is None:
            with database.translated(self._path):
                self._connection = self._open()
                found = self._path.stat()
                self._identity = (found.st_dev, found.st_ino)
        return self._connection

    def checkpoint(self) -> None:
        """Move what was written ahead into the database file, as far as readers let it."""
        with suppress(sqlite3.Error):  # it is tried again; what is written ahead is safe
            self.connection().execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close the connection; what was written ahead is moved if nobody else reads."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _check_place(self) -> None:
        with database.translated(self._path):
            found = self._path.stat()
        if (found.st_dev, found.st_ino) != self._identity:
            raise StoreError(
                f"{self._path} is not the file that was opened: it was moved or deleted",
                hint="put it back, or start again with what is there now",
            )

    def _do(self, connection: sqlite3.Connection, jobs: Jobs) -> None:
        """Do the jobs and commit; a transaction is open."""
        try:
            for job in jobs:
                job.run(connection)
            connection.execute("COMMIT")
        except _FAILURES as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if len(jobs) == 1:
                _fail(jobs, self._told(error))
                return
            for job in jobs:
                self.commit([job])

    def _told(self, error: Exception) -> OneiricError:
        if isinstance(error, sqlite3.Error):
            return database.told(self._path, error)
        if isinstance(error, TypeError):
            return database.damaged(self._path, error)
        return InvalidError(f"{self._path} cannot store this: {error}")


class Writer(Protocol):
    """Where jobs go to be committed, in the order in which they come."""

    def submit(self, job: Job[T]) -> asyncio.Future[T]:
        """Have *job* committed, and return its future.

        Raises:
            ClosedError: the writer was closed.
        """
        ...

    async def aclose(self) -> None:
        """Commit what was submitted, and close the file."""
        ...


class ThreadWriter(Writer):
    """Commit on a thread of its own, so that the event loop never waits for the disk.

    The thread keeps no process from ending.
    """

    __slots__ = ("_inbox", "_is_closed", "_ledger", "_thread")

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._inbox: SimpleQueue[Job[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def submit(self, job: Job[T]) -> asyncio.Future[T]:
        if self._is_closed:
            raise closed()
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="oneiric-journal", daemon=True)
            self._thread.start()
        self._inbox.put(job)
        return job.future

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._thread is not None:
            ended = asyncio.get_running_loop().run_in_executor(None, self._thread.join)
            self._inbox.put(None)
            await asyncio.shield(ended)

    def _serve(self) -> None:
        while jobs := self._next():
            self._ledger.commit(jobs)
            _tell(jobs)
        self._ledger.close()

    def _next(self) -> Jobs:
        """Wait for a job, and take with it all that are there by then; none at the end."""
        job = self._inbox.get()
        jobs: list[Job[Any]] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == MOST_TOGETHER or self._inbox.empty():
                return jobs
            job = self._inbox.get()
        if jobs:
            self._inbox.put(None)
        return jobs


class InlineWriter(Writer):
    """Commit on the event loop, at the end of the turn in which jobs came.

    That is for commits that only reach the system's memory. Opening, moving what was written
    ahead and closing wait for the disk, and are done in a thread; jobs wait meanwhile.
    """

    __slots__ = (
        "_busy_since",
        "_commits",
        "_idle",
        "_is_closed",
        "_is_engaged",
        "_jobs",
        "_ledger",
    )

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._jobs: deque[Job[Any]] = deque()
        self._is_engaged = False
        self._is_closed = False
        self._busy_since: float | None = None
        self._commits = 0
        self._idle = asyncio.Event()

    def submit(self, job: Job[T]) -> asyncio.Future[T]:
        if self._is_closed:
            raise closed()
        self._jobs.append(job)
        if not self._is_engaged:
            self._is_engaged = True
            self._idle.clear()
            job.future.get_loop().call_soon(self._flush)
        return job.future

    async def aclose(self) -> None:
        self._is_closed = True
        if self._is_engaged:
            await self._idle.wait()
        await asyncio.to_thread(self._ledger.close)

    def _flush(self) -> None:
        """Commit what there is; go on until there is nothing."""
        if self._ledger.is_open and self._commits < CHECKPOINT_EVERY:
            self._write()
            return
        self._commits = 0
        loop = self._jobs[0].future.get_loop()
        loop.run_in_executor(None, self._prepare).add_done_callback(self._prepared)

    def _prepare(self) -> OneiricError | None:
        try:
            self._ledger.connection()
        except OneiricError as error:
            return error
        self._ledger.checkpoint()
        return None

    def _prepared(self, prepared: asyncio.Future[OneiricError | None]) -> None:
        error = prepared.result()
        if error is None:
            self._write()
            return
        jobs = self._take()
        _fail(jobs, error)
        self._done(jobs)

    def _write(self) -> None:
        jobs = self._take()
        now = jobs[0].future.get_loop().time()
        if self._busy_since is None:
            self._busy_since = now
        is_patient = now - self._busy_since > database.PATIENCE_SECONDS
        if not self._ledger.commit(jobs, is_patient=is_patient):
            self._jobs.extendleft(reversed(jobs))
            jobs[0].future.get_loop().call_later(_LOOK_AGAIN_SECONDS, self._flush)
            return
        self._busy_since = None
        self._commits += 1
        self._done(jobs)

    def _take(self) -> Jobs:
        return [self._jobs.popleft() for _ in range(min(len(self._jobs), MOST_TOGETHER))]

    def _done(self, jobs: Jobs) -> None:
        _settle(jobs)
        if self._jobs:
            self._jobs[0].future.get_loop().call_soon(self._flush)
            return
        self._is_engaged = False
        self._idle.set()


def closed() -> ClosedError:
    """Return the error that says that the journal was closed."""
    return ClosedError("the journal was closed", hint="open another one on the same file")


def _tell(jobs: Jobs) -> None:
    with suppress(RuntimeError):  # the loop was closed: nobody waits
        jobs[0].future.get_loop().call_soon_threadsafe(_settle, jobs)


def _settle(jobs: Jobs) -> None:
    for job in jobs:
        job.settle()


def _fail(jobs: Jobs, error: OneiricError) -> None:
    for job in jobs:
        job.error = error.again()
