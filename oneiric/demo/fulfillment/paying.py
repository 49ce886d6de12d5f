"""An order's payments: claimed before the gateway is asked, confirmed when it answered.

The claim is what keeps two runs of one order from charging it twice; the key that stands in it
is what keeps one run from doing so that died before it heard the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from oneiric.demo.fulfillment.errors import OrderBusyError, OutOfTurnError
from oneiric.demo.fulfillment.orders import find, move
from oneiric.stores.database import Connection


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment of an order; `round` counts them, for one that was refunded stays.

    Its state is `claimed`, `charged` or `refunded`.
    """

    order_id: str
    round: int
    key: str
    state: str
    reference: str
    cents: int

    @property
    def charge_key(self) -> str:
        """The key under which the gateway charges: another one in each round."""
        return f"{self.key}-{self.round}"


def claim(connection: Connection, at: str, order_id: str, key: str) -> Payment:
    """Return the order's payment: the one that was charged, or one that is now to be.

    Raises:
        NotFoundError: the order was never placed.
        OrderBusyError: another run claimed it.
        OutOfTurnError: nothing is reserved for the order.
    """
    order, last = find(connection, order_id), _last(connection, order_id)
    if last is not None and last.state == "charged":
        return last
    if last is not None and last.state == "claimed":
        if last.key != key:
            raise OrderBusyError(order_id)
        return last
    if order.state != "reserved":
        raise OutOfTurnError(order_id, order.state, "reserved")
    number = last.round + 1 if last else 1
    payment = Payment(order_id, number, key, "claimed", "", order.amount_cents)
    connection.execute(
        "INSERT INTO payments VALUES (?, ?, ?, 'claimed', '', ?, ?)",
        (order_id, number, key, order.amount_cents, at),
    )
    return payment


def confirm(connection: Connection, payment: Payment, reference: str) -> None:
    """Note that the gateway charged."""
    connection.execute(
        "UPDATE payments SET state = 'charged', reference = ? WHERE order_id = ? AND round = ?",
        (reference, payment.order_id, payment.round),
    )
    move(connection, payment.order_id, "paid")


def abandon(connection: Connection, payment: Payment) -> None:
    """Give up a claim, as the gateway refused to charge."""
    connection.execute(
        "DELETE FROM payments WHERE order_id = ? AND round = ? AND state = 'claimed'",
        (payment.order_id, payment.round),
    )


def refundable(connection: Connection, order_id: str, reference: str) -> Payment | None:
    """Return the payment of that reference unless it is refunded already.

    Raises:
        OutOfTurnError: the order is on its way.
    """
    last = _last(connection, order_id)
    if last is None or last.reference != reference or last.state != "charged":
        return None
    order = find(connection, order_id)
    if order.state != "paid":
        raise OutOfTurnError(order_id, order.state, "paid")
    return last


def refunded(connection: Connection, payment: Payment) -> None:
    """Note that the gateway gave the money back."""
    connection.execute(
        "UPDATE payments SET state = 'refunded' WHERE order_id = ? AND round = ?",
        (payment.order_id, payment.round),
    )
    move(connection, payment.order_id, "reserved")


def _last(connection: Connection, order_id: str) -> Payment | None:
    query = (
        "SELECT order_id, round, key, state, reference, cents FROM payments "
        "WHERE order_id = ? ORDER BY round DESC LIMIT 1"
    )
    row = connection.execute(query, (order_id,)).fetchone()
    return Payment(*row) if row else None
