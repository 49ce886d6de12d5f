"""An application of routes, with what every one of ours has."""

from __future__ import annotations

from collections.abc import Iterable

import structlog
from aiohttp import web

from oneiric.clock import Clock, SystemClock, checked_id
from oneiric.errors import InvalidError
from oneiric.web.auth import Authenticate, guard
from oneiric.web.errors import Handler, told
from oneiric.web.limits import LIMITS, WebLimits, occupied

REQUEST_ID = "X-Request-Id"
"""The header with the id of a request, its caller's own if that may be one."""

CLOCK = web.AppKey("clock", Clock)
GUARDED = web.AppKey("guarded", bool)


def application(
    routes: Iterable[web.RouteDef],
    *,
    limits: WebLimits | None = None,
    authenticate: Authenticate | None = None,
    clock: Clock | None = None,
) -> web.Application:
    """Return an application that answers for *routes*, every error in the one form.

    Each request has an id, which the answer and all that is logged meanwhile carry. Without
    *authenticate* it may be served on loopback addresses and Unix sockets only.
    """
    bounds = limits or WebLimits()
    guards = [guard(authenticate)] if authenticate else []
    app = web.Application(
        middlewares=[_identified, occupied, told, *guards],
        client_max_size=bounds.documents.max_bytes,
    )
    app[LIMITS] = bounds
    app[CLOCK] = clock or SystemClock()
    app[GUARDED] = authenticate is not None
    app.add_routes(routes)
    return app


@web.middleware
async def _identified(request: web.Request, handler: Handler) -> web.StreamResponse:
    request_id = _id_of(request)
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        response = await handler(request)
    if not response.prepared:
        response.headers[REQUEST_ID] = request_id
    return response


def _id_of(request: web.Request) -> str:
    try:
        return checked_id(request.headers.get(REQUEST_ID, ""))
    except InvalidError:
        return request.app[CLOCK].new_id()
