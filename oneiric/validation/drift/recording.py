"""Look at production, and keep what it is like."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

from pydantic import JsonValue

from oneiric.documents import digest
from oneiric.errors import JSONValue
from oneiric.ports.errors import UnavailableError
from oneiric.text.redaction import redacted
from oneiric.validation.checks.spec import SAFE
from oneiric.validation.drift.baseline import DEFAULT, Baseline, SeenOpenAPI, SeenRoute
from oneiric.validation.drift.config import read_config, read_headers
from oneiric.validation.drift.declared import Route, asked_routes, declared_routes, served_routes
from oneiric.validation.drift.health import PATHS, healthy_path
from oneiric.validation.drift.probe import Answer
from oneiric.validation.drift.view import View


async def look(view: View) -> Baseline:
    """Return what production is like now; what was accepted before stays accepted.

    Raises:
        UnavailableError: production gives no answer.
    """
    question = view.question
    health = await healthy_path(view.prober, question.health or [*PATHS], view.nowhere)
    headers = await read_headers(view.prober, (health or "/", "/"))
    if headers is None:
        raise UnavailableError("drift", "production gives no answer that could be recorded")
    kept = (await view.baseline()).baseline
    paths = question.config or [*(kept.config if kept is not None else ())]
    return Baseline(
        name=question.baseline or DEFAULT,
        at=view.at,
        prod_url=question.prod_url,
        routes=await _routes(view),
        openapi=await _openapi(view),
        health=health,
        headers=headers,
        config={path: await _config(view, path) for path in paths},
        accepted=kept.accepted if kept is not None else [],
    )


async def _routes(view: View) -> list[SeenRoute]:
    question = view.question
    known = await declared_routes(view) or await served_routes(view)
    asked = asked_routes(question.routes or (), known, question, view.prober)
    routes = {(route.method, route.url): route for route in (*known, *asked)}
    seen = await asyncio.gather(*(_seen(view, route) for route in routes.values()))
    found = [each for each in seen if each is not None]
    return sorted(found, key=lambda each: (each.path, each.method))


async def _seen(view: View, route: Route) -> SeenRoute | None:
    """Return *route* as it answered, or None where it is not there or nobody can tell."""
    if route.method and route.method not in SAFE:
        return SeenRoute(method=route.method, path=route.path, status=0)
    method = route.method or "GET"
    reply = await view.prober.ask(method, route.url)
    if not isinstance(reply, Answer) or reply.status in (404, 405, 410, 429):
        return None
    return SeenRoute(method=method, path=route.path, status=reply.status)


async def _openapi(view: View) -> SeenOpenAPI | None:
    served = await view.served()
    if served.document is None:
        return None
    document = _shown(served.document.root)
    return SeenOpenAPI(
        url=served.source, digest=digest(document), document=cast("JsonValue", document)
    )


async def _config(view: View, path: str) -> JsonValue:
    value, problem = await read_config(view.prober, path)
    if problem:
        raise UnavailableError("drift", f"{path} cannot be recorded: {problem}")
    return cast("JsonValue", value)


def _shown(value: JSONValue) -> JSONValue:
    """Return a document without credentials in its texts; what is named as a secret is a schema."""
    if isinstance(value, Mapping):
        return {name: _shown(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shown(each) for each in value]
    return str(redacted(value)) if isinstance(value, str) else value
