"""What is answered for every path alike, which proves no route."""

import html
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from tests.validation.drift.service import (
    CONTRACT,
    ONLY_ROUTES,
    codes,
    detecting,
    detector_in,
    keep_contract,
    unsure,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SHUT: dict[str, Any] = {**CONTRACT, "security": [{"bearer": []}]}


@asynccontextmanager
async def answering(handler: Handler) -> AsyncIterator[str]:
    """The address of a service that answers every path and method by one handler."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _gateway(status: int, **headers: str) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers)

    return answer


async def _not_found_in_words(_: web.Request) -> web.Response:
    return web.json_response({"error": "not found"})


async def _below_api(request: web.Request) -> web.Response:
    return web.Response(status=401 if request.path.startswith("/api/") else 404)


@pytest.mark.parametrize(
    ("handler", "route"),
    [
        (_gateway(401), "/users"),
        (_gateway(403), "/users"),
        (_gateway(302, Location="/login"), "/users"),
        (_gateway(400), "/users"),
        (_gateway(421), "/users"),
        (_gateway(304), "/users"),
        (_gateway(200), "/me"),
        (_not_found_in_words, "/me"),
    ],
)
async def test_what_is_answered_for_every_path_proves_no_route(
    handler: Handler, route: str, tmp_path: Path
) -> None:
    """A gateway in front, or a service that knows no 404, says nothing of what is behind it."""
    keep_contract(tmp_path, SHUT)
    async with answering(handler) as url, detecting(tmp_path) as detect:
        routes = [{"method": "GET", "path": route, "auth": "users" in route}]
        report = await detect(url, routes=routes, checks=ONLY_ROUTES)
    assert (codes(report), unsure(report), report.checked) == ([], [("route", f"GET {route}")], {})
    assert str(report.outcome) == "inconclusive"


async def test_a_gateway_in_front_of_a_folder_proves_nothing_below_it(tmp_path: Path) -> None:
    """What is answered elsewhere says nothing of the paths that a gateway keeps."""
    async with answering(_below_api) as url, detecting(tmp_path) as detect:
        routes = [{"path": "/api/users", "auth": True}]
        report = await detect(url, routes=routes, checks=ONLY_ROUTES)
    assert (codes(report), unsure(report)) == ([], [("route", "/api/users")])


async def test_a_page_that_is_made_anew_for_every_path_is_no_route(tmp_path: Path) -> None:
    """It is the same page with another nonce in it; that of the first path is its own."""

    async def page(_: web.Request) -> web.Response:
        text = f"<html><script nonce={uuid.uuid4()}></script></html>"
        return web.Response(text=text, content_type="text/html")

    async with answering(page) as url, detecting(tmp_path) as detect:
        report = await detect(url, routes=["/", "/users"], checks=ONLY_ROUTES)
    assert codes(report) == [("route-missing", "/users")]


def _echo(shown: Callable[[web.Request], str], kind: str) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=shown(request), content_type=kind)

    return answer


def _nonce() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize(
    ("shown", "kind"),
    [
        (lambda asked: f"<p>{asked.rel_url.raw_path}</p>", "text/html"),
        (lambda asked: f"<p title='{asked.path}'>{asked.rel_url.raw_path}</p>", "text/html"),
        (lambda asked: f"<p>No {html.escape(asked.path)}, {_nonce()}</p>", "text/html"),
        (lambda asked: f"<p>No menu of {asked.path.rpartition('/')[2]}</p>", "text/html"),
        (lambda asked: f"<a href='?next={quote(asked.path, safe='')}'>in</a>", "text/html"),
        (lambda asked: json.dumps({"path": asked.path, "method": "GET"}), "application/json"),
        (lambda asked: json.dumps({"url": str(asked.url)}), "application/json"),
        (lambda asked: json.dumps({"a": asked.path}).replace("/", "\\/"), "application/json"),
        (lambda asked: json.dumps({"a": asked.path, "id": _nonce()}), "application/json"),
        (lambda asked: json.dumps({"a": asked.path, "at": time.time()}), "application/json"),
    ],
)
@pytest.mark.parametrize("route", ["/me", "/users/7?page=2", "/a%20b/o'clock%22/%C3%A9&c"])
async def test_a_path_that_is_only_echoed_is_no_route(
    shown: Callable[[web.Request], str], kind: str, route: str, tmp_path: Path
) -> None:
    """A service that answers every path with that path in the page has no route by it."""
    async with answering(_echo(shown, kind)) as url, detecting(tmp_path) as detect:
        report = await detect(url, routes=[route], checks=ONLY_ROUTES)
    missing = [code for code, _ in codes(report)] == ["route-missing"]
    assert missing if kind == "text/html" else len(unsure(report)) == 1
    assert report.checked == ({"route": 1} if kind == "text/html" else {})


async def test_a_page_of_its_own_beside_one_for_every_path_is_a_route(tmp_path: Path) -> None:
    """What a route says besides its path is what tells it from a path that is not there."""

    async def page(asked: web.Request) -> web.Response:
        known = {"/users": {"users": []}, "/me": {"path": "/me", "name": "a"}}
        return web.json_response(known.get(asked.path, {"path": asked.path}))

    async with answering(page) as url, detecting(tmp_path) as detect:
        report = await detect(url, routes=["/users", "/me"], checks=ONLY_ROUTES)
    assert (codes(report), unsure(report), report.checked) == ([], [], {"route": 2})


async def test_a_route_for_every_path_is_there(tmp_path: Path) -> None:
    """Where the contract has a template for any name, no name is one that is not there."""

    async def page(asked: web.Request) -> web.Response:
        return web.Response(text=f"<p>{asked.path}</p>", content_type="text/html")

    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    get = {"parameters": [name], "responses": {"200": {"description": "a page"}}}
    keep_contract(tmp_path, {**CONTRACT, "paths": {"/{name}": {"get": get}}})
    async with answering(page) as url, detecting(tmp_path) as detect:
        report = await detect(url, checks=ONLY_ROUTES)
    assert (codes(report), report.checked) == ([], {"route": 1})


async def test_options_that_are_answered_alike_for_every_path_prove_no_route(
    tmp_path: Path,
) -> None:
    """Some proxies name methods for whatever they are asked."""

    async def proxy(request: web.Request) -> web.Response:
        if request.method == "OPTIONS":
            return web.Response(status=204, headers={"Allow": "OPTIONS, POST"})
        return web.Response(status=404)

    async with answering(proxy) as url, detecting(tmp_path) as detect:
        report = await detect(url, routes=["/users"], checks=ONLY_ROUTES)
    assert codes(report) == [("route-missing", "/users")]


async def test_a_recorded_refusal_of_a_gateway_is_no_evidence_later(tmp_path: Path) -> None:
    """What a baseline saw of a gateway tells nothing of the routes behind it."""
    async with answering(_gateway(401)) as url, detector_in(tmp_path) as detector:
        asked: dict[str, Any] = {"prod_url": url, "repo_path": str(tmp_path)}
        asked["checks"] = ONLY_ROUTES
        await detector.record({**asked, "routes": ["/users"]})
        report = await detector.detect(asked)
    assert (codes(report), unsure(report)) == ([], [("route", "GET /users")])
