"""What undoes a step: each gets the step's result, and leaves alone what another run did."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict

from oneiric.demo.fulfillment import paying, stock
from oneiric.documents.model import validate_settings
from oneiric.domains.actions import InvalidPayloadError
from oneiric.errors import ConfigError, JSONValue

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.demo.fulfillment.book import OrderBook
    from oneiric.demo.fulfillment.payments import InvoiceGateway

M = TypeVar("M", bound=BaseModel)


class Reserved(BaseModel):
    """The result of `Reserve`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    status: str
    order_id: str
    reservation: str
    region: str = ""
    units: int = 0


class Charged(BaseModel):
    """The result of `Charge`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    status: str
    order_id: str
    reference: str
    amount_cents: int = 0


class Release:
    """Give what `Reserve` took back to the stock."""

    def __init__(self, orders: Link[OrderBook]) -> None:
        self._orders = orders

    async def run(self, payload: JSONValue) -> JSONValue:
        """Undo a reservation by its result; one that an earlier run made is kept."""
        done = _read(Reserved, payload)
        if done.status != "reserved":
            return {"status": "kept", "order_id": done.order_id}
        async with self._orders.use() as book:
            return await book.change(
                lambda connection, at: stock.release(connection, done.order_id, done.reservation)
            )


class Refund:
    """Give back what `Charge` charged."""

    def __init__(self, orders: Link[OrderBook], payments: Link[InvoiceGateway]) -> None:
        self._orders = orders
        self._payments = payments

    async def run(self, payload: JSONValue) -> JSONValue:
        """Undo a charge by its result; one that an earlier run made is kept."""
        done = _read(Charged, payload)
        told: dict[str, JSONValue] = {"order_id": done.order_id, "reference": done.reference}
        if done.status != "charged":
            return {"status": "kept", **told}
        async with self._orders.use() as book, self._payments.use() as gateway:
            payment = await book.look(
                partial(paying.refundable, order_id=done.order_id, reference=done.reference)
            )
            if payment is None:
                return {"status": "kept", **told}
            await gateway.refund(payment.reference)
            await book.change(lambda connection, at: paying.refunded(connection, payment))
        return {"status": "refunded", **told, "amount_cents": payment.cents}


def _read(model: type[M], payload: JSONValue) -> M:
    table = payload if isinstance(payload, dict) else {}
    try:
        return validate_settings(model, table, key="payload", origin_of=str)
    except ConfigError as error:
        raise InvalidPayloadError(error.problems) from None
