"""The questions of those who look after a server, and who may ask more than these."""

import hmac
from collections.abc import Mapping

from aiohttp import web

from oneiric.errors import UnauthenticatedError
from oneiric.web.app import application
from oneiric.web.auth import IDENTITY
from oneiric.web.errors import json_response
from oneiric.web.health import health_routes
from oneiric.web.serve import TCP, served
from tests.web.served import request, say, serving


async def test_a_server_that_is_not_ready_says_what_is_in_the_way() -> None:
    """It is 503 with the reasons until they are gone."""
    problems = ["the activity database cannot be read"]
    app = application(health_routes(ready=lambda: problems))
    async with served(app, TCP()) as where:
        status, _, body = await say(where.port, request("GET", "/readyz"))
        assert (status, body["ok"], body["problems"]) == (503, False, problems)
        problems.clear()
        assert (await say(where.port, request("GET", "/readyz")))[0] == 200
        assert (await say(where.port, request("GET", "/healthz")))[2]["ok"] is True
        assert (await say(where.port, request("GET", "/metrics")))[0] == 404


async def test_metrics_are_text() -> None:
    """In Prometheus's format, as it was given."""
    async with serving() as port:
        status, fields, body = await say(port, request("GET", "/metrics"))
    assert (status, body) == (200, "up 1\n")
    assert fields["content-type"].startswith("text/plain; version=0.0.4")


async def test_promise_c5_health_and_readiness_alone_are_open() -> None:
    """Whatever else is asked for, who asks has to say who it is, even for what is not there."""

    async def authenticate(headers: Mapping[str, str]) -> object:
        if not hmac.compare_digest(headers.get("authorization", ""), "Bearer t"):
            raise UnauthenticatedError("no valid token was given")
        return "ci"

    async def who(asked: web.Request) -> web.Response:
        return json_response(str(asked[IDENTITY]))

    async with serving([web.get("/who", who)], authenticate=authenticate) as port:
        found = {
            path: (await say(port, request("GET", path)))[0]
            for path in ("/healthz", "/readyz", "/metrics", "/who", "/nowhere", "//healthz", "/")
        }
        _, fields, body = await say(port, request("GET", "/who", None))
        own = await say(port, request("GET", "/who", None, "Authorization: Bearer t"))
    assert found == {
        "/healthz": 200,
        "/readyz": 200,
        "/metrics": 401,
        "/who": 401,
        "/nowhere": 401,
        "//healthz": 401,
        "/": 401,
    }
    assert fields["www-authenticate"] == "Bearer"
    assert body["error"]["code"] == "unauthenticated"
    assert own[2] == "ci"
