"""Whether an answer is as the document says."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from oneiric.ports.errors import DependencyMissingError
from oneiric.validation.openapi import Document, conformance
from oneiric.validation.providers.patterns import PatternUntriedError
from tests.validation.openapi.documents import JSON, whole

USER: dict[str, Any] = {
    "type": "object",
    "required": ["id", "password"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "age": {"type": "integer", "nullable": True, "minimum": 0, "exclusiveMinimum": True},
        "role": {"type": "string", "enum": ["user", "admin"], "nullable": True},
        "password": {"type": "string", "writeOnly": True},
        "friends": {"type": "array", "items": {"$ref": "#/components/schemas/User"}},
        "born": {"type": "string", "format": "date-time"},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "pet": {
            "nullable": True,
            "oneOf": [{"$ref": "#/components/schemas/Cat"}, {"type": "integer"}],
            "discriminator": {"propertyName": "kind", "mapping": {"cat": "Cat"}},
        },
    },
}
CAT = {"type": "object", "required": ["meow"], "properties": {"meow": {"type": "boolean"}}}
ID = "5a1a5a1a-0000-4000-8000-000000000000"
ORIGIN = f"GET /users/{{id}} 200 {JSON}"


def _document(version: str = "3.0.3") -> Document:
    rate = {"required": True, "schema": {"type": "integer", "minimum": 1}}
    tags = {"schema": {"type": "array", "items": {"type": "integer"}}}
    ok = {
        "headers": {"X-Rate": rate, "X-Tags": tags},
        "content": {JSON: {"schema": {"$ref": "#/components/schemas/User"}}},
    }
    get = {"responses": {"200": ok, "204": {}, "4XX": {"content": {"text/*": {}}}}}
    lax = {"responses": {"default": {"content": {"*/*": {"schema": {"type": "array"}}}}}}
    return whole(
        {"/users/{id}": {"get": get}, "/lax": {"get": lax}},
        schemas={"User": USER, "Cat": CAT},
        version=version,
    )


def _told(
    body: Any = None,
    *,
    status: int = 200,
    path: str = "/users/7",
    method: str = "GET",
    kind: str = JSON,
    headers: dict[str, str] | None = None,
) -> list[tuple[str, str]]:
    sent = {"Content-Type": kind, "x-rate": "3"} if headers is None else headers
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    problems = conformance(
        _document(), method=method, path=path, status=status, headers=sent, body=data
    )
    return [(each.key, each.what) for each in problems]


def test_promise_an_answer_as_documented_has_no_problem() -> None:
    """Null where it may be, nothing that only requests carry, a charset beside the type."""
    user: dict[str, Any] = {
        "id": ID,
        "age": None,
        "role": None,
        "pet": None,
        "born": "2026-11-21T09:30:00Z",
    }
    user["friends"] = [{"id": ID, "age": 3, "pet": {"meow": True}}]
    assert _told(user, kind="application/json; charset=utf-8") == []


def test_promise_problems_say_where_and_never_what_was_sent() -> None:
    """Each problem has its JSON path and the place in the document, and quotes no value."""
    user = {
        "id": "secret-1",
        "age": 0,
        "role": "secret-2",
        "password": "secret-3",
        "born": "secret-4",
        "code": "SECRET-5",
        "pet": [],
        "extra": 1,
        "friends": [{"age": "secret-6"}],
    }
    problems = conformance(
        _document(),
        method="get",
        path="/users/7",
        status=200,
        headers={"content-type": JSON, "X-Rate": "3"},
        body=json.dumps(user).encode(),
    )
    assert {(each.key, each.what) for each in problems} == {
        ("$.id", "it is no uuid"),
        ("$.age", "it breaks exclusiveMinimum 0"),
        ("$.role", "it is none of the documented values"),
        ("$.password", "it must not be there"),
        ("$.born", "it is no date-time"),
        ("$.code", "it breaks pattern"),
        ("$.pet", "it is like none of the documented schemas (anyOf)"),
        ("$", "it has undocumented properties: extra"),
        ("$.friends[0]", "it lacks id"),
        ("$.friends[0].age", "it is string, and not integer or null"),
    }
    assert {each.origin for each in problems} == {ORIGIN}
    assert "secret" not in " ".join(map(str, problems)).lower()


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ({"path": "/nobody"}, "operation"),
        ({"method": "POST"}, "operation"),
        ({"status": 500}, "status"),
        ({"status": 302}, "status"),
    ],
)
def test_promise_what_is_not_documented_is_told(asked: dict[str, Any], key: str) -> None:
    """A path, a method or a status that the document does not know is a problem."""
    assert [each for each, _ in _told({"id": ID}, **asked)] == [key]


def test_promise_ranges_and_the_default_document_a_status() -> None:
    """`4XX` stands for 404, and `default` for what nothing else stands for."""
    assert _told(b"no such user", status=404, kind="text/plain") == []
    assert _told([], status=503, path="/lax") == []
    assert _told({}, status=503, path="/lax") == [("$", "it is object, and not array")]


def test_promise_the_media_type_is_checked() -> None:
    """A page of HTML with status 200 is no answer of an API."""
    assert _told(b"<html>", kind="text/html") == [
        ("content-type", "it is text/html, and not application/json")
    ]
    assert _told(b"x", headers={"x-rate": "1"}) == [
        ("content-type", "it is none, and not application/json")
    ]
    assert _told(b"", headers={"x-rate": "1"}) == [("$", "the body is missing")]


@pytest.mark.parametrize("body", [b"{", b"NaN", b"[" * 100_000, b"\xff"])
def test_promise_a_body_that_is_no_json_is_told(body: bytes) -> None:
    """What cannot be read is a problem, however it is broken."""
    assert _told(body) == [("$", "the body is no JSON")]


def test_promise_headers_are_checked() -> None:
    """A required header must be there; what is there must be as its schema says."""
    assert _told({"id": ID}, headers={"content-type": JSON}) == [("header x-rate", "it is missing")]
    sent = {"content-type": JSON, "X-RATE": "0", "x-tags": "1, 2, x"}
    assert _told({"id": ID}, headers=sent) == [
        ("header x-rate", "it breaks minimum 1"),
        ("header x-tags[2]", "it is string, and not integer"),
    ]


def test_promise_answers_without_a_body_need_none() -> None:
    """HEAD is held to the GET of its path, without the body; so is 204."""
    assert _told(b"", method="HEAD") == []
    assert _told(b"", status=204, headers={}) == []


def test_promise_the_number_of_problems_is_bounded() -> None:
    """A body that is wrong everywhere gives a few problems, not thousands."""
    user = {"id": ID, "friends": [{"id": 3}] * 10_000}
    assert len(_told(user)) == 20


def test_promise_schemas_of_version_3_1_are_taken_as_they_are() -> None:
    """The newer version is JSON Schema already; `nullable` means nothing there."""
    document = _document("3.1.0")
    body = json.dumps({"id": ID, "role": None}).encode()
    headers = {"content-type": JSON, "x-rate": "3"}
    problems = conformance(
        document, method="GET", path="/users/7", status=200, headers=headers, body=body
    )
    assert [each.key for each in problems] == ["$.role", "$.role"]


@pytest.mark.parametrize(
    "schema",
    [
        {"pattern": "(?<name>x)", "type": "string"},
        {"type": "string", "format": "no-such-format"},
        {"discriminator": {"propertyName": "nothing"}, "type": "string"},
    ],
)
def test_promise_what_only_others_understand_is_no_problem(schema: Any) -> None:
    """Names of groups as ECMAScript writes them, and unknown formats, hold nobody up."""
    content = {"200": {"content": {JSON: {"schema": schema}}}}
    document = whole({"/a": {"get": {"responses": content}}})
    problems = conformance(
        document,
        method="GET",
        path="/a",
        status=200,
        headers={"content-type": JSON},
        body=b'"text"',
    )
    assert problems == []


def _untried(schema: Any, body: Any, **more: Any) -> str:
    """Return why nobody knows whether *body* is as *schema* says."""
    table = {"/a": {"get": {"responses": {"200": {"content": {JSON: {"schema": schema}}, **more}}}}}
    asked: dict[str, Any] = {"method": "GET", "path": "/a", "status": 200}
    headers = {"content-type": JSON, "x-rate": "a"}
    data = json.dumps(body).encode()
    with pytest.raises(PatternUntriedError) as caught:
        conformance(whole(table), **asked, headers=headers, body=data)
    return caught.value.message


def test_a_pattern_that_cannot_be_read_is_no_pass() -> None:
    """What only ECMAScript reads leaves the value unchecked: told by pattern and place."""
    at = f"GET /a 200 {JSON}: $.a cannot be held to the pattern"
    schema = {"properties": {"a": {"pattern": "^[^]+$"}, "b": {"pattern": "^b"}}}
    assert _untried(schema, {"a": "x", "b": "b"}).startswith(f"{at} '^[^]+$': ")
    slow = {"properties": {"a": {"pattern": r"^(?:\w+\w+)+\d$"}}}
    assert _untried(slow, {"a": "a" * 5_000}).endswith(": it had no answer in time")
    header = {"X-Rate": {"schema": {"pattern": "["}}}
    told = _untried({}, {}, headers=header)
    assert told.startswith("GET /a 200 header x-rate: $ cannot be held to the pattern '[': ")


def test_a_pattern_that_cannot_be_read_hides_nothing_that_is_wrong_besides() -> None:
    """What is wrong whether it matches or not is a problem; what has nothing to match is none."""
    schema = {"required": ["id"], "properties": {"a": {"pattern": "["}, "n": {"type": "integer"}}}
    document = whole(
        {"/a": {"get": {"responses": {"200": {"content": {JSON: {"schema": schema}}}}}}}
    )

    def told(body: Any) -> list[str]:
        asked: dict[str, Any] = {"method": "GET", "path": "/a", "status": 200}
        data, headers = json.dumps(body).encode(), {"content-type": JSON}
        return [each.key for each in conformance(document, **asked, body=data, headers=headers)]

    assert told({"a": "x", "n": "1"}) == ["$", "$.n"]
    assert told({"id": 1}) == []
    assert told({"id": 1, "a": 3}) == []


def test_promise_a_missing_extra_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the library the answer is what to install, never a pass and never a crash."""
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(DependencyMissingError) as caught:
        _told({"id": ID})
    assert caught.value.hint == "pip install 'oneiric[validation]'"
    assert _told(b"", path="/nobody") == [("operation", "GET of this path is not documented")]
