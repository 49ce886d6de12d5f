"""Read runs on a thread of its own, and notice what is appended to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from oneiric.listeners import Listeners
from oneiric.stores import run_rows
from oneiric.stores.commits import closed
from oneiric.stores.database import damaged, has_table, open_reader, translated
from oneiric.stores.migrations import STATE

T = TypeVar("T")

POLL_SECONDS = 0.15


class Reader:
    """The one connection that reads; questions are answered in the order in which they come.

    It is opened with the first question. While there is no file, or none with runs in it,
    the answer is that there is nothing, and nothing is written.
    """

    __slots__ = ("_connection", "_path", "_thread")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: Connection | None = None
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "oneiric-journal-reader")

    def ask(self, question: Callable[[Connection], T], nothing: T) -> asyncio.Future[T]:
        """Return the future answer; it fails with a `StoreError` as reading does.

        Raises:
            ClosedError: the reader was closed.
        """
        if self._thread is None:
            raise closed()
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, self._answer, question, nothing)

    async def aclose(self) -> None:
        """Answer what was asked, and close the file."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        ended = asyncio.get_running_loop().run_in_executor(thread, self._close)
        thread.shutdown(wait=False)
        await asyncio.shield(ended)

    def _answer(self, question: Callable[[Connection], T], nothing: T) -> T:
        with translated(self._path):
            if self._connection is None:
                self._connection = open_reader(self._path, STATE)
            if self._connection is None or not has_table(self._connection, "outside"):
                return nothing
            try:
                return question(self._connection)
            except (TypeError, ValueError) as error:
                raise damaged(self._path, error) from error

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Follower:
    """Someone who waits for events of a run above the number *after*."""

    __slots__ = ("after", "news", "run_id")

    def __init__(self, run_id: str, after: int) -> None:
        self.run_id = run_id
        self.after = after
        self.news = asyncio.Event()


@dataclass(frozen=True, slots=True)
class _Seen:
    version: int
    lengths: Mapping[str, int]
    outside: Sequence[tuple[int, str]]


class Watch:
    """Wake those who wait for appends, with one poll for all of them and none for nobody."""

    __slots__ = ("_followers", "_last", "_listeners", "_own", "_reader", "_timer", "_version")

    def __init__(self, reader: Reader) -> None:
        self._reader: Reader | None = reader
        self._followers: dict[str, list[Follower]] = {}
        self._listeners = Listeners()
        self._last: int | None = None
        self._own: set[int] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._version = 0

    @property
    def is_closed(self) -> bool:
        """Whether nobody is told anything any more."""
        return self._reader is None

    @contextmanager
    def following(self, run_id: str, after: int) -> Iterator[Follower]:
        """Have `news` of the follower set whenever there may be events above its number."""
        follower = Follower(run_id, after)
        self._followers.setdefault(run_id, []).append(follower)
        self._arm()
        try:
            yield follower
        finally:
            others = self._followers[run_id]
            others.remove(follower)
            if not others:
                del self._followers[run_id]
            self._disarm()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Queue[str]]:
        """Have the run of each append without a lease put into the queue; "" is the end."""
        try:
            with self._listeners.queue() as queue:
                self._arm()
                yield queue
        finally:
            if not self._listeners:
                self._last = None
                self._own.clear()
            self._disarm()

    async def begin(self) -> None:
        """Learn which append without a lease was the last, so that later ones are told."""
        if self._reader is not None and self._last is None:
            self._begun(await self._reader.ask(run_rows.latest_outside, 0))

    def appended(self, run_id: str, number: int) -> None:
        """Tell of an append by this process; *number* is above 0 for one without a lease."""
        for follower in self._followers.get(run_id, ()):
            follower.news.set()
        if number and self._listeners:
            self._own.add(number)
            self._listeners.tell(run_id)

    def close(self) -> None:
        """Wake everybody for the last time."""
        self._reader = None
        self._wake_followers()
        self._listeners.tell("")

    def _wake_followers(self) -> None:
        for followers in self._followers.values():
            for follower in followers:
                follower.news.set()

    def _begun(self, last: int) -> None:
        if self._last is None and self._listeners:
            self._last = last

    def _arm(self) -> None:
        if self._timer is None and self._reader is not None:
            self._timer = asyncio.get_running_loop().call_later(POLL_SECONDS, self._look)

    def _disarm(self) -> None:
        if self._timer is not None and not (self._followers or self._listeners):
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._reader is None:
            return
        question = partial(
            _look, version=self._version, run_ids=tuple(self._followers), last=self._last
        )
        self._reader.ask(question, None).add_done_callback(self._looked)

    def _looked(self, answer: asyncio.Future[_Seen | None]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._wake_followers()  # they meet what is wrong when they read
        elif (seen := answer.result()) is not None:
            self._notice(seen)
        if self._followers or self._listeners:
            self._arm()

    def _notice(self, seen: _Seen) -> None:
        self._version = seen.version
        for run_id, length in seen.lengths.items():
            for follower in self._followers.get(run_id, ()):
                if length > follower.after:
                    follower.news.set()
        for number, run_id in seen.outside:
            if number not in self._own:
                self._listeners.tell(run_id)
            self._last = number
        if seen.outside:
            self._own = {number for number in self._own if number > seen.outside[-1][0]}


def _look(
    connection: Connection, *, version: int, run_ids: Sequence[str], last: int | None
) -> _Seen | None:
    """Return what changed since the look at *version*, or None when nothing did."""
    (now,) = connection.execute("PRAGMA data_version").fetchone()
    if now == version:
        return None
    outside = () if last is None else run_rows.outside_after(connection, last)
    return _Seen(now, run_rows.lengths(connection, run_ids), outside)
