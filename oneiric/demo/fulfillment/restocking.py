"""Filling up a region's stock: two tasks, one that looks and one that does."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from oneiric.demo.fulfillment import stock
from oneiric.domains.actions import InvalidPayloadError
from oneiric.errors import JSONValue

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.demo.fulfillment.book import OrderBook

REGION = "us"


class CountStock:
    """Tell what a region has less than it should; `us` where none is named."""

    def __init__(self, orders: Link[OrderBook]) -> None:
        self._orders = orders

    async def run(self, payload: JSONValue) -> JSONValue:
        """Return the missing units of each thing."""
        region = _region(payload)
        async with self._orders.use() as book:
            return {
                "region": region,
                "missing": await book.look(partial(stock.below_level, region=region)),
            }


class FillStock:
    """Fill a region's stock up to its level; `us` where none is named."""

    def __init__(self, orders: Link[OrderBook]) -> None:
        self._orders = orders

    async def run(self, payload: JSONValue) -> JSONValue:
        """Return how many units of each thing came."""
        region = _region(payload)
        async with self._orders.use() as book:
            came = await book.change(lambda connection, at: stock.fill(connection, region))
        return {"region": region, "came": came}


def _region(payload: JSONValue) -> str:
    table = payload if isinstance(payload, Mapping) else {}
    region = table.get("region", REGION)
    if not isinstance(region, str):
        raise InvalidPayloadError.of([("region", "it must be text")])
    return region
