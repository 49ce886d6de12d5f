"""Payment gateways: they charge each key once, and give back what they charged."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.core.health import HealthReport
from oneiric.demo.fulfillment.errors import CardDeclinedError
from oneiric.demo.fulfillment.schema import CHARGES
from oneiric.errors import NotFoundError, StoreError
from oneiric.stores.database import writing


class GatewaySettings(BaseModel):
    """Where a gateway keeps its own book."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Path(".oneiric_cache/payments.sqlite")
    """The file; it is made when it is first needed."""


class CardSettings(GatewaySettings):
    """The same, and how much a card is good for."""

    limit_cents: int = Field(default=500_000, ge=1)
    """The most that is charged at once."""


class InvoiceGateway:
    """Bill an order; there is no limit.

    A key that was charged is not charged again: its reference is returned, whatever became of
    it since.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"charge", "refund"})
    prefix: ClassVar[str] = "invoice"

    def __init__(
        self, settings: GatewaySettings | None = None, *, clock: Clock | None = None
    ) -> None:
        self._path = (settings or GatewaySettings()).path
        self._clock = clock or SystemClock()

    async def health(self) -> HealthReport:
        """Tell whether the gateway could write its book."""
        try:
            await asyncio.to_thread(self._ask)
        except StoreError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def charge(self, key: str, cents: int, payer: str) -> str:
        """Charge once for *key*, and return the reference of that.

        Raises:
            StoreError: nothing was charged.
        """
        return await asyncio.to_thread(self._charge, key, cents, payer)

    async def refund(self, reference: str) -> bool:
        """Give back what was charged, and tell whether that was not done before.

        Raises:
            NotFoundError: nothing was charged under that reference.
            StoreError: nothing was given back.
        """
        return await asyncio.to_thread(self._refund, reference)

    def _ask(self) -> None:
        with writing(self._path, CHARGES):
            pass

    def _charge(self, key: str, cents: int, payer: str) -> str:
        reference = f"{self.prefix}-{key}"
        with writing(self._path, CHARGES) as connection:
            query = "SELECT reference FROM charges WHERE key = ?"
            if row := connection.execute(query, (key,)).fetchone():
                return str(row[0])
            at = rfc3339(self._clock.now())
            connection.execute(
                "INSERT INTO charges VALUES (?, ?, ?, ?, '', ?)", (key, reference, payer, cents, at)
            )
        return reference

    def _refund(self, reference: str) -> bool:
        with writing(self._path, CHARGES) as connection:
            query = "SELECT refunded_at FROM charges WHERE reference = ?"
            row = connection.execute(query, (reference,)).fetchone()
            if row is None:
                raise NotFoundError("charge", reference)
            connection.execute(
                "UPDATE charges SET refunded_at = ? WHERE reference = ? AND refunded_at = ''",
                (rfc3339(self._clock.now()), reference),
            )
            return not row[0]


class CardGateway(InvoiceGateway):
    """Charge a card that no bank knows, up to its limit."""

    prefix = "card"

    def __init__(self, settings: CardSettings | None = None, *, clock: Clock | None = None) -> None:
        found = settings or CardSettings()
        super().__init__(found, clock=clock)
        self._limit = found.limit_cents

    async def charge(self, key: str, cents: int, payer: str) -> str:
        """Charge once for *key*, and return the reference of that.

        Raises:
            CardDeclinedError: it is more than the card is good for.
            StoreError: nothing was charged.
        """
        if cents > self._limit:
            raise CardDeclinedError(cents, self._limit)
        return await super().charge(key, cents, payer)
