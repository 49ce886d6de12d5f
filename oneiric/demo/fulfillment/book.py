"""The order book: one SQLite file, and the way in for whoever reads or writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.core.health import HealthReport
from oneiric.demo.fulfillment.schema import ORDERS
from oneiric.errors import StoreError
from oneiric.stores.database import Connection, reading, writing

T = TypeVar("T")


class OrderBookSettings(BaseModel):
    """Where the order book lies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Path(".oneiric_cache/orders.sqlite")
    """The file; it is made when it is first needed."""


class OrderBook:
    """Keep orders, stock, payments, shipments and notifications in one SQLite file.

    Whatever is changed in one call is changed whole or not at all, and any number of
    processes may share the file. It is opened in a thread for each call.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"orders", "stock"})

    def __init__(
        self, settings: OrderBookSettings | None = None, *, clock: Clock | None = None
    ) -> None:
        self._path = (settings or OrderBookSettings()).path
        self._clock = clock or SystemClock()

    async def init(self) -> None:
        """Make the file with its first stock, unless it is there.

        Raises:
            StoreError: it cannot be made, or is something else.
        """
        await self.change(lambda connection, at: None)

    async def health(self) -> HealthReport:
        """Tell whether the file can be read."""
        try:
            await self.look(lambda connection: connection.execute("SELECT 1 FROM stock").fetchone())
        except StoreError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def look(self, read: Callable[[Connection], T]) -> T:
        """Return what *read* finds; nothing is written.

        Raises:
            StoreError: the file is gone or cannot be read.
        """
        return await asyncio.to_thread(self._look, read)

    async def change(self, write: Callable[[Connection, str], T]) -> T:
        """Let *write* work in one transaction, told the present time; return what it returns.

        Raises:
            StoreError: nothing was changed.
        """
        return await asyncio.to_thread(self._change, write)

    def _look(self, read: Callable[[Connection], T]) -> T:
        with reading(self._path, ORDERS) as connection:
            if connection is None:
                raise StoreError(f"{self._path} is gone", hint="oneiric swap adapter:orders")
            return read(connection)

    def _change(self, write: Callable[[Connection, str], T]) -> T:
        with writing(self._path, ORDERS) as connection:
            return write(connection, rfc3339(self._clock.now()))
