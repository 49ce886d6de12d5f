"""Time and ids: the one source of both, so that tests can move time by hand."""

import asyncio
import re
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol

from oneiric.errors import InvalidError

ID = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}"
"""What an id may look like that somebody else made."""


class Clock(Protocol):
    """What the house needs of time: the date, a steady count, a sleep and new ids."""

    def now(self) -> datetime:
        """Return the current date and time, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds* of `monotonic` time."""
        ...

    def new_id(self) -> str:
        """Return a new UUIDv7 as text: unique, and sortable by time."""
        ...


def checked_id(text: str) -> str:
    """Return an id that somebody else made, if it may be one.

    >>> checked_id("2026-11-21:nightly")
    '2026-11-21:nightly'

    Raises:
        InvalidError: it is too long, or holds what ids do not.
    """
    if not re.fullmatch(ID, text):
        what = "up to 200 letters, digits and any of _.:-, the first a letter or digit"
        raise InvalidError(f"{text[:80]!r} is no id: {what}")
    return text


class SystemClock:
    """The machine's own clock.

    Ids made by one clock ascend even within a millisecond and when the date is
    set back: the last 12 bits of the time field count on (RFC 9562, method 1).
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> datetime:
        """Return the current date and time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for *seconds*."""
        await asyncio.sleep(seconds)

    def new_id(self) -> str:
        """Return a new UUIDv7 as text, greater than every earlier one of this clock."""
        ticks = (time.time_ns() // 1_000_000) << 12
        self._last = max(ticks, self._last + 1)
        return uuid7(self._last, secrets.randbits(62))


def uuid7(ticks: int, random: int) -> str:
    """Compose a UUIDv7 from 60 bits of time (milliseconds, then a count) and 62 random bits.

    >>> uuid7(0x17F22E279B0 << 12 | 0xCC3, 0x18C4DC0C0C07398F)
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f'

    Source: RFC 9562, section 5.7 and its test vector A.6.
    """
    high = (ticks >> 12) << 16 | 0x7000 | (ticks & 0xFFF)
    digits = f"{high:016x}{0x8000000000000000 | random:016x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def rfc3339(moment: datetime) -> str:
    """Return *moment* as RFC 3339 text in UTC, with microseconds and `Z`.

    >>> rfc3339(datetime(2026, 11, 20, 9, 30, tzinfo=UTC))
    '2026-11-20T09:30:00.000000Z'

    Raises:
        ValueError: *moment* has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be written as RFC 3339")
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds').removesuffix('+00:00')}Z"


def is_rfc3339(text: object) -> bool:
    """Tell whether *text* is a time as `rfc3339` writes it.

    >>> is_rfc3339("2026-11-20T09:30:00.000000Z"), is_rfc3339("2026-11-20 09:30")
    (True, False)
    """
    try:
        return isinstance(text, str) and rfc3339(datetime.fromisoformat(text)) == text
    except ValueError:
        return False
