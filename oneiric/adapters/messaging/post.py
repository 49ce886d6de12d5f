"""Requests that carry a message: bounded, tried again, and never quoting their address."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, Field, SecretStr

from oneiric.adapters.settings import AdapterSettings
from oneiric.backoff import Backoff
from oneiric.clock import Clock, SystemClock
from oneiric.core.handle import Link
from oneiric.core.health import HealthReport
from oneiric.documents.model import refused
from oneiric.errors import OneiricError
from oneiric.ports.errors import AdapterError
from oneiric.ports.http import HTTPClient, HTTPResponse, origin
from oneiric.remote.errors import AddressError
from oneiric.remote.origin import Origin

T = TypeVar("T")
JITTER = 0.5


def _checked(url: SecretStr) -> SecretStr:
    try:
        Origin.of(url.get_secret_value())
    except AddressError as error:
        raise refused(error.message) from None
    return url


SecretURL: TypeAlias = Annotated[SecretStr, AfterValidator(_checked)]
"""An address that is itself a secret: https, or http on this machine, without credentials."""


class PostSettings(AdapterSettings):
    """Bound a delivery: seconds of one attempt, attempts, and the longest wait between two."""

    timeout: float = Field(default=10.0, gt=0, le=60)
    attempts: int = Field(default=3, ge=1, le=10)
    retry_seconds: float = Field(default=0.5, ge=0, le=60)
    max_wait_seconds: float = Field(default=10.0, ge=0, le=60)
    healthcheck_timeout: float = Field(default=2.0, gt=0, le=60)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one attempt sends; no field is ever shown."""

    headers: Mapping[str, str]
    content: bytes

    def __repr__(self) -> str:
        return f"Parcel({len(self.content)} bytes)"


class Post:
    """Send requests through whichever HTTP client serves; redirects are not followed.

    What may succeed later is tried again, after what the receiver asks for, or a delay that
    doubles. No error shows more of an address than scheme, host and port, as paths are secrets
    too.
    """

    def __init__(
        self, settings: PostSettings, http: Link[HTTPClient], clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._http = http
        self.clock = clock or SystemClock()
        longest = settings.max_wait_seconds
        self._backoff = Backoff(
            base_seconds=settings.retry_seconds, max_seconds=longest, jitter=JITTER
        )

    async def deliver(
        self,
        method: str,
        url: str,
        parcel: Callable[[], Parcel],
        understood: Callable[[HTTPResponse], T],
    ) -> T:
        """Send what *parcel* makes for each attempt, and return what *understood* makes of it.

        Raises:
            AdapterError: the last attempt failed, or one did for good; an error that
                *understood* raises counts as well.
        """
        attempt = 1
        while True:
            try:
                return understood(await self._once(method, url, parcel()))
            except AdapterError as error:
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
            await self.clock.sleep(wait)
            attempt += 1

    async def reach(self, url: str) -> HealthReport:
        """Tell whether the host of *url* answers at all; its path is not called."""
        limit = self._settings.healthcheck_timeout
        try:
            async with self._http.use() as client:
                await client.head(f"{origin(url)}/", timeout=limit, follow=_never)
        except OneiricError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def _once(self, method: str, url: str, parcel: Parcel) -> HTTPResponse:
        async with self._http.use() as client:
            answer = await client.request(
                method,
                url,
                headers=parcel.headers,
                content=parcel.content,
                timeout=self._settings.timeout,
                follow=_never,
            )
        shown = replace(answer, url=origin(url))
        if 300 <= shown.status_code < 400:
            raise AdapterError(shown.url, f"answered {shown.status_code}, a redirect")
        return shown.expect_ok()

    def _wait(self, error: AdapterError, attempt: int) -> float | None:
        """Return the seconds before the next attempt, or None where none is to be made."""
        settings = self._settings
        if not error.retryable or attempt >= settings.attempts:
            return None
        delay = self._backoff.delay(attempt, chance=random.random())  # noqa: S311  # no secret
        asked = error.retry_after
        if asked is None:
            return delay
        return max(asked, delay) if asked <= settings.max_wait_seconds else None


def _never(url: str) -> bool:
    return False
