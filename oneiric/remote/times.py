"""From when to when a signed document holds."""

from __future__ import annotations

from datetime import datetime, timedelta

from oneiric.remote.errors import ExpiredError, FutureError

SKEW = timedelta(seconds=300)


def check_time(
    issued: datetime, expires: datetime, now: datetime, *, what: str, source: str
) -> None:
    """Pass if *now* lies between the two, give or take what clocks differ.

    Raises:
        ExpiredError: it lies after *expires*.
        FutureError: it lies more than five minutes before *issued*.
    """
    if now >= expires:
        hint = "it has to be signed anew, with a later expiry"
        raise ExpiredError(source, f"{what} expired {expires:%Y-%m-%dT%H:%M:%SZ}", hint=hint)
    if issued > now + SKEW:
        hint = "check the clock of this machine"
        raise FutureError(source, f"{what} is of {issued:%Y-%m-%dT%H:%M:%SZ}", hint=hint)
