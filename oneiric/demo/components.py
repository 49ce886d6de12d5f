"""Small components to list, explain and swap: services, tasks, handlers and workflows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TypedDict

from oneiric.core.handle import Link
from oneiric.domains.events import Event

LONGEST_PAUSE = 60.0


class Receipt(TypedDict):
    """What a payment leaves behind; amounts in cents."""

    order_id: str
    cents: int
    reference: str


class StatusService:
    """Tell since when it runs."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    async def report(self) -> dict[str, object]:
        """Return the state and the seconds since the start."""
        return {"state": "ok", "up_seconds": round(time.monotonic() - self._started, 3)}


class CountingStatusService(StatusService):
    """Tell that, and how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    async def report(self) -> dict[str, object]:
        """Return the state, the seconds since the start and the count of reports."""
        self._asked += 1
        return {**await super().report(), "reports": self._asked}


class LedgerPayment:
    """Keep payments in a ledger; paying an order twice is one payment."""

    def __init__(self) -> None:
        self._ledger: dict[str, Receipt] = {}

    async def charge(self, order_id: str, cents: int) -> Receipt:
        """Charge an order once and return its receipt.

        Raises:
            ValueError: the amount is not positive.
        """
        if cents <= 0:
            raise ValueError(f"an order costs more than {cents} cents")
        reference = f"{self.prefix}-{len(self._ledger) + 1:06d}"
        return self._ledger.setdefault(
            order_id, Receipt(order_id=order_id, cents=cents, reference=reference)
        )

    prefix = "ledger"


class SandboxPayment(LedgerPayment):
    """Do the same with references that no bank would take."""

    prefix = "sandbox"


class OutboxNotification:
    """Keep messages in an outbox."""

    def __init__(self) -> None:
        self.outbox: list[str] = []

    async def send(self, text: str) -> int:
        """Add a message and return how many there are."""
        self.outbox.append(text)
        return len(self.outbox)


class DigestNotification(OutboxNotification):
    """Keep each message once, however often it is sent."""

    async def send(self, text: str) -> int:
        """Add a message unless it is there, and return how many there are."""
        return len(self.outbox) if text in self.outbox else await super().send(text)


class CountWords:
    """Count the words of a text."""

    async def run(self, payload: Mapping[str, str]) -> dict[str, int]:
        """Return how many words `payload["text"]` has."""
        return {"words": len(payload.get("text", "").split())}


class CountDistinctWords:
    """Count the different words of a text."""

    async def run(self, payload: Mapping[str, str]) -> dict[str, int]:
        """Return how many different words `payload["text"]` has."""
        return {"words": len(set(payload.get("text", "").lower().split()))}


class Pause:
    """Wait, as work that takes its time does."""

    async def run(self, payload: Mapping[str, float]) -> dict[str, float]:
        """Wait for `payload["seconds"]`, and return how many that were."""
        seconds = min(max(payload.get("seconds", 0), 0), LONGEST_PAUSE)
        await asyncio.sleep(seconds)
        return {"seconds": seconds}


class NoPause:
    """Wait for nothing, where nobody has the time."""

    async def run(self, payload: Mapping[str, float]) -> dict[str, float]:
        """Return that no seconds were waited."""
        del payload
        return {"seconds": 0}


class Say:
    """Say something about what was counted."""

    async def run(self, payload: Mapping[str, str]) -> str:
        """Return `payload["line"]`."""
        return payload.get("line", "")


class SayLoud(Say):
    """Say it in capitals."""

    async def run(self, payload: Mapping[str, str]) -> str:
        """Return `payload["line"]` in capitals."""
        return (await super().run(payload)).upper()


class RememberOrder:
    """Keep the orders that it was told of."""

    def __init__(self) -> None:
        self.orders: list[str] = []

    async def handle(self, event: Event) -> int:
        """Keep the event's `id` and return how many there are."""
        self.orders.append(event.id)
        return len(self.orders)


class CountOrders:
    """Count the orders that it was told of."""

    def __init__(self) -> None:
        self._count = 0

    async def handle(self, event: Event) -> int:
        """Count one more and return the count."""
        del event
        self._count += 1
        return self._count


class WordReport:
    """Report on a text with whatever task counts words."""

    def __init__(self, words: Link[CountWords]) -> None:
        self._words = words

    async def run(self, payload: Mapping[str, str]) -> str:
        """Return a line about the text."""
        async with self._words.use() as counter:
            return f"{(await counter.run(payload))['words']} words"


class LoudWordReport(WordReport):
    """Do the same in capitals."""

    async def run(self, payload: Mapping[str, str]) -> str:
        """Return a line about the text, in capitals."""
        return (await super().run(payload)).upper()
