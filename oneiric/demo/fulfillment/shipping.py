"""Parcels: who carries one, its tracking number, and the word to the customer."""

from __future__ import annotations

from oneiric.demo.fulfillment.errors import OutOfTurnError
from oneiric.demo.fulfillment.orders import find, move
from oneiric.errors import JSONValue
from oneiric.stores.database import Connection

STANDARD = "standard"


def book(connection: Connection, at: str, order_id: str, carrier: str) -> str:
    """Book a carrier for an order, and return whoever is booked: the first one stays."""
    connection.execute("INSERT OR IGNORE INTO carriers VALUES (?, ?, ?)", (order_id, carrier, at))
    return booked(connection, order_id)


def booked(connection: Connection, order_id: str) -> str:
    """Return who carries an order; nobody was asked is an empty text."""
    query = "SELECT carrier FROM carriers WHERE order_id = ?"
    row = connection.execute(query, (order_id,)).fetchone()
    return row[0] if row else ""


def ship(connection: Connection, at: str, order_id: str, key: str) -> dict[str, JSONValue]:
    """Hand the parcel of a paid order over, once.

    Raises:
        NotFoundError: the order was never placed.
        OutOfTurnError: it is not paid.
    """
    order = find(connection, order_id)
    query = "SELECT key, carrier, tracking FROM shipments WHERE order_id = ?"
    row = connection.execute(query, (order_id,)).fetchone()
    if row is None:
        if order.state != "paid":
            raise OutOfTurnError(order_id, order.state, "paid")
        carrier = booked(connection, order_id) or order.speed
        row = (key, carrier, f"{carrier}-{key[:12]}")
        connection.execute("INSERT INTO shipments VALUES (?, ?, ?, ?, ?)", (order_id, *row, at))
        move(connection, order_id, "shipped")
    status = "shipped" if row[0] == key else "already-shipped"
    return {"status": status, "order_id": order_id, "carrier": row[1], "tracking": row[2]}


def notify(connection: Connection, at: str, order_id: str, key: str) -> dict[str, JSONValue]:
    """Put the word to the customer of a shipped order into the outbox, once.

    Raises:
        NotFoundError: the order was never placed.
        OutOfTurnError: it is not shipped.
    """
    order = find(connection, order_id)
    query = "SELECT key, recipient, text FROM notifications WHERE order_id = ?"
    row = connection.execute(query, (order_id,)).fetchone()
    if row is None:
        if order.state != "shipped":
            raise OutOfTurnError(order_id, order.state, "shipped")
        tracked = "SELECT tracking FROM shipments WHERE order_id = ?"
        (tracking,) = connection.execute(tracked, (order_id,)).fetchone()
        row = (key, order.customer, f"{order_id} is on its way as {tracking}")
        connection.execute("INSERT INTO notifications VALUES (?, ?, ?, ?, ?)", (order_id, *row, at))
    status = "notified" if row[0] == key else "already-notified"
    return {"status": status, "order_id": order_id, "recipient": row[1], "text": row[2]}
