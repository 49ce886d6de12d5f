"""Why an order does not go on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from oneiric.errors import InvalidError, JSONValue, OneiricError, RefusedError, UnavailableError


class OrderDiffersError(InvalidError):
    """An order of that id was placed with other content."""

    code = "order-differs"

    def __init__(self, order_id: str, fields: Sequence[str]) -> None:
        super().__init__(
            f"the order {order_id} was placed with other {', '.join(fields)}",
            hint="leave them out to go on with that order, or take another order_id",
        )
        self.order_id = order_id
        self.fields = tuple(fields)

    def details(self) -> Mapping[str, JSONValue]:
        return {"order_id": self.order_id, "fields": list(self.fields)}


class OutOfStockError(RefusedError):
    """A region has fewer units than an order asks for."""

    code = "out-of-stock"

    def __init__(self, order_id: str, region: str, short: Mapping[str, int]) -> None:
        told = ", ".join(f"{units} {sku}" for sku, units in short.items())
        super().__init__(
            f"the order {order_id} asks for {told} more than {region} has in stock",
            hint=f"oneiric workflow run fastblocks.workflows.restock --context "
            f'\'{{"region": "{region}"}}\'',
        )
        self.short = dict(short)

    def details(self) -> Mapping[str, JSONValue]:
        return {"short": self.short}


class CardDeclinedError(RefusedError):
    """The gateway does not charge that much to a card."""

    code = "card-declined"

    def __init__(self, cents: int, limit: int) -> None:
        super().__init__(
            f"the card's limit is {limit} cents, and {cents} were asked for",
            hint="bill it instead: oneiric swap adapter:payments --provider invoice",
        )
        self.cents = cents
        self.limit = limit

    def details(self) -> Mapping[str, JSONValue]:
        return {"cents": self.cents, "limit": self.limit}


class OutOfTurnError(RefusedError):
    """A step of an order whose turn has not come, or is over."""

    code = "out-of-turn"

    def __init__(self, order_id: str, state: str, wanted: str) -> None:
        super().__init__(f"the order {order_id} is {state}, not {wanted}")
        self.order_id = order_id
        self.state = state

    def details(self) -> Mapping[str, JSONValue]:
        return {"order_id": self.order_id, "state": self.state}


class OrderBusyError(UnavailableError):
    """Another run charges the order, and has not said yet what came of it."""

    code = "order-busy"

    def __init__(self, order_id: str) -> None:
        super().__init__(
            f"another run charges the order {order_id}", hint="try again when that run is over"
        )
        self.order_id = order_id

    def details(self) -> Mapping[str, JSONValue]:
        return {"order_id": self.order_id}


class ProvokedFailureError(OneiricError):
    """A step failed because `fail_at` of its input asked for that; it does so once in a run."""

    code = "provoked-failure"


class ProvokedOutageError(UnavailableError):
    """The first attempt of a step failed because `falter_at` of its input asked for that."""

    code = "provoked-outage"
