"""`event.dispatch`: honest dry runs, and deliveries that are told one by one."""

import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from oneiric.domains import InvalidPayloadError
from tests.actions.conftest import Act, GivenSettings

KEY = "event.dispatch"


class Hooked:
    """A site that keeps what its hook `/ok` receives."""

    def __init__(self) -> None:
        self.address = ""
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []

    async def take(self, request: web.Request) -> web.Response:
        """Keep a request."""
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        return web.Response(status=202)

    async def fail(self, request: web.Request) -> web.Response:
        """Fail, or redirect."""
        status = int(request.match_info["status"])
        return web.Response(status=status, headers={"Location": "/ok"})


@pytest.fixture
async def hooked(given: GivenSettings) -> AsyncIterator[Hooked]:
    """A site that hooks may call."""
    found = Hooked()
    app = web.Application()
    app.router.add_post("/ok", found.take)
    app.router.add_post("/status/{status}", found.fail)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    place = web.TCPSite(runner, "127.0.0.1", 0)
    await place.start()
    found.address = f"http://127.0.0.1:{place.port}"
    given["builtin-event-dispatch"] = {"allowed_hosts": [found.address]}
    yield found
    await runner.cleanup()


def hook(name: str, url: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "url": url, **more}


async def test_a_dry_run_sends_nothing_and_says_what_it_would_do(act: Act, hooked: Hooked) -> None:
    """It is the default; nothing is called delivered, and a forbidden host is told already."""
    found = await act(
        KEY,
        topic="order.created",
        payload={"id": 7},
        hooks=[
            hook("a", f"{hooked.address}/ok?token=s3cret"),
            hook("off", hooked.address, enabled=False),
            hook("away", "https://example.org/x"),
            hook("odd", "https://[x"),
        ],
    )

    assert hooked.bodies == []
    assert (found["status"], found["delivered"]) == ("dry-run", [])
    assert (found["skipped"], found["failed"]) == (["off"], ["away", "odd"])
    assert [(each["name"], each["status"]) for each in found["hooks"]] == [
        ("a", "would-deliver"),
        ("off", "skipped"),
        ("away", "failed"),
        ("odd", "failed"),
    ]
    assert "may not be called" in found["hooks"][2]["reason"]
    assert "s3cret" not in str(found["hooks"])


async def test_each_hook_is_called_and_told_by_itself(act: Act, hooked: Hooked) -> None:
    """One that fails, redirects or is forbidden disturbs no other."""
    found = await act(
        KEY,
        topic="t",
        data=[1],
        metadata={"tenant": "x"},
        dry_run=False,
        hooks=[
            hook("ok", f"{hooked.address}/ok", secret="k", headers={"X-A": "b"}),
            hook("broken", f"{hooked.address}/status/500"),
            hook("moved", f"{hooked.address}/status/302"),
            hook("away", "http://127.0.0.1:9/x"),
        ],
    )

    assert (found["status"], found["delivered"]) == ("partial", ["ok"])
    assert found["failed"] == ["broken", "moved", "away"]
    assert [each["status_code"] for each in found["hooks"]] == [202, 500, 302, None]
    (body,) = hooked.bodies
    assert json.loads(body) == found["event"]
    assert found["event"]["specversion"] == "1.0"
    assert (found["event"]["type"], found["event"]["tenant"]) == ("t", "x")
    (headers,) = hooked.headers
    assert headers["X-Signature"] == f"sha256={hmac.digest(b'k', body, 'sha256').hex()}"
    assert (headers["Content-Type"], headers["X-A"]) == ("application/cloudevents+json", "b")


@pytest.mark.parametrize(
    ("paths", "status"),
    [(["/ok"], "delivered"), (["/status/500"], "failed"), ([], "skipped")],
)
async def test_the_status_sums_up(act: Act, hooked: Hooked, paths: list[str], status: str) -> None:
    """Delivered only when somebody received it."""
    hooks = [hook(path, f"{hooked.address}{path}") for path in paths]

    assert (await act(KEY, topic="t", dry_run=False, hooks=hooks))["status"] == status


async def test_what_no_event_or_hook_may_hold_is_refused(act: Act) -> None:
    """Names that are no attributes of an event, and header fields of the connection."""
    for wrong in (
        {"metadata": {"Trace-Id": "x"}},
        {"hooks": [hook("a", "https://a.example", headers={"Host": "b.example"})]},
        {"payload": 1, "data": 2},
    ):
        with pytest.raises(InvalidPayloadError):
            await act(KEY, topic="t", **wrong)
