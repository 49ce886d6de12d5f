"""Requests to Snipara: one JSON-RPC call each, tried again where that helps, never too often."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import count

from oneiric.adapters.knowledge.snipara_answers import Answers
from oneiric.adapters.messaging.post import JITTER, PostSettings
from oneiric.backoff import Backoff
from oneiric.clock import Clock
from oneiric.core.handle import Link
from oneiric.documents import canonical
from oneiric.errors import JSONValue, OneiricError
from oneiric.ports.errors import AdapterError, NotFoundError, RateLimitedError, UnavailableError
from oneiric.ports.http import HTTPClient, HTTPResponse, origin


class Line:
    """Call one endpoint through whichever HTTP client serves; redirects are not followed.

    A refusal for now (429, 5xx) is tried again after what was asked for, or a delay that doubles.
    What nobody answered may have been done: it is tried again only where that changes nothing.
    Who asks for a longer wait than `max_wait_seconds` is not called before it is over.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        settings: PostSettings,
        http: Link[HTTPClient],
        clock: Clock,
        answers: Answers,
    ) -> None:
        self._url = url
        self._headers = {
            "X-API-Key": key,
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        self._settings = settings
        self._http = http
        self._clock = clock
        self._answers = answers
        self._numbers = count(1)
        self._silent_until = 0.0
        longest = settings.max_wait_seconds
        self._backoff = Backoff(
            base_seconds=settings.retry_seconds, max_seconds=longest, jitter=JITTER
        )

    async def call(self, method: str, params: JSONValue, *, is_repeatable: bool) -> JSONValue:
        """Send a request and return its result.

        Raises:
            AdapterError: the last attempt failed, or one did for good.
        """
        attempt = 1
        while True:
            self._check_silence()
            try:
                return await self.once(method, params, timeout=self._settings.timeout)
            except UnansweredError as error:
                wait = self._wait(error, attempt) if is_repeatable else None
                if wait is None:
                    raise
            except AdapterError as error:
                wait = self._wait(error, attempt)
                if wait is None:
                    raise
            await self._clock.sleep(wait)
            attempt += 1

    async def once(self, method: str, params: JSONValue, *, timeout: float) -> JSONValue:
        """Send a request a single time, and return its result."""
        number = next(self._numbers)
        body: JSONValue = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        answer = await self._send(canonical(body), timeout)
        if 300 <= answer.status_code < 400:
            raise AdapterError(answer.url, f"answered {answer.status_code}, a redirect")
        try:
            answer.expect_ok()
        except NotFoundError:
            raise NotFoundError(answer.url, "such project,", "or no MCP endpoint") from None
        return self._answers.result(answer, number)

    async def _send(self, content: bytes, timeout: float) -> HTTPResponse:
        try:
            async with self._http.use() as client:
                answer = await client.request(
                    "POST",
                    self._url,
                    headers=self._headers,
                    content=content,
                    timeout=timeout,
                    follow=_never,
                )
        except UnavailableError as error:
            raise UnansweredError(error.backend, error.reason) from error
        except AdapterError:
            raise
        except OneiricError as error:
            reason = f"there is no HTTP client: {error.message}"
            raise UnavailableError(origin(self._url), reason) from error
        return replace(answer, url=origin(self._url))

    def _check_silence(self) -> None:
        left = self._silent_until - self._clock.monotonic()
        if left > 0:
            reason = "asked not to be called for a while"
            raise RateLimitedError(origin(self._url), reason, retry_after=round(left, 3))

    def _wait(self, error: AdapterError, attempt: int) -> float | None:
        """Return the seconds before the next attempt, or None where none is to be made."""
        longest = self._settings.max_wait_seconds
        asked = error.retry_after
        is_last = attempt >= self._settings.attempts
        if asked is not None and (is_last or asked > longest):
            self._silent_until = self._clock.monotonic() + asked
            return None
        if not error.retryable or is_last:
            return None
        delay = self._backoff.delay(attempt, chance=random.random())  # noqa: S311  # no secret
        return delay if asked is None else max(asked, delay)


class UnansweredError(UnavailableError):
    """Nobody answered: what was asked may have been done or not."""

    code = "unanswered"


def _never(url: str) -> bool:
    return False
