"""Whether a server lives, is ready, and how it does, as those ask who look after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from oneiric.errors import JSONValue
from oneiric.metrics import CONTENT_TYPE
from oneiric.web.errors import json_response

Problems = Callable[[], Sequence[str]]


def _none() -> Sequence[str]:
    return ()


def health_routes(
    *,
    alive: Problems = _none,
    ready: Problems = _none,
    metrics: Callable[[], str] | None = None,
) -> list[web.RouteDef]:
    """Return `/healthz` and `/readyz`, and with *metrics* `/metrics`.

    *alive* and *ready* return what is in the way, and nothing where all is well; the answer is
    200 or 503.
    """

    async def healthz(_request: web.Request) -> web.Response:
        return _told(alive())

    async def readyz(_request: web.Request) -> web.Response:
        return _told(ready())

    routes = [web.get("/healthz", healthz), web.get("/readyz", readyz)]
    if metrics is not None:
        text = metrics

        async def measured(_request: web.Request) -> web.Response:
            return web.Response(text=text(), headers={"Content-Type": CONTENT_TYPE})

        routes.append(web.get("/metrics", measured))
    return routes


def health_check(problems: Sequence[str]) -> dict[str, JSONValue]:
    """Return `oneiric.health-check/1`: whether all is well, and what is not."""
    return {
        "schema": "oneiric.health-check/1",
        "ok": not problems,
        "problems": list(problems),
    }


def _told(problems: Sequence[str]) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return json_response(health_check(problems), status=503 if problems else 200, headers=headers)
