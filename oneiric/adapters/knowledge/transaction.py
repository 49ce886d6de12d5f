"""One file of knowledge: whole transactions, one after another, off the loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from oneiric.adapters.knowledge.tables import TABLES
from oneiric.clock import Clock, rfc3339
from oneiric.documents import canonical
from oneiric.errors import JSONValue, StoreError
from oneiric.ports.errors import AdapterError, UnavailableError
from oneiric.stores.database import (
    Connection,
    SchemaTooNewError,
    is_damage,
    open_writer,
    translated,
)

T = TypeVar("T")
Given: TypeAlias = Mapping[str, Any]
"""The arguments of a call, which were checked at the port."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one call reads and writes: all of it or nothing."""

    connection: Connection
    clock: Clock
    backend: str

    def rows(self, statement: str, values: Mapping[str, object]) -> list[Any]:
        """Return all rows that *statement* gives."""
        return self.connection.execute(statement, values).fetchall()

    def row(self, statement: str, values: Mapping[str, object]) -> Any:
        """Return the first row that *statement* gives, or None."""
        return self.connection.execute(statement, values).fetchone()

    def new_id(self, kind: str) -> str:
        """Return a new id that tells what it is of."""
        return f"{kind}_{self.clock.new_id()}"

    def now(self) -> str:
        """Return the present time as text that sorts as times do."""
        return rfc3339(self.clock.now())


def packed(value: JSONValue) -> str:
    """Write a value for a column."""
    return canonical(value).decode()


class KnowledgeFile:
    """Open a file, and do one transaction after another in a thread of its own.

    A writer holds the file from its first look until it has written, so nothing that another
    process wrote in between is lost.
    """

    def __init__(self, path: Path, *, clock: Clock, is_durable: bool) -> None:
        self.backend = f"knowledge in {path}"
        self._path = path
        self._clock = clock
        self._synchronous = "FULL" if is_durable else "NORMAL"
        self._connection: Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Open the file, and make it when there is none.

        Raises:
            UnavailableError: it cannot be opened or is held by somebody else.
            AdapterError: it is no database, or newer than this version knows.
        """
        async with self._opening:
            if self._thread is not None:
                return
            thread = ThreadPoolExecutor(1, "oneiric-knowledge")
            try:
                await asyncio.get_running_loop().run_in_executor(thread, self._open)
            except BaseException:
                thread.submit(self._close)
                thread.shutdown(wait=False)
                raise
            self._thread = thread

    async def aclose(self) -> None:
        """Do what was asked for, and close the file."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        ended = asyncio.get_running_loop().run_in_executor(thread, self._close)
        thread.shutdown(wait=False)
        await asyncio.shield(ended)

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Return what *work* finds."""
        return await self._do(work, "BEGIN")

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Return what *work* gives, once what it wrote is kept; an error of it keeps nothing."""
        return await self._do(work, "BEGIN IMMEDIATE")

    async def _do(self, work: Callable[[Transaction], T], begin: str) -> T:
        if self._thread is None:
            raise UnavailableError(self.backend, "is not up")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._done, work, begin)

    def _done(self, work: Callable[[Transaction], T], begin: str) -> T:
        connection = self._connection
        if connection is None:
            raise UnavailableError(self.backend, "was closed")
        with self._told():
            connection.execute(begin)
            try:
                found = work(Transaction(connection, self._clock, self.backend))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return found

    def _open(self) -> None:
        with self._told():
            self._connection = open_writer(self._path, TABLES, self._synchronous)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with translated(self._path):
                yield
        except StoreError as error:
            is_final = is_damage(error) or isinstance(error, SchemaTooNewError)
            kind = AdapterError if is_final else UnavailableError
            raise kind(self.backend, error.message, hint=error.hint) from error
        except json.JSONDecodeError as error:
            raise AdapterError(self.backend, "it holds what nobody wrote there") from error
