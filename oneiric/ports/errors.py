"""What a provider raises: every library's errors, said in the house's words.

    AdapterError              1  the backend failed in a way that has no better name
    ├── NotFoundError         6  what was asked for is not there
    ├── ConflictError         1  it exists already, or changed in the meantime
    ├── PermissionDeniedError 3  wrong credentials, missing rights, untrusted peer
    ├── UnauthenticatedError  3  nothing proves who calls us
    ├── InvalidRequestError   2  no backend of this kind would take the call
    ├── RateLimitedError      5  too many calls; `retry_after` seconds, when known
    ├── UnavailableError      5  unreachable, timed out, closed or not yet up
    ├── NotSupportedError     2  this provider lacks the capability
    └── DependencyMissingError 5 its library is not installed

Where the house has the same notion (`oneiric.errors.NotFoundError`, …) the error
here is one of those too, so a caller may catch either. `retryable` tells whether
the very same call may succeed later. No error carries a secret: `backend` is a
name and an address, never a URL with credentials.
"""

from collections.abc import Mapping
from typing import ClassVar

from oneiric import errors
from oneiric.errors import JSONValue, OneiricError


class AdapterError(OneiricError):
    """State which backend failed and why, in words that no library owns.

    >>> str(AdapterError("redis at localhost:6379", "the answer was no RESP"))
    'redis at localhost:6379: the answer was no RESP'
    """

    code = "adapter-failed"
    retryable: ClassVar[bool] = False
    retry_after: float | None = None

    def __init__(self, backend: str, reason: str, *, hint: str = "") -> None:
        OneiricError.__init__(self, f"{backend}: {reason}", hint=hint)
        self.backend = backend
        self.reason = reason

    def details(self) -> Mapping[str, JSONValue]:
        return {"backend": self.backend, "reason": self.reason, "retryable": self.retryable}


class NotFoundError(AdapterError, errors.NotFoundError):
    """What was asked for is not there; names it, never shows its content."""

    code = "not-found"

    def __init__(self, backend: str, what: str, name: str, *, hint: str = "") -> None:
        AdapterError.__init__(self, backend, f"no {what} {name}", hint=hint)
        self.what = what
        self.name = name
        self.known = ()

    def details(self) -> Mapping[str, JSONValue]:
        return {**AdapterError.details(self), "what": self.what, "name": self.name}


class ConflictError(AdapterError):
    """It exists already, or somebody else changed it in the meantime."""

    code = "conflict"


class PermissionDeniedError(AdapterError, errors.RefusedError):
    """The backend refused who asks: wrong credentials, missing rights, or an untrusted peer."""

    code = "permission-denied"


class UnauthenticatedError(AdapterError, errors.UnauthenticatedError):
    """A caller of ours does not prove who they are; nothing of what was shown is repeated."""

    code = "unauthenticated"


class InvalidRequestError(AdapterError, errors.InvalidError):
    """The call itself is wrong and would be for every backend of this kind."""

    code = "invalid-request"


class RateLimitedError(AdapterError, errors.UnavailableError):
    """Too many calls; `retry_after` seconds may have been named by the backend."""

    code = "rate-limited"
    retryable = True

    def __init__(self, backend: str, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(backend, reason)
        self.retry_after = retry_after

    def details(self) -> Mapping[str, JSONValue]:
        return {**super().details(), "retry_after_seconds": self.retry_after}


class UnavailableError(AdapterError, errors.UnavailableError):
    """The backend cannot be reached, took too long, or the adapter is not up."""

    code = "unavailable"
    retryable = True


class NotSupportedError(AdapterError, errors.InvalidError):
    """This provider lacks a capability; ask for it by name to get one that has it."""

    code = "not-supported"

    def __init__(self, backend: str, capability: str) -> None:
        super().__init__(backend, f"lacks the capability {capability}")
        self.capability = capability

    def details(self) -> Mapping[str, JSONValue]:
        return {**super().details(), "capability": self.capability}


class DependencyMissingError(AdapterError):
    """The provider's library is not installed; `extra` brings it."""

    code = "dependency-missing"
    exit_code = 5

    def __init__(self, backend: str, *, extra: str) -> None:
        super().__init__(
            backend, "its library is not installed", hint=f"pip install 'oneiric[{extra}]'"
        )
        self.extra = extra

    def details(self) -> Mapping[str, JSONValue]:
        return {**super().details(), "extra": self.extra}
