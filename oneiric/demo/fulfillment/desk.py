"""The order desk, a service that answers for orders, and the action that quotes a price."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from oneiric.core.health import HealthReport
from oneiric.demo.fulfillment.orders import Line, find, price, summed
from oneiric.demo.fulfillment.stock import shortages
from oneiric.errors import JSONValue
from oneiric.stores.database import Connection

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.demo.fulfillment.book import OrderBook

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


class OrderDesk:
    """Answer for what became of orders."""

    def __init__(self, orders: Link[OrderBook]) -> None:
        self._orders = orders

    async def health(self) -> HealthReport:
        """Tell whether the order book can be read."""
        async with self._orders.use() as book:
            return await book.health()

    async def order(self, order_id: str) -> JSONValue:
        """Return an order with its payments, its parcel and what the customer was told.

        Raises:
            NotFoundError: it was never placed.
        """
        async with self._orders.use() as book:
            return await book.look(partial(_everything, order_id=order_id))

    async def open_orders(self) -> list[str]:
        """Return the ids of the orders that are not shipped yet, oldest first."""
        query = "SELECT order_id FROM orders WHERE state <> 'shipped' ORDER BY at, order_id"
        async with self._orders.use() as book:
            return await book.look(lambda connection: [row[0] for row in connection.execute(query)])


class QuotePayload(BaseModel):
    """What somebody might buy, and where."""

    model_config = _STRICT

    region: str = "us"
    items: list[Line] = Field(default=[Line(sku="lamp")], min_length=1, max_length=100)


class QuoteResult(BaseModel):
    """What that costs, and what of it is missing."""

    model_config = _STRICT

    amount_cents: int
    in_stock: bool
    missing: dict[str, int]


class Quote:
    """Tell what lines would cost, and whether a region has them; nothing is reserved."""

    payload: ClassVar[type[BaseModel]] = QuotePayload
    result: ClassVar[type[BaseModel]] = QuoteResult

    def __init__(self, orders: Link[OrderBook]) -> None:
        self._orders = orders

    async def execute(self, payload: QuotePayload) -> QuoteResult:
        """Look it up."""
        async with self._orders.use() as book:
            return await book.look(partial(_quoted, asked=payload))


def _quoted(connection: Connection, asked: QuotePayload) -> QuoteResult:
    missing = shortages(connection, asked.region, summed(asked.items))
    return QuoteResult(
        amount_cents=price(connection, asked.region, asked.items),
        in_stock=not missing,
        missing=missing,
    )


def _everything(connection: Connection, order_id: str) -> dict[str, JSONValue]:
    found = find(connection, order_id).as_json()
    for name, columns, order in (
        ("payments", "round, state, reference, cents", "round"),
        ("shipments", "carrier, tracking", "order_id"),
        ("notifications", "recipient, text", "order_id"),
    ):
        query = f"SELECT {columns} FROM {name} WHERE order_id = ? ORDER BY {order}"  # noqa: S608  our own names
        rows = connection.execute(query, (order_id,)).fetchall()
        found[name] = [dict(zip(columns.split(", "), row, strict=True)) for row in rows]
    return found
