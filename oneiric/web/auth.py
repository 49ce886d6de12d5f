"""Who asks: a guard before everything but the questions whether a server lives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Middleware

from oneiric.web.errors import Handler

OPEN = frozenset({"/healthz", "/readyz"})
"""The only paths that anybody may ask for."""

IDENTITY = web.RequestKey("identity", object)
"""Under which key a request holds what `authenticate` returned."""

Authenticate = Callable[[Mapping[str, str]], Awaitable[object]]


def guard(authenticate: Authenticate) -> Middleware:
    """Return a middleware that lets nobody pass whom *authenticate* does not know.

    It is given the headers, their names in any case, and returns who it is or raises
    `UnauthenticatedError`; what it raises besides is told as any other error.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN:
            request[IDENTITY] = await authenticate(request.headers)
        return await handler(request)

    return guarded
