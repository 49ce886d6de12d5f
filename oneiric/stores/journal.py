"""The journal in SQLite: runs outlive the process, and the machine's loss of power."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from oneiric.clock import Clock
from oneiric.errors import StoreError
from oneiric.runs.event import RunEvent
from oneiric.runs.journal import Journal, Lease, RunRecord
from oneiric.runs.state import RunState
from oneiric.stores import run_rows
from oneiric.stores.commits import InlineWriter, Job, Ledger, ThreadWriter, Writer
from oneiric.stores.database import open_writer
from oneiric.stores.holders import Holders
from oneiric.stores.migrations import STATE
from oneiric.stores.watch import Reader, Watch

T = TypeVar("T")


class Durability(StrEnum):
    """What an append that was acknowledged outlives."""

    POWER_LOSS = "power-loss"
    KILL = "kill"


class SqliteJournal(Journal):
    """Keep runs in the SQLite file *path*, which any number of processes may share.

    What `append` acknowledged is there after a loss of power; with `Durability.KILL` it is
    there after the process was killed, but the last moments before a loss of power may be
    lost, whole appends from the end. In the first case a thread waits for the disk, in the
    second the event loop writes to the system's memory itself.

    Appends that come while one is committed are committed together, next. The file is opened
    with the first use, and made with the first write; reading alone makes none. A journal
    belongs to the event loop and to the process that first use it.

    While a process that claims runs lives, a file beside the database is locked. So the claims of
    one that was killed are known to have ended, and those of one that is stopped, or of another
    machine, last as long as they were made for.

    Raises (each verb): StoreError, when the file cannot be read or written; nothing is stored
    then, and the next call may succeed.
    """

    __slots__ = ("_clock", "_holders", "_path", "_process", "_reader", "_watch", "_writer")

    def __init__(
        self, path: Path, *, clock: Clock, durability: Durability = Durability.POWER_LOSS
    ) -> None:
        self._path = path
        self._clock = clock
        self._process = os.getpid()
        self._holders = Holders(path)
        self._reader = Reader(path)
        self._watch = Watch(self._reader)
        self._writer: Writer
        if durability is Durability.POWER_LOSS:
            self._writer = ThreadWriter(Ledger(path, partial(open_writer, path, STATE, "FULL")))
        else:
            self._writer = InlineWriter(Ledger(path, partial(_open_inline, path)))

    async def create(
        self, run_id: str, events: Sequence[RunEvent], *, holder: str = "", seconds: float = 0
    ) -> tuple[Sequence[RunEvent], Lease | None]:
        texts = run_rows.encoded(events)

        def work(connection: Connection) -> tuple[Sequence[RunEvent], Lease | None]:
            now = self._now(connection, holder)
            return run_rows.create(connection, events, texts, holder, seconds, now)

        made = await self._write(work)
        self._watch.appended(run_id, 0)
        return made

    async def append(
        self, run_id: str, events: Sequence[RunEvent], *, lease: Lease | None = None
    ) -> Sequence[RunEvent]:
        texts = run_rows.encoded(events)
        stored, number = await self._write(
            lambda connection: run_rows.append(connection, run_id, events, texts, lease)
        )
        self._watch.appended(run_id, number)
        return stored

    async def read(self, run_id: str, *, after: int = 0) -> Sequence[RunEvent]:
        events: list[RunEvent] = []
        while True:
            _, page = await self._page(run_id, after)
            events += page
            if len(page) < run_rows.PAGE:
                return events
            after = events[-1].seq

    async def follow(self, run_id: str, *, after: int = 0) -> AsyncIterator[RunEvent]:
        with self._watch.following(run_id, after) as follower:
            while not self._watch.is_closed:
                follower.news.clear()
                state, page = await self._page(run_id, follower.after)
                if state is None:
                    raise run_rows.missing(run_id)
                for event in page:
                    follower.after = event.seq
                    yield event
                if len(page) == run_rows.PAGE:
                    continue
                if state.is_over:
                    return
                await follower.news.wait()

    async def outside(self) -> AsyncIterator[str]:
        with self._watch.listening() as runs:
            await self._watch.begin()
            while run_id := await runs.get():
                yield run_id

    async def runs(
        self, *, name: str = "", open_only: bool = False, before: str = "", limit: int = 100
    ) -> Sequence[RunRecord]:
        question = partial(
            run_rows.records,
            name=name,
            open_only=open_only,
            before=before,
            limit=limit,
            now=self._clock.monotonic(),
            is_gone=cache(self._holders.is_gone),
        )
        return await self._ask(question, ())

    async def claim(self, run_id: str, *, holder: str, seconds: float) -> Lease | None:
        def work(connection: Connection) -> Lease | None:
            now, is_gone = self._now(connection, holder), self._holders.is_gone
            return run_rows.claim(
                connection, run_id, holder=holder, seconds=seconds, now=now, is_gone=is_gone
            )

        return await self._write(work)

    async def renew(self, leases: Sequence[Lease], *, seconds: float) -> Sequence[Lease]:
        monotonic = self._clock.monotonic
        return await self._write(
            lambda connection: run_rows.renew(connection, leases, seconds=seconds, now=monotonic())
        )

    async def release(self, lease: Lease) -> None:
        await self._write(partial(run_rows.release, lease=lease))

    async def aclose(self) -> None:
        if os.getpid() != self._process:
            return  # the connections are the parent's
        self._watch.close()
        await self._writer.aclose()
        await self._reader.aclose()
        self._holders.close()

    def _now(self, connection: Connection, holder: str) -> float:
        """Return the steady count for a claim of *holder*, of whom others can tell that it lives.

        With its first claim what dead holders left is removed.
        """
        now = self._clock.monotonic()
        if holder and self._holders.keep(holder):
            self._holders.sweep(partial(run_rows.holders, connection, now))
        return now

    async def _page(self, run_id: str, after: int) -> tuple[RunState | None, Sequence[RunEvent]]:
        return await self._ask(partial(run_rows.page, run_id=run_id, after=after), (None, ()))

    async def _ask(self, question: Callable[[Connection], T], nothing: T) -> T:
        self._check_process()
        return await self._reader.ask(question, nothing)

    async def _write(self, work: Callable[[Connection], T]) -> T:
        self._check_process()
        return await self._writer.submit(Job(work))

    def _check_process(self) -> None:
        if os.getpid() != self._process:
            raise StoreError(
                f"{self._path} was opened by the process {self._process}, not by this one",
                hint="open a journal in each process, after the fork",
            )


def _open_inline(path: Path) -> Connection:
    connection = open_writer(path, STATE, "NORMAL")
    connection.execute("PRAGMA busy_timeout = 0")  # the loop looks again instead of waiting
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # it is done in a thread
    return connection
