"""The control interface over plain HTTP: what it takes, what it refuses, and whom."""

import json
import os
import socket
import stat
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from oneiric.errors import RefusedError
from oneiric.web.control.protocol import VERBS
from oneiric.web.control.server import check_peer
from tests.control.house import House

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "control-api.json"
PING = b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n"
HOSTILE = [
    "../../etc/passwd",
    "adapter:..",
    "\x1b[2J",
    "adapter:cache\x00",
    "a" * 400,
    "adapter:" + "é" * 100,
    "'; DROP TABLE activity; --",
    "${jndi:ldap://x}",
]


def test_the_socket_is_its_owners_alone(shared: House) -> None:
    """Mode 0600, as the folder may be open to others."""
    assert stat.S_IMODE(shared.path.lstat().st_mode) == 0o600


def test_another_user_is_refused() -> None:
    """Whoever got at the socket, the system tells who it is."""
    if os.geteuid() == 0:
        os.seteuid(65_534)
        pair = socket.socketpair()
        os.seteuid(0)
    else:
        pair = socket.socketpair()
    with pair[0] as one, pair[1]:
        if os.geteuid() == 0:
            with pytest.raises(RefusedError, match="its own user"):
                check_peer(one)
        else:
            check_peer(one)


def test_an_answer_comes_as_a_document_or_as_text(shared: House) -> None:
    """JSON unless text is asked for, in so many columns; the exit code is in a header."""
    status, fields, document = shared.http("GET", "/v1/list?domain=service")
    assert (status, fields["oneiric-exit-code"]) == (200, "0")
    assert (document["schema"], document["applied"]) == ("oneiric.list/1", "live")
    narrow = {"Accept": "text/plain", "Oneiric-Columns": "60"}
    _, _, text = shared.http("GET", "/v1/list", None, narrow)
    assert max(map(len, text.splitlines())) <= 60
    _, fields, _ = shared.http("GET", "/v1/explain?ref=service:lamp&needs=a&needs=b")
    assert fields["oneiric-exit-code"] == "6"
    for columns in ("0", "-5", "1e3", "99999999999", "²", ""):
        assert (
            shared.http("GET", "/v1/list", None, {**narrow, "Oneiric-Columns": columns})[0] == 200
        )


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/list", b"{}", 405, "method-not-allowed"),
        ("GET", "/v1/swap", None, 405, "method-not-allowed"),
        ("HEAD", "/v1/list", None, 405, None),
        ("GET", "/v2/list", None, 404, "not-found"),
        ("GET", "/v1/list?domains=adapter", None, 400, "invalid-fields"),
        ("GET", "/v1/list?shadowed=perhaps", None, 400, "invalid-fields"),
        ("GET", "/v1/list?domain=a&domain=b", None, 400, "invalid-fields"),
        ("POST", "/v1/pause", b"", 400, "invalid-document"),
        ("POST", "/v1/pause", b"[]", 400, "invalid-fields"),
        ("POST", "/v1/pause", b'{"reff": "x"}', 400, "invalid-fields"),
        ("POST", "/v1/pause", b'{"ref": 7}', 400, "invalid-fields"),
        ("POST", "/v1/pause", b'{"ref": "a", "ref": "b"}', 400, "invalid-document"),
        ("POST", "/v1/pause", b'{"note": "' + b"x" * 5_000 + b'"}', 400, "invalid-fields"),
        ("POST", "/v1/drain", b'{"ref": "lamp", "limit": NaN}', 400, "invalid-document"),
        ("POST", "/v1/drain", b'{"ref": "lamp", "limit": -1}', 400, "invalid-fields"),
        ("POST", "/v1/event-emit", b"[" * 200, 400, "invalid-document"),
        ("POST", "/v1/event-emit", b'"' + b"x" * (18 << 20) + b'"', 413, "too-large"),
    ],
)
def test_what_is_wrong_is_refused(
    shared: House, method: str, path: str, body: bytes | None, status: int, code: str | None
) -> None:
    """Wrong methods, unknown fields and what is no document, each with its own status."""
    found, _, told = shared.http(method, path, body)
    assert (found, told["error"]["code"] if told else None) == (status, code)


def test_an_unknown_field_is_told_with_the_nearest_spelling(shared: House) -> None:
    """Every problem at once, each with its path."""
    _, _, told = shared.http("POST", "/v1/pause", b'{"reff": "x", "note": 7}')
    problems = {each["key"]: each["what"] for each in told["error"]["details"]["problems"]}
    assert problems["reff"] == "unknown key; did you mean ref?"
    assert set(problems) == {"reff", "note"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names(shared: House, name: str) -> None:
    """They are refused as input or not found, by every verb that takes one; never a bug."""
    for verb in ("pause", "resume", "drain", "probe", "rollback", "swap"):
        status, _, told = shared.http("POST", f"/v1/{verb}", json.dumps({"ref": name}).encode())
        assert status in (400, 404), (verb, told)
    for verb, field in (("workflow-run", "workflow"), ("action-invoke", "action")):
        status, _, told = shared.http("POST", f"/v1/{verb}", json.dumps({field: name}).encode())
        assert status in (400, 404), (verb, told)


def test_a_thousand_idle_connections_keep_nobody_out(shared: House) -> None:
    """Verbs are answered meanwhile."""
    with ExitStack() as stack:
        for _ in range(1_000):
            stack.enter_context(shared.connected())
        assert shared.asked().ask("ping", {}).exit_code == 0


def test_slow_clients_keep_nobody_waiting(shared: House) -> None:
    """Who sends a request byte by byte, or half of one, is alone with that."""
    with shared.connected() as slow, shared.connected() as half:
        half.sendall(b"POST /v1/pause HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n")
        half.sendall(b"Content-Type: application/json\r\n\r\n{")
        for byte in PING:
            slow.sendall(bytes([byte]))
            time.sleep(0.005)
            assert byte != PING[3] or shared.asked().ask("ping", {}).exit_code == 0
        assert slow.recv(65_536).startswith(b"HTTP/1.1 200 OK")


def test_the_description_is_served_and_is_that_of_the_reference(shared: House) -> None:
    """OpenAPI 3.1 of every verb; the page in the documentation is the same."""
    status, _, told = shared.http("GET", "/openapi.json")
    assert status == 200
    assert told == json.loads(PAGE.read_text())
    assert told["paths"].keys() == {verb.path for verb in VERBS.values()}


def test_nothing_of_all_that_was_a_bug(shared: House) -> None:
    """The log of the orchestrator holds no request that ended in a mistake."""
    assert "request-failed" not in (shared.folder / "orchestrator.log").read_text()
