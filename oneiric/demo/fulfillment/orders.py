"""An order: what may be asked for, how it is placed once, and how it is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from oneiric.demo.fulfillment.errors import OrderDiffersError
from oneiric.documents.model import refused, validate_settings
from oneiric.domains.actions import InvalidPayloadError
from oneiric.errors import ConfigError, JSONValue, NotFoundError
from oneiric.stores.database import Connection
from oneiric.text.names import is_name

StepName: TypeAlias = Literal["", "validate", "reserve", "charge", "ship", "notify"]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


def _named(text: str) -> str:
    if text and not is_name(text):
        raise refused(f"{text!r} is no name: letters, digits, '.', '_' and '-'")
    return text


class Line(BaseModel):
    """So many of one thing."""

    model_config = _STRICT

    sku: str
    quantity: int = Field(default=1, ge=1, le=10_000)


class OrderInput(BaseModel):
    """What a run, a task or an event may say of an order; every field has a default.

    An order without `order_id` is a new one, named after its run. `amount_cents` is what was
    agreed; without it the lines are summed up. `fail_at` names a step that fails once in a run
    for good, `falter_at` one that does for a moment, so that its next attempt succeeds.
    """

    model_config = _STRICT

    order_id: Annotated[str, AfterValidator(_named)] = ""
    region: str = "us"
    items: list[Line] = Field(
        default=[Line(sku="lamp"), Line(sku="cable", quantity=2)], min_length=1, max_length=100
    )
    customer: str = Field(default="ada@example.org", min_length=1, max_length=200)
    speed: Literal["standard", "express"] = "standard"
    amount_cents: int | None = Field(default=None, ge=1, le=10**9)
    fail_at: StepName = ""
    falter_at: StepName = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the book has it; its state is `placed`, `reserved`, `paid` or `shipped`."""

    order_id: str
    region: str
    customer: str
    speed: str
    amount_cents: int
    state: str
    key: str
    at: str
    lines: Mapping[str, int]

    def as_json(self) -> dict[str, JSONValue]:
        """Return the order, without the key of the step that placed it."""
        return {
            "order_id": self.order_id,
            "region": self.region,
            "customer": self.customer,
            "speed": self.speed,
            "items": dict(self.lines),
            "amount_cents": self.amount_cents,
            "state": self.state,
        }


def read_input(payload: JSONValue) -> OrderInput:
    """Return what *payload* says of an order; nothing says nothing.

    Raises:
        InvalidPayloadError: every field that is unknown or wrong.
    """
    if payload is not None and not isinstance(payload, Mapping):
        raise InvalidPayloadError.of([("", "it must be an object")])
    try:
        return validate_settings(OrderInput, payload or {}, key="payload", origin_of=str)
    except ConfigError as error:
        raise InvalidPayloadError(error.problems) from None


def place(connection: Connection, at: str, asked: OrderInput, key: str) -> Order:
    """Return the order of that id, which is placed if it never was.

    Raises:
        OrderDiffersError: it was placed with other content than *asked* names.
        NotFoundError: there is no such region, or no such thing to buy.
    """
    order_id = asked.order_id or name_of(key)
    if connection.execute("SELECT 1 FROM orders WHERE order_id = ?", (order_id,)).fetchone():
        return _same(find(connection, order_id), asked)
    amount = price(connection, asked.region, asked.items)
    if asked.amount_cents is not None:
        amount = asked.amount_cents
    connection.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, 'placed', ?, ?)",
        (order_id, asked.region, asked.customer, asked.speed, amount, key, at),
    )
    connection.executemany(
        "INSERT INTO lines VALUES (?, ?, ?)",
        [(order_id, sku, quantity) for sku, quantity in summed(asked.items).items()],
    )
    return find(connection, order_id)


def name_of(key: str) -> str:
    """Return the id of an order that was given none: always the same for one *key*."""
    return f"order-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def find(connection: Connection, order_id: str) -> Order:
    """Return the order of that id.

    Raises:
        NotFoundError: it was never placed.
    """
    query = (
        "SELECT order_id, region, customer, speed, amount_cents, state, key, at "
        "FROM orders WHERE order_id = ?"
    )
    row = connection.execute(query, (order_id,)).fetchone()
    if row is None:
        raise NotFoundError("order", order_id or "''", hint="fastblocks.tasks.validate places one")
    lines = "SELECT sku, quantity FROM lines WHERE order_id = ? ORDER BY sku"
    ordered = dict(connection.execute(lines, (order_id,)).fetchall())
    return Order(*(*row, ordered))


def move(connection: Connection, order_id: str, state: str) -> None:
    """Let the order be in *state*."""
    connection.execute("UPDATE orders SET state = ? WHERE order_id = ?", (state, order_id))


def price(connection: Connection, region: str, items: Iterable[Line]) -> int:
    """Return what the lines cost together, in cents.

    Raises:
        NotFoundError: there is no such region, or no such thing to buy.
    """
    check_region(connection, region)
    prices = dict(connection.execute("SELECT sku, cents FROM products ORDER BY sku").fetchall())
    for item in items:
        if item.sku not in prices:
            raise NotFoundError("product", item.sku, known=prices)
    return sum(prices[item.sku] * item.quantity for item in items)


def check_region(connection: Connection, region: str) -> None:
    """Pass if goods lie in that region, be it none at present.

    Raises:
        NotFoundError: they never do.
    """
    query = "SELECT DISTINCT region FROM stock ORDER BY region"
    known = [name for (name,) in connection.execute(query)]
    if region not in known:
        raise NotFoundError("region", region, known=known)


def summed(items: Iterable[Line]) -> dict[str, int]:
    """Return how many of each thing the lines ask for together.

    >>> summed([Line(sku="lamp"), Line(sku="lamp", quantity=2)])
    {'lamp': 3}
    """
    found: dict[str, int] = {}
    for item in items:
        found[item.sku] = found.get(item.sku, 0) + item.quantity
    return found


def _same(order: Order, asked: OrderInput) -> Order:
    given = {
        "region": (asked.region, order.region),
        "items": (summed(asked.items), dict(order.lines)),
        "customer": (asked.customer, order.customer),
        "speed": (asked.speed, order.speed),
        "amount_cents": (asked.amount_cents, order.amount_cents),
    }
    differ = [
        name
        for name, (wanted, had) in given.items()
        if name in asked.model_fields_set and wanted != had
    ]
    if differ:
        raise OrderDiffersError(order.order_id, differ)
    return order
