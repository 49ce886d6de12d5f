"""Who hears of orders: one places them, one keeps a trail, and two vie for the parcel."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from oneiric.demo.fulfillment import shipping
from oneiric.demo.fulfillment.errors import ProvokedOutageError
from oneiric.demo.fulfillment.orders import name_of, place, read_input
from oneiric.demo.fulfillment.provoked import falter_once
from oneiric.domains.events import DeclinedError, Event
from oneiric.errors import JSONValue
from oneiric.stores.database import Connection

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.demo.fulfillment.book import OrderBook


class OrderHandler:
    """Have the order book at hand."""

    def __init__(self, orders: Link[OrderBook]) -> None:
        self._orders = orders


class PlaceOrder(OrderHandler):
    """Place the order that an event tells of; the workflow then finds it."""

    async def handle(self, event: Event) -> JSONValue:
        """Place it once, however often it is told, and return it."""
        asked = read_input(event.data)
        async with self._orders.use() as book:
            if asked.falter_at == "validate":
                await falter_once(book, "placing", event.id)
            order = await book.change(partial(place, asked=asked, key=event.id))
        status = "placed" if order.key == event.id else "already-placed"
        return {"status": status, **order.as_json()}


class KeepTrail(OrderHandler):
    """Write down each event about orders, whatever becomes of it."""

    async def handle(self, event: Event) -> JSONValue:
        """Write it down once, and return how many there are of that order."""
        async with self._orders.use() as book:
            return await book.change(partial(_noted, event=event, order_id=_order_id(event)))


class ExpressCarrier(OrderHandler):
    """Carry what is in a hurry; declines the rest."""

    carrier = "express"

    async def handle(self, event: Event) -> JSONValue:
        """Book this carrier for the order, and return whoever is booked.

        Raises:
            DeclinedError: the order is in no hurry.
            ProvokedOutageError: the event asked that this carrier be out of reach.
        """
        asked = read_input(event.data)
        if asked.speed != self.carrier:
            raise DeclinedError(f"nobody asked for {self.carrier}")
        if asked.falter_at == "ship":
            raise ProvokedOutageError(f"{self.carrier} is out of reach, as was asked for")
        return await self._booked(event)

    async def _booked(self, event: Event) -> JSONValue:
        order_id = _order_id(event)
        async with self._orders.use() as book:
            found = await book.change(
                partial(shipping.book, order_id=order_id, carrier=self.carrier)
            )
        return {"order_id": order_id, "carrier": found}


class StandardCarrier(ExpressCarrier):
    """Carry what nobody else does."""

    carrier = shipping.STANDARD

    async def handle(self, event: Event) -> JSONValue:
        """Book this carrier for the order, and return whoever is booked."""
        return await self._booked(event)


def _order_id(event: Event) -> str:
    """Return the id by which the order is placed that an event tells of."""
    named = event.data.get("order_id") if isinstance(event.data, Mapping) else ""
    return named if isinstance(named, str) and named else name_of(event.id)


def _noted(connection: Connection, at: str, event: Event, order_id: str) -> JSONValue:
    connection.execute(
        "INSERT OR IGNORE INTO audit VALUES (?, ?, ?, ?)", (event.id, event.type, order_id, at)
    )
    query = "SELECT count(*) FROM audit WHERE order_id = ?"
    (count,) = connection.execute(query, (order_id,)).fetchone()
    return {"order_id": order_id, "events": count}
