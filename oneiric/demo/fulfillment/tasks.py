"""The steps of a fulfilment, each a task that may be called again without harm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from oneiric.demo.fulfillment import paying, shipping, stock
from oneiric.demo.fulfillment.errors import CardDeclinedError
from oneiric.demo.fulfillment.orders import OrderInput, find, place, read_input
from oneiric.demo.fulfillment.provoked import fail_once, falter_once
from oneiric.errors import JSONValue

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.demo.fulfillment.book import OrderBook
    from oneiric.demo.fulfillment.payments import InvoiceGateway
    from oneiric.runs.context import StepContext


class OrderTask(ABC):
    """Do one step of an order; what it did is a row of the order book under the step's key.

    The status of a result begins with `already-` where an earlier run of the same order did
    the work.
    """

    step: ClassVar[str]

    def __init__(self, orders: Link[OrderBook]) -> None:
        self._orders = orders

    async def run(self, payload: JSONValue, context: StepContext) -> JSONValue:
        """Do the step for the order that *payload* names, and return what is so now."""
        asked, key = read_input(payload), context.idempotency_key
        async with self._orders.use() as book:
            if asked.falter_at == self.step:
                await falter_once(book, self.step, key)
            if asked.fail_at == self.step:
                await fail_once(book, self.step, key)
            return await self._do(book, asked, key)

    @abstractmethod
    async def _do(self, book: OrderBook, asked: OrderInput, key: str) -> JSONValue: ...


class Validate(OrderTask):
    """Place the order unless it is placed, and return it as it stands."""

    step = "validate"

    async def _do(self, book: OrderBook, asked: OrderInput, key: str) -> JSONValue:
        order = await book.change(partial(place, asked=asked, key=key))
        return {"status": "placed" if order.key == key else "already-placed", **order.as_json()}


class Reserve(OrderTask):
    """Take the order's lines out of the stock of its region."""

    step = "reserve"

    async def _do(self, book: OrderBook, asked: OrderInput, key: str) -> JSONValue:
        return await book.change(partial(stock.reserve, order_id=asked.order_id, key=key))


class Charge(OrderTask):
    """Charge the order's amount through whoever serves `adapter:payments`."""

    step = "charge"

    def __init__(self, orders: Link[OrderBook], payments: Link[InvoiceGateway]) -> None:
        super().__init__(orders)
        self._payments = payments

    async def _do(self, book: OrderBook, asked: OrderInput, key: str) -> JSONValue:
        payment = await book.change(partial(paying.claim, order_id=asked.order_id, key=key))
        reference = payment.reference
        if payment.state == "claimed":
            order = await book.look(partial(find, order_id=payment.order_id))
            try:
                async with self._payments.use() as gateway:
                    reference = await gateway.charge(
                        payment.charge_key, payment.cents, order.customer
                    )
            except CardDeclinedError:
                await book.change(lambda connection, at: paying.abandon(connection, payment))
                raise
            await book.change(lambda connection, at: paying.confirm(connection, payment, reference))
        return {
            "status": "charged" if payment.key == key else "already-charged",
            "order_id": payment.order_id,
            "amount_cents": payment.cents,
            "reference": reference,
        }


class Ship(OrderTask):
    """Hand the parcel to the carrier that was booked, or to that of the order's speed."""

    step = "ship"

    async def _do(self, book: OrderBook, asked: OrderInput, key: str) -> JSONValue:
        return await book.change(partial(shipping.ship, order_id=asked.order_id, key=key))


class Notify(OrderTask):
    """Put the word to the customer into the outbox."""

    step = "notify"

    async def _do(self, book: OrderBook, asked: OrderInput, key: str) -> JSONValue:
        return await book.change(partial(shipping.notify, order_id=asked.order_id, key=key))
