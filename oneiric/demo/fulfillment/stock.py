"""Stock: taken for an order, given back, counted and filled up."""

from __future__ import annotations

from collections.abc import Mapping

from oneiric.demo.fulfillment.errors import OutOfStockError, OutOfTurnError
from oneiric.demo.fulfillment.orders import check_region, find, move
from oneiric.errors import JSONValue
from oneiric.stores.database import Connection


def shortages(connection: Connection, region: str, lines: Mapping[str, int]) -> dict[str, int]:
    """Return how many units of each thing are missing."""
    query = "SELECT sku, units FROM stock WHERE region = ?"
    units = dict(connection.execute(query, (region,)).fetchall())
    missing = {sku: wanted - units.get(sku, 0) for sku, wanted in lines.items()}
    return {sku: count for sku, count in missing.items() if count > 0}


def reserve(connection: Connection, at: str, order_id: str, key: str) -> dict[str, JSONValue]:
    """Take the order's lines out of the stock, once.

    Raises:
        NotFoundError: it was never placed.
        OutOfStockError: there is too little; nothing is taken.
    """
    order = find(connection, order_id)
    units = sum(order.lines.values())
    query = "SELECT key FROM reservations WHERE order_id = ?"
    row = connection.execute(query, (order_id,)).fetchone()
    told: dict[str, JSONValue] = {"order_id": order_id, "region": order.region, "units": units}
    if row is not None:
        status = "reserved" if row[0] == key else "already-reserved"
        return {"status": status, **told, "reservation": row[0]}
    if short := shortages(connection, order.region, order.lines):
        raise OutOfStockError(order_id, order.region, short)
    connection.executemany(
        "UPDATE stock SET units = units - ? WHERE region = ? AND sku = ?",
        [(quantity, order.region, sku) for sku, quantity in order.lines.items()],
    )
    connection.execute("INSERT INTO reservations VALUES (?, ?, ?, ?)", (order_id, key, units, at))
    move(connection, order_id, "reserved")
    return {"status": "reserved", **told, "reservation": key}


def release(connection: Connection, order_id: str, reservation: str) -> dict[str, JSONValue]:
    """Give back what was taken under that reservation; nothing where it is another's by now.

    Raises:
        OutOfTurnError: the order is paid or shipped.
    """
    query = "SELECT key FROM reservations WHERE order_id = ?"
    row = connection.execute(query, (order_id,)).fetchone()
    if row is None or row[0] != reservation:
        return {"status": "kept", "order_id": order_id}
    order = find(connection, order_id)
    if order.state != "reserved":
        raise OutOfTurnError(order_id, order.state, "reserved")
    connection.executemany(
        "UPDATE stock SET units = units + ? WHERE region = ? AND sku = ?",
        [(quantity, order.region, sku) for sku, quantity in order.lines.items()],
    )
    connection.execute("DELETE FROM reservations WHERE order_id = ?", (order_id,))
    move(connection, order_id, "placed")
    return {"status": "released", "order_id": order_id, "units": sum(order.lines.values())}


def below_level(connection: Connection, region: str) -> dict[str, int]:
    """Return how many units of each thing a region has less than it should.

    Raises:
        NotFoundError: there is no such region.
    """
    check_region(connection, region)
    query = "SELECT sku, level - units FROM stock WHERE region = ? AND units < level ORDER BY sku"
    return dict(connection.execute(query, (region,)).fetchall())


def fill(connection: Connection, region: str) -> dict[str, int]:
    """Fill a region's stock up to its level, and return how many units of each thing came.

    Raises:
        NotFoundError: there is no such region.
    """
    came = below_level(connection, region)
    connection.execute(
        "UPDATE stock SET units = level WHERE region = ? AND units < level", (region,)
    )
    return came
