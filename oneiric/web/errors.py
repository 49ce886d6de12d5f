"""What a client is told that something went wrong: a status, and one form of JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

from aiohttp import web

from oneiric.errors import (
    BugError,
    InvalidError,
    JSONValue,
    NotFoundError,
    OneiricError,
    UnauthenticatedError,
    UnavailableError,
)
from oneiric.web.log import log_request_failed

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

EXIT_CODE = "Oneiric-Exit-Code"
"""The header with the exit code that a command would end with."""


class BadRequestError(InvalidError):
    """A request that is no HTTP, or asks for what this server does not do."""

    code = "bad-request"


class WrongMethodError(InvalidError):
    """A path that is asked for with another method than it has."""

    code = "method-not-allowed"

    def __init__(self, method: str, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{path} takes no {method}", hint=f"it takes {' and '.join(allowed)}")
        self.allowed = allowed

    def details(self) -> Mapping[str, JSONValue]:
        return {"allowed": list(self.allowed)}


class TooLargeError(InvalidError):
    """A body that is longer than is taken."""

    code = "too-large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is longer than {limit} bytes")
        self.limit = limit

    def details(self) -> Mapping[str, JSONValue]:
        return {"max_bytes": self.limit}


class MediaTypeError(InvalidError):
    """A body that is not what is taken."""

    code = "unsupported-media-type"


class SlowRequestError(UnavailableError):
    """A body that did not arrive in time."""

    code = "request-timeout"


class CrowdedError(UnavailableError):
    """More connections than are taken, and none of them idle."""

    code = "too-many-connections"


STATUS: Mapping[str, int] = MappingProxyType(
    {
        "method-not-allowed": 405,
        "too-large": 413,
        "unsupported-media-type": 415,
        "request-timeout": 408,
        "unauthenticated": 401,
        "paused": 409,
        "locked": 409,
    }
)
"""The public code of an error to the status that is its own."""

STATUS_OF_EXIT: Mapping[int, int] = MappingProxyType(
    {1: 500, 2: 400, 3: 403, 4: 409, 5: 503, 6: 404}
)
"""The exit code of any other error to its status."""


def status_of(error: OneiricError) -> int:
    """Return the status that tells a client of *error*."""
    return STATUS.get(error.code) or STATUS_OF_EXIT.get(error.exit_code, 500)


def json_response(
    document: JSONValue, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return *document* as JSON."""
    text = json.dumps(document, ensure_ascii=False)
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


def error_response(error: OneiricError, *, with_lines: bool = False) -> web.Response:
    """Return the envelope of *error*, with its status and exit code.

    With the lines a client can print the error as a command would that was here.
    """
    headers = {EXIT_CODE: str(error.exit_code)}
    if isinstance(error, WrongMethodError):
        headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    document = error.as_json()
    if with_lines:
        document["lines"] = list(error.lines())
    return json_response(document, status=status_of(error), headers=headers)


@web.middleware
async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the client of every error in one form; of a bug only that there is one."""
    try:
        return await handler(request)
    except OneiricError as error:
        return error_response(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_response(_translated(request, error))
    except web.RequestPayloadError:
        return error_response(BadRequestError("the body is cut short or broken"))
    except ConnectionError:
        raise  # there is nobody to be told
    except Exception:  # noqa: BLE001  the door to the network: a bug must end no server
        log_request_failed(request.method, request.path)
        return error_response(BugError("something went wrong here; the log says what"))


def _translated(request: web.Request, error: web.HTTPException) -> OneiricError:
    """Return what the HTTP library says as one of our own errors."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = tuple(sorted(error.allowed_methods))
        return WrongMethodError(request.method, request.path, allowed)
    if isinstance(error, web.HTTPNotFound):
        return NotFoundError("path", request.path)
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return TooLargeError(request.client_max_size)
    if error.status < 500:
        return BadRequestError(error.reason)
    return UnavailableError(error.reason)
