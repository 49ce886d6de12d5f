"""Failures that an order asks for, to see what becomes of a run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oneiric.demo.fulfillment.errors import ProvokedFailureError, ProvokedOutageError

if TYPE_CHECKING:
    from oneiric.demo.fulfillment.book import OrderBook
    from oneiric.stores.database import Connection


async def falter_once(book: OrderBook, what: str, key: str) -> None:
    """Fail the first time for *key*, as something does that is out of reach for a while.

    Raises:
        ProvokedOutageError: it is the first time.
    """
    if await book.change(partial(_is_first, key=f"falter {what} {key}")):
        raise ProvokedOutageError(f"{what} falters, as was asked for")


async def fail_once(book: OrderBook, what: str, key: str) -> None:
    """Fail the first time for *key*, for good as far as one attempt after another goes.

    Raises:
        ProvokedFailureError: it is the first time.
    """
    if await book.change(partial(_is_first, key=f"fail {what} {key}")):
        hint = "resume the run to get past it"
        raise ProvokedFailureError(f"{what} fails, as was asked for", hint=hint)


def _is_first(connection: Connection, at: str, key: str) -> bool:
    done = connection.execute("INSERT OR IGNORE INTO provoked VALUES (?, ?)", (key, at))
    return done.rowcount > 0
