"""Errors over HTTP: one form whoever raises them, and nothing told that is nobody's business."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator

import pytest

from oneiric.core.logging import ROOT, configure_logging
from oneiric.errors import (
    ApprovalRequiredError,
    ComponentError,
    ConfigError,
    DocumentError,
    LockedError,
    NoCandidateError,
    OneiricError,
    PausedError,
    PolicyRefusedError,
    StoreError,
    UnauthenticatedError,
)
from oneiric.web.errors import SlowRequestError, TooLargeError, status_of
from tests.web.served import request, say, serving


@pytest.fixture
def quiet() -> Iterator[io.StringIO]:
    """Return where events are written as JSON, for one test."""
    root, stream = logging.getLogger(ROOT), io.StringIO()
    before = (root.handlers[:], root.level, root.propagate)
    configure_logging(stream, emit_json=True)
    yield stream
    root.handlers[:], root.level, root.propagate = before


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("x"), 400),
        (DocumentError("syntax", "x"), 400),
        (TooLargeError(1), 413),
        (SlowRequestError("x"), 408),
        (UnauthenticatedError("x"), 401),
        (PolicyRefusedError("x", "y", {}), 403),
        (PausedError("adapter:cache", "paused"), 409),
        (LockedError("x"), 409),
        (ApprovalRequiredError("x", "y", {}), 409),
        (StoreError("x"), 503),
        (NoCandidateError("adapter:x", (), known=()), 404),
        (ComponentError("adapter:x", "y", "init", "z"), 500),
        (OneiricError("x"), 500),
    ],
)
def test_every_error_has_a_status(error: OneiricError, status: int) -> None:
    """The status follows the exit code, but where the code has one of its own."""
    assert status_of(error) == status


async def test_an_error_is_told_in_one_form() -> None:
    """Code, message, details and hint in the body, the exit code in a header."""
    async with serving() as port:
        status, fields, body = await say(port, request("GET", "/fail?with=paused"))
    assert (status, fields["oneiric-exit-code"]) == (409, "3")
    assert body == PausedError("adapter:cache", "paused").as_json()


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        (request("GET", "/nowhere"), 404, "not-found"),
        (request("DELETE", "/echo"), 405, "method-not-allowed"),
        (request("GET", "/echo"), 405, "method-not-allowed"),
        (request("POST", "/echo", b'{"a":'), 400, "invalid-document"),
        (request("POST", "/echo", b'{"a": 1, "a": 2}'), 400, "invalid-document"),
        (request("POST", "/echo", b"[" * 100 + b"]" * 100), 400, "invalid-document"),
        (request("POST", "/echo", b'"' + b"x" * (1 << 20) + b'"'), 413, "too-large"),
        (request("POST", "/echo", b"{}", kind="text/plain"), 415, "unsupported-media-type"),
        (request("POST", "/echo", b"{}", "Content-Encoding: gzip"), 415, "unsupported-media-type"),
        (request("GET", "/fail?with=bug"), 500, "bug"),
        (b"\x16\x03\x01 no HTTP at all\r\n\r\n", 400, "bad-request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n", 400, "bad-request"),
        (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n", 400, "bad-request"),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "bad-request"),
    ],
)
async def test_what_the_library_refuses_is_told_in_the_same_form(
    asked: bytes, status: int, code: str
) -> None:
    """Whoever refuses a request, its client reads one JSON envelope."""
    async with serving() as port:
        found, fields, body = await say(port, asked)
        assert (await say(port, request("GET", "/healthz")))[0] == 200
    assert (found, body["error"]["code"]) == (status, code)
    assert body["error"].keys() == {"code", "message", "details", "hint"}
    assert fields["oneiric-exit-code"].isdigit()


async def test_a_bug_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """What an unknown exception says stays in the log, for it may hold a secret."""
    with caplog.at_level(logging.ERROR, logger="oneiric.web"):
        async with serving() as port:
            _, _, body = await say(port, request("GET", "/fail?with=bug"))
    assert "hunter2" not in str(body)
    assert "hunter2" in caplog.text


async def test_what_is_logged_of_a_request_says_which_one(quiet: io.StringIO) -> None:
    """The event of a bug has the id that its client was told, and the whole exception."""
    async with serving() as port:
        await say(port, request("GET", "/fail?with=bug", None, "X-Request-Id: req-7"))
    told = json.loads(quiet.getvalue())
    assert (told["event"], told["request_id"], told["path"]) == ("request-failed", "req-7", "/fail")
    assert "RuntimeError: hunter2" in told["exception"]


async def test_a_wrong_method_names_the_right_ones() -> None:
    """The header and the details say which methods a path has."""
    async with serving() as port:
        _, fields, body = await say(port, request("PUT", "/echo", b"{}"))
    assert fields["allow"] == "POST"
    assert body["error"]["details"] == {"allowed": ["POST"]}


async def test_a_request_has_an_id() -> None:
    """Its own if that may be one, else a new one, in the answer and in errors alike."""
    async with serving() as port:
        _, own, _ = await say(port, request("GET", "/nowhere", None, "X-Request-Id: req-7"))
        _, bad, _ = await say(port, request("GET", "/healthz", None, "X-Request-Id: a b\tc"))
    assert own["x-request-id"] == "req-7"
    assert len(bad["x-request-id"]) == 36


async def test_a_body_that_is_cut_short_harms_nobody() -> None:
    """A client that goes away in the middle of its body ends its own request only."""
    async with serving() as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await say(port, request("POST", "/echo", b"[1]")))[2] == [1]
