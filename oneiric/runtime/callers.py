"""Who may call over HTTP."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from oneiric.core.logging import get_logger
from oneiric.errors import OneiricError, UnauthenticatedError
from oneiric.ports.errors import PermissionDeniedError, UnavailableError
from oneiric.ports.identity import IDENTITY, Principal

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.core.lifecycle import LifecycleManager

BACKEND = "http"
CALL_SECONDS = 30.0
MOST_TOLD = 10
QUIET_SECONDS = 60.0
THIS_MACHINE = Principal(subject="this-machine")
_SCHEME = "bearer"


class Callers:
    """Let in whom the identity port knows, and where none is asked only this machine's programs.

    Without an identity a listener that others reach lets nobody in. On loopback a request must
    be addressed to this machine by name or address, and come from no web page: so that a page
    that somebody looks at cannot call, not even under a name that it made lead here.

    Args:
        provider: the provider of `adapter:identity` to ask; empty for none.
        host: what is listened on.
        refused: called with the code of each refusal.
    """

    def __init__(
        self,
        lifecycle: LifecycleManager,
        *,
        provider: str,
        host: str,
        refused: Callable[[str], object] = str,
    ) -> None:
        self._lifecycle = lifecycle
        self._provider = provider
        self._is_local = is_loopback(host)
        self._known_host = ""
        self._refused = refused
        self._refusals = _Refusals(lifecycle.clock)

    async def __call__(self, headers: Mapping[str, str]) -> Principal:
        """Return who calls.

        Raises:
            UnauthenticatedError: that was not proved.
            PermissionDeniedError: they may not.
            UnavailableError: nobody can tell now.
        """
        try:
            if self._provider:
                return await self._asked(token_of(headers))
            self._check_local(headers)
        except OneiricError as error:
            self._refused(error.code)
            self._refusals.tell(error)
            raise
        return THIS_MACHINE

    async def _asked(self, token: str) -> Principal:
        """Ask the identity; whatever keeps it from answering may pass."""
        lifecycle = self._lifecycle
        try:
            async with lifecycle.use(IDENTITY, provider=self._provider) as identity:
                call = partial(identity.authenticate, token)
                outcome = await lifecycle.builder.guard.call(call, limit=CALL_SECONDS)
        except OneiricError as error:
            raise UnavailableError(BACKEND, "nobody can tell who calls") from error
        if isinstance(outcome.error, UnauthenticatedError | PermissionDeniedError):
            raise outcome.error
        if not isinstance(outcome.value, Principal):
            raise UnavailableError(BACKEND, f"nobody can tell who calls: {outcome.reason}")
        return outcome.value

    def _check_local(self, headers: Mapping[str, str]) -> None:
        if not self._is_local:
            raise PermissionDeniedError(
                BACKEND, "nobody may call", hint="set http.identity, or listen on 127.0.0.1"
            )
        told = headers.get("Host", "")
        if told and told == self._known_host and "Origin" not in headers:
            return
        host = told.rpartition("@")[2]
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if not is_loopback(name.strip("[]")) or "Origin" in headers:
            raise PermissionDeniedError(BACKEND, "only programs of this machine may call")
        self._known_host = told


class _Refusals:
    """Log who is not let in: of each code up to ten in a minute, and how many there were more.

    Anybody can be refused as often as they like, and shall not fill a disk so.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = 0.0
        self._counts: Counter[str] = Counter()
        self._log = get_logger("oneiric.http")

    def tell(self, error: OneiricError) -> None:
        """Log a refusal, or only count it."""
        now = self._clock.monotonic()
        if now - self._since >= QUIET_SECONDS:
            for code, count in self._counts.items():
                if count > MOST_TOLD:
                    self._log.warning("callers-refused", code=code, unsaid=count - MOST_TOLD)
            self._since, self._counts = now, Counter()
        self._counts[error.code] += 1
        if self._counts[error.code] <= MOST_TOLD:
            self._log.warning("caller-refused", code=error.code, reason=error.message)


def token_of(headers: Mapping[str, str]) -> str:
    """Return the bearer token of a request, empty where there is none.

    >>> token_of({"Authorization": "Bearer abc"}), token_of({"Authorization": "Basic abc"})
    ('abc', '')
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == _SCHEME else ""


def is_loopback(host: str) -> bool:
    """Tell whether *host* is this machine, by its name or an address.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("0.0.0.0")  # noqa: S104
    (True, True, False)
    """
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
