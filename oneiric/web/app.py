"""An application of routes, with what every one of ours has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from oneiric.clock import Clock, SystemClock, checked_id
from oneiric.errors import InvalidError
from oneiric.text.tracing import Doing, Trace, at_work
from oneiric.web.auth import Authenticate, guard
from oneiric.web.errors import Handler, told
from oneiric.web.limits import LIMITS, WebLimits, held_back, occupied

REQUEST_ID = "X-Request-Id"
"""The header with the id of a request, its caller's own if that may be one."""

CLOCK = web.AppKey("clock", Clock)
GUARDED = web.AppKey("guarded", bool)

NOWHERE = "none"
"""The route of a request for which there is no path."""

_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Answered(NamedTuple):
    """A request that was answered: what for, how, its place in a trace, and its caller's.

    `route` is the pattern that matched, never the path itself, and `method` one of those that
    everybody knows, or `other`: what a caller makes up is no name.
    """

    method: str
    route: str
    status: int
    seconds: float
    place: Trace
    caller: Trace | None


TellAnswered: TypeAlias = Callable[[Answered], object]


def application(
    routes: Iterable[web.RouteDef],
    *,
    limits: WebLimits | None = None,
    authenticate: Authenticate | None = None,
    clock: Clock | None = None,
    answered: TellAnswered | None = None,
) -> web.Application:
    """Return an application that answers for *routes*, every error in the one form.

    Each request has an id, which the answer and all that is logged meanwhile carry. Without
    *authenticate* it may be served on loopback addresses and Unix sockets only. With *answered*
    each is a place in a trace, its caller's if that sent a `traceparent`; it hears of every
    request that was answered.
    """
    bounds = limits or WebLimits()
    guards = [guard(authenticate)] if authenticate else []
    hearing = [_telling(answered)] if answered else []
    app = web.Application(
        middlewares=[_identified, *hearing, occupied, told, *guards],
        client_max_size=bounds.documents.max_bytes,
    )
    app[LIMITS] = bounds
    app[CLOCK] = clock or SystemClock()
    app[GUARDED] = authenticate is not None
    for each in routes:
        more = {**each.kwargs, "expect_handler": held_back}
        web.RouteDef(each.method, each.path, each.handler, more).register(app.router)
    return app


@web.middleware
async def _identified(request: web.Request, handler: Handler) -> web.StreamResponse:
    request_id = _id_of(request)
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        response = await handler(request)
    if not response.prepared:
        response.headers[REQUEST_ID] = request_id
    return response


def _telling(answered: TellAnswered) -> Middleware:
    @web.middleware
    async def telling(request: web.Request, handler: Handler) -> web.StreamResponse:
        clock = request.app[CLOCK]
        begun, caller = clock.monotonic(), Trace.parse(request.headers.get("traceparent", ""))
        place = Trace.new(caller)
        with at_work(Doing(parent=place)):
            response = await handler(request)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else NOWHERE
        method = request.method if request.method in _METHODS else "other"
        seconds = clock.monotonic() - begun
        answered(Answered(method, route, response.status, seconds, place, caller))
        return response

    return telling


def _id_of(request: web.Request) -> str:
    try:
        return checked_id(request.headers.get(REQUEST_ID, ""))
    except InvalidError:
        return request.app[CLOCK].new_id()
