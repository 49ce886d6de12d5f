"""What is read as an OpenAPI document, what is refused, and how it is asked."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import DocumentError
from oneiric.validation.openapi import conformance, diff, read_document, read_ignored, routes_of
from oneiric.validation.openapi.ignored import Ignored
from tests.validation.openapi.documents import carrying, one, read, told, whole

OURS = Path(__file__).parents[3] / "docs" / "reference" / "control-api.json"
OK: dict[str, Any] = {"responses": {}}
TEXT = {"type": "string"}


def test_promise_json_and_yaml_are_read_alike() -> None:
    """A document means the same in both languages; bare statuses of YAML are text."""
    text = b"""\
openapi: 3.0.3
paths:
  /users:
    post:
      responses:
        200:
          description: yes
"""
    found = read_document(text, source="api.yaml")
    assert found.operations == one({"responses": {"200": {}}}).operations
    assert (found.version, found.source) == ("3.0", "api.yaml")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"[]", "not-openapi"),
        (b"{}", "not-openapi"),
        (b"hello", "not-openapi"),
        (b'{"swagger": "2.0"}', "unknown-version"),
        (b'{"openapi": "3.2.0"}', "unknown-version"),
        (b'{"openapi": "4"}', "unknown-version"),
        (b'{"openapi": ["3.0.0"]}', "unknown-version"),
        (b'{"openapi": "3.0.0", "paths": []}', "not-openapi"),
        (b'{"openapi": "3.0.0", "openapi": "3.1.0"}', "duplicate-key"),
        (b"", "empty"),
        (b"\xff\xfe", "not-utf-8"),
        (b"[" * 1_000, "too-deep"),
    ],
)
def test_promise_what_is_no_document_is_refused(data: bytes, reason: str) -> None:
    """A refusal says why, in a word that programs can read."""
    with pytest.raises(DocumentError) as caught:
        read_document(data, source="x")
    expected = {reason, "syntax"} if reason in ("empty", "too-deep") else {reason}
    assert caught.value.reason in expected
    assert "x" in str(caught.value)


def test_promise_swagger_is_refused_with_what_to_do() -> None:
    """The older version is named, and what to do about it."""
    with pytest.raises(DocumentError, match="convert it to 3"):
        read_document(b"swagger: '2.0'\n", source="x")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("https://elsewhere.test/a.json#/User", "remote-reference"),
        ("other.yaml#/User", "remote-reference"),
        ("file:///etc/passwd", "remote-reference"),
        ("#/components/schemas/Nobody", "unknown-reference"),
        ("#/components/schemas/A/enum/7", "unknown-reference"),
        ("#anchor", "unknown-reference"),
        ("#/components/schemas/Self", "circular-reference"),
        ("#/components/schemas/One", "circular-reference"),
    ],
)
def test_promise_references_lead_to_something_within(reference: str, reason: str) -> None:
    """What leads out, to nothing or in a circle is refused when it is read; nothing is fetched."""
    schemas = {
        "A": {"enum": []},
        "Self": {"$ref": "#/components/schemas/Self"} if "Self" in reference else {},
        "One": {"$ref": "#/components/schemas/Two"} if "One" in reference else {},
        "Two": {"$ref": "#/components/schemas/One"},
    }
    with pytest.raises(DocumentError) as caught:
        carrying({"$ref": reference}, "request", schemas=schemas)
    assert caught.value.reason == reason


def test_promise_what_only_looks_like_a_reference_is_none() -> None:
    """A `$ref` in an example, a value or a name of a property leads nowhere, and need not."""
    schema = {
        "type": "object",
        "properties": {"$ref": TEXT, "example": {"$ref": "#/components/schemas/A"}},
        "example": {"$ref": "nowhere"},
        "default": {"$ref": "nowhere"},
        "enum": [{"$ref": "nowhere"}],
    }
    found = carrying(schema, "request", schemas={"A": TEXT})
    assert diff(found, found) == []
    with pytest.raises(DocumentError):
        carrying({"properties": {"example": {"$ref": "#/no"}}}, "request")


def test_promise_files_beside_are_followed_where_it_is_asked_for() -> None:
    """A document that is spread over files is one document to whoever can give the files."""
    files = {
        "schemas/user.json": b'{"properties": {"pet": {"$ref": "pet.json#/$defs/Pet"}}}',
        "schemas/pet.json": b'{"$defs": {"Pet": {"properties": {"owner": {"$ref": "user.json"},'
        b' "name": {"$ref": "#/$defs/Name"}}}, "Name": {"type": "string"}}}',
    }
    table = {
        "openapi": "3.0.3",
        "paths": {
            "/users": {
                "post": {
                    "responses": {
                        "200": {
                            "content": {
                                "application/json": {"schema": {"$ref": "schemas/user.json"}}
                            }
                        }
                    }
                }
            }
        },
    }
    data = json.dumps(table).encode()
    old = read_document(data, source="x", beside=files.__getitem__)
    assert diff(old, old) == []
    files["schemas/pet.json"] = files["schemas/pet.json"].replace(b"string", b"integer")
    new = read_document(data, source="x", beside=files.__getitem__)
    assert told(old, new) == {
        ("response-type-changed", "POST /users 200 application/json $.pet.name")
    }


def test_promise_a_published_document_is_read_and_equals_itself() -> None:
    """The document of our own control interface, as whoever calls it reads it."""
    found = read_document(OURS.read_bytes(), source=OURS.name)
    assert found.operations
    assert diff(found, found) == []


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/users/me", "/users/me"),
        ("/users/7", "/users/{id}"),
        ("/users/7?full=1", "/users/{id}"),
        ("/users/7/posts", "/users/{id}/posts"),
        ("/users/me/posts", "/users/me/{what}"),
        ("/runs/7:cancel", "/runs/{id}:cancel"),
        ("/runs/7", "/runs/{id}"),
        ("/v1/users/7", "/users/{id}"),
        ("/users/{id}", "/users/{id}"),
        ("/users/", None),
        ("/users/7/", None),
        ("/nothing", None),
    ],
)
def test_promise_the_most_concrete_template_answers(path: str, template: str | None) -> None:
    """A path is matched as a router does: whole segments, literal text before variables."""
    templates = (
        *("/users/{id}", "/users/me", "/users/{id}/posts", "/users/me/{what}"),
        *("/runs/{id}", "/runs/{id}:cancel"),
    )
    document = whole({each: {"get": OK} for each in templates}, servers=[{"url": "/v1"}])
    found = document.find("get", path)
    assert (found.path if found else None) == template
    assert document.find("POST", path) is None


def test_promise_base_paths_of_servers_may_hold_variables() -> None:
    """Variables of a server's address stand for their defaults."""
    server = {"url": "https://x.test/{stage}/api", "variables": {"stage": {"default": "beta"}}}
    document = whole({"/a": {"get": OK}}, servers=[server])
    assert document.bases == ("/beta/api",)
    assert document.find("GET", "/beta/api/a") is not None


def test_promise_routes_can_be_asked_for() -> None:
    """Each route has a path with values, the document's own where it gives any."""
    get = {
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}},
            {"name": "q", "in": "query", "required": True, "example": "a b"},
            {"name": "page", "in": "query"},
        ],
        "security": [{"key": []}],
    }
    post = {"parameters": [{"name": "id", "in": "path", "schema": {"enum": ["a/b"]}}]}
    routes = routes_of(whole({"/users/{id}": {"get": get, "post": post}}))
    assert [(each.method, each.path, each.example) for each in routes] == [
        ("GET", "/users/{id}", "/users/1"),
        ("POST", "/users/{id}", "/users/a%2Fb"),
    ]
    assert [each.required_auth for each in routes] == [True, False]
    assert routes[0].values == {"id": 1, "q": "a b"}
    assert (routes[0].invented, routes[0].query, routes[1].invented) == (("id",), ("q",), ())


def test_promise_an_ignore_file_is_one_line_an_entry() -> None:
    """Rule, place and the last day; places hold spaces, brackets and stars."""
    text = b"""\
# accepted until the new client is out
response-property-removed   GET /users 200 application/json $.items[].email  until 2026-12-31
request-*  POST *   # anything
"""
    text = text.replace(b"response-property-removed", b"response-optional-property-removed")
    entries = read_ignored(text, source="drift.ignore")
    place = "GET /users 200 application/json $.items[].email"
    assert entries == [
        Ignored("response-optional-property-removed", place, "2026-12-31", 2),
        Ignored("request-*", "POST *", "", 3),
    ]
    assert entries[0].covers("response-optional-property-removed", place)
    assert not entries[0].covers("response-optional-property-removed", place.replace("[]", ""))


@pytest.mark.parametrize(
    ("line", "told_as"),
    [
        (b"path-removed", "a rule and a place"),
        (b"path-remove GET /users", "did you mean path-removed"),
        (b"path-removed GET /users until tomorrow", "the day after until"),
        (b"path-removed GET /users until 2026-02-30", "the day after until"),
        (b"\xff", "UTF-8"),
    ],
)
def test_promise_a_wrong_line_of_an_ignore_file_is_refused(line: bytes, told_as: str) -> None:
    """An entry that would accept nothing, or never end, is refused with its line."""
    with pytest.raises(DocumentError, match=told_as):
        read_ignored(line, source="drift.ignore")


def test_promise_a_pattern_with_many_stars_takes_no_longer() -> None:
    """Stars do not multiply what a look costs."""
    entry = Ignored("*", "*a" * 2_000 + "b")
    begin = time.process_time()
    assert not entry.covers("path-added", "a" * 10_000)
    assert time.process_time() - begin < 2


@pytest.mark.parametrize(
    "broken",
    [
        {"/a": None},
        {"/a": {"get": []}},
        {"/a": {"get": {"parameters": {}, "responses": [], "requestBody": 3, "security": {}}}},
        {"/a": {"get": {"parameters": [None, 3, {"name": 1}], "responses": {"200": None}}}},
        {"/a": {"get": {"responses": {"200": {"content": {"a/b": None}, "headers": []}}}}},
        {"a": {"get": OK}, "x-note": 3},
    ],
)
def test_promise_what_is_malformed_within_is_left_out(broken: Any) -> None:
    """A document that is careless in places is still compared in the others."""
    document = read({"openapi": "3.1.0", "paths": broken})
    assert diff(document, document) == []
    assert diff(document, whole({})) is not None
    assert len(routes_of(document)) == len(document.operations)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 3, "properties": [], "required": {}, "items": 7, "enum": 3, "allOf": {}},
        {"properties": {"a": 3, "b": None}, "oneOf": [3, None], "additionalProperties": 3},
        {"required": True, "type": "file", "uniqueItems": 1, "minLength": -1, "items": [3]},
        {"minimum": "x", "maximum": True, "pattern": 3, "default": None, "const": None},
        {"discriminator": 3, "format": [], "multipleOf": 0, "prefixItems": 3, "not": 3},
        {"allOf": [{"allOf": [False]}], "anyOf": [True, False]},
        False,
        True,
        3,
    ],
)
def test_promise_malformed_schemas_are_compared(schema: Any) -> None:
    """What no schema may say is as if it were not said."""
    for side in ("request", "response"):
        document = carrying(schema, side)
        assert diff(document, document) == []
        told: Any = {"status": 200, "headers": {"content-type": "application/json"}}
        conformance(document, method="POST", path="/users", body=b'{"a": [1, "x"]}', **told)
        diff(document, carrying(TEXT, side))
        diff(carrying(TEXT, side), document)


def test_promise_schemas_that_hold_themselves_in_every_way_are_compared() -> None:
    """Circles through allOf, unions, items and properties come to an end."""
    ref = {"$ref": "#/components/schemas/A"}
    loop = {
        "allOf": [ref, {"$ref": "#/components/schemas/B"}],
        "properties": {"a": ref, "b": {"allOf": [ref, {"properties": {"a": ref}}]}},
        "items": ref,
    }
    schemas = {"A": loop, "B": {"anyOf": [ref, TEXT], "additionalProperties": ref}}
    one_side, other = (
        carrying(ref, "response", schemas={**schemas, "B": each})
        for each in (schemas["B"], {**schemas["B"], "required": ["z"]})
    )
    assert diff(one_side, one_side) == []
    assert diff(one_side, other) != []


def test_promise_deep_chains_of_references_are_followed_to_the_end() -> None:
    """A difference at the end of a very long chain is told, at a place of bounded length."""

    def make(kind: str) -> Any:
        schemas: dict[str, Any] = {
            f"S{index}": {"properties": {"a": {"$ref": f"#/components/schemas/S{index + 1}"}}}
            for index in range(5_000)
        }
        schemas["S5000"] = {"type": kind}
        return carrying({"$ref": "#/components/schemas/S0"}, "request", schemas=schemas)

    (found,) = told(make("string"), make("integer"))
    assert found[0] == "request-type-changed"
    assert len(found[1]) < 300


def test_promise_more_differences_than_can_be_told_are_said_to_be_there() -> None:
    """The number of items is bounded, and that there are more is a difference itself."""
    old = whole({f"/p{index}": {"get": OK, "put": OK} for index in range(6_000)})
    items = diff(old, whole({}))
    assert len(items) == 10_001
    assert "too-many-differences" in {each.code for each in items}


def _large(count: int, kind: str = "string") -> Any:
    ref = {"$ref": "#/components/schemas/User"}
    content = {"content": {"application/json": {"schema": ref}}}
    get = {"responses": {"200": content}, "parameters": [{"name": "id", "in": "path"}]}
    schemas = {
        "User": {"properties": {f"f{index}": {"type": "string"} for index in range(50)}},
        "Other": {"type": kind},
    }
    paths = {f"/r{index}/{{id}}": {"get": get} for index in range(count)}
    return whole(paths, schemas=schemas)


def test_promise_the_cost_grows_with_the_size_alone() -> None:
    """Ten times the paths take about ten times as long, never a hundred times."""
    costs = []
    for count in (500, 5_000):
        old, new = _large(count), _large(count, "integer")
        begin = time.process_time()
        assert diff(old, new) == []
        costs.append(time.process_time() - begin)
    assert costs[1] < 40 * max(costs[0], 0.01)


def test_promise_ten_thousand_paths_are_compared_within_a_bound() -> None:
    """A very large document is read, compared and asked in seconds."""
    begin = time.process_time()
    document = _large(10_000)
    assert diff(document, document) == []
    assert document.find("GET", "/r9999/7") is not None
    assert time.process_time() - begin < 30
