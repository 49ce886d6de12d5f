"""What the service asks of others: webhooks and callbacks, with the directions swapped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oneiric.errors import InvalidError
from oneiric.ports.drift import Severity
from oneiric.validation.openapi import Document, compare, conformance, diff
from tests.validation.openapi.documents import JSON, carrying, told, whole

TEXT = {"type": "string"}
PLACE = "webhook POST paid"
URL = "{$request.body#/url}"
ON_PAID = f"POST /subscriptions/{{id}} callback onPaid POST {URL}"


def _object(*names: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": dict.fromkeys(names, TEXT), **more}


def _sends(schema: Any, **more: Any) -> dict[str, Any]:
    return {"requestBody": {"content": {JSON: {"schema": schema}}, **more}, "responses": {}}


def _hears(schema: Any) -> dict[str, Any]:
    return {"responses": {"200": {"content": {JSON: {"schema": schema}}}}}


def _parameter(where: str, *, required: bool = False) -> dict[str, Any]:
    parameter = {"name": "X-Sign", "in": where, "required": required, "schema": TEXT}
    return {"parameters": [parameter], "responses": {}}


def _header(*, required: bool) -> dict[str, Any]:
    headers = {"X-Seen": {"schema": TEXT, "required": required}}
    return {"responses": {"200": {"headers": headers}}}


def _webhook(operation: dict[str, Any] | None, name: str = "paid") -> Document:
    webhooks = {} if operation is None else {name: {"post": operation}}
    return whole({}, webhooks=webhooks)


def _callback(
    operation: dict[str, Any] | None, *, variable: str = "id", url: str = URL
) -> Document:
    callbacks = {} if operation is None else {"onPaid": {url: {"post": operation}}}
    post = {"responses": {}, "callbacks": callbacks}
    return whole({f"/subscriptions/{{{variable}}}": {"post": post}})


BODY = f"request {JSON} $"
CASES: dict[str, tuple[Any, Any, str, str]] = {
    "a webhook": (None, {"responses": {}}, "path-added", ""),
    "no webhook": ({"responses": {}}, None, "path-removed", ""),
    "less is sent": (
        _sends(_object("a", required=["a"])),
        _sends(_object()),
        "response-required-property-removed",
        f"{BODY}.a",
    ),
    "more is sent": (
        _sends(_object()),
        _sends(_object("a", required=["a"])),
        "response-property-added",
        f"{BODY}.a",
    ),
    "nothing is sent": (
        _sends(TEXT),
        {"responses": {}},
        "response-media-type-removed",
        f"request {JSON}",
    ),
    "something is sent": (
        {"responses": {}},
        _sends(TEXT),
        "response-media-type-added",
        f"request {JSON}",
    ),
    "it is sent sometimes": (
        _sends(TEXT, required=True),
        _sends(TEXT),
        "response-property-became-optional",
        "request",
    ),
    "more is wanted in the answer": (
        _hears(_object()),
        _hears(_object("a", required=["a"])),
        "request-required-property-added",
        f"200 {JSON} $.a",
    ),
    "no header is sent": (
        _parameter("header", required=True),
        {"responses": {}},
        "response-required-header-removed",
        "header x-sign",
    ),
    "a parameter is sent": (
        {"responses": {}},
        _parameter("query"),
        "response-property-added",
        "query X-Sign",
    ),
    "a header is sent sometimes": (
        _parameter("header", required=True),
        _parameter("header"),
        "response-header-became-optional",
        "header x-sign",
    ),
    "a header is wanted": (
        {"responses": {"200": {}}},
        _header(required=True),
        "request-required-parameter-added",
        "200 header x-seen",
    ),
    "a header must be there": (
        _header(required=False),
        _header(required=True),
        "request-parameter-became-required",
        "200 header x-seen",
    ),
    "an answer is not known any longer": (
        {"responses": {"200": {}, "202": {}}},
        {"responses": {"200": {}}},
        "response-success-status-removed",
        "202",
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["webhook", "callback"])
def test_what_is_sent_is_held_to_the_rules_of_answers(name: str, kind: str) -> None:
    """Who is asked by us is broken by what we no longer send, and by what we want to hear."""
    old, new, rule, where = CASES[name]
    make, place = (_webhook, PLACE) if kind == "webhook" else (_callback, ON_PAID)
    assert told(make(old), make(new)) == {(rule, f"{place} {where}".rstrip())}


def test_what_is_the_same_is_no_difference_and_is_counted() -> None:
    """Variables of the path may be called otherwise; references are followed."""
    old, new = _callback(_hears(TEXT)), _callback(_hears(TEXT), variable="key")
    assert (diff(old, new), compare(old, new).checked) == ([], 2)
    item = {"post": _sends({"$ref": "#/components/schemas/Paid"})}
    webhooks = {"paid": {"$ref": "#/components/pathItems/paid"}}
    more: dict[str, Any] = {"webhooks": webhooks, "components": {"pathItems": {"paid": item}}}
    made = [whole({}, schemas={"Paid": each}, **more) for each in (_object("a"), _object())]
    assert told(*made) == {("response-optional-property-removed", f"{PLACE} {BODY}.a")}


def test_a_callback_to_another_address_is_another() -> None:
    """Who waited at the old one is not asked any longer."""
    old, new = _callback(_hears(TEXT)), _callback(_hears(TEXT), url="{$request.body#/to}")
    found = {(each.code, each.severity) for each in diff(old, new)}
    assert found == {("path-removed", Severity.BREAKING), ("path-added", Severity.INFO)}


def test_callbacks_come_and_go_with_their_operation() -> None:
    """An operation that is gone is told once, and not again for each of its callbacks."""
    old = _callback(_hears(TEXT))
    assert told(old, whole({})) == {("path-removed", "POST /subscriptions/{id}")}
    assert told(whole({}), old) == {("path-added", "POST /subscriptions/{id}")}


def test_callbacks_of_those_who_are_asked_are_not_compared_and_told() -> None:
    """What nobody looks at is told as such, unless both documents say the same."""
    further = {**_sends(TEXT), "callbacks": {"back": {URL: {"post": _hears(TEXT)}}}}
    old, new = _webhook(further), _webhook({**further, "operationId": "b"})
    assert [place for place, _ in compare(old, new).unread] == ["webhook paid"]
    assert compare(old, _webhook(further)).unread == ()


TREE = {"$dynamicAnchor": "node", "type": "object"}


def _tree(leaf: Any, **schemas: Any) -> Document:
    below = {"type": "array", "items": {"$dynamicRef": "#node"}}
    tree = {**TREE, "properties": {"leaf": leaf, "below": below}}
    schema = {"$ref": "#/components/schemas/Tree"}
    return carrying(schema, "response", schemas={"Tree": tree, **schemas})


def test_a_dynamic_reference_that_can_mean_one_schema_is_followed() -> None:
    """Where one schema alone has the anchor, it is what is meant on every way."""
    old, new = _tree({"type": "string"}), _tree({"type": "integer"})
    place = f"POST /users 200 {JSON} $.leaf"
    assert ("response-type-changed", place) in told(old, new)
    assert compare(old, new).unread == ()
    assert _key(new, {"below": [{"leaf": 1}]}) == []
    assert _key(new, {"below": [{"leaf": "x"}]}) == ["$.below[0].leaf"]


def test_a_dynamic_reference_that_can_mean_several_is_not_compared_and_told() -> None:
    """It is no pass: of documents that differ it is told, and no answer that comes to it passes."""
    other = {"Strict": {**TREE, "additionalProperties": False}}
    old, new = _tree({"type": "string"}, **other), _tree({"type": "integer"}, **other)
    assert [place for place, _ in compare(old, new).unread] == [
        "components.schemas.Tree.properties.below.items"
    ]
    assert compare(old, _tree({"type": "string"}, **other)).unread == ()
    assert _key(new, {"leaf": 1}) == []
    assert _key(new, {"leaf": "x", "below": [{}]}) == ["$.leaf"]
    with pytest.raises(InvalidError, match="does not hold"):
        _key(new, {"leaf": 1, "below": [{}]})


def _key(document: Document, body: Any) -> list[str]:
    asked: dict[str, Any] = {"method": "POST", "path": "/users", "status": 200}
    data, headers = json.dumps(body).encode(), {"content-type": JSON}
    return [each.key for each in conformance(document, **asked, headers=headers, body=data)]
