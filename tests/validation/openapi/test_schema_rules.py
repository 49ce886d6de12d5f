"""Every rule about schemas, on both sides, each with the edit that it is about."""

from __future__ import annotations

from typing import Any

import pytest

from oneiric.ports.drift import Severity
from oneiric.validation.openapi import RULES, diff
from tests.validation.openapi.documents import carrying, place, told

SIDES = ("request", "response")
TEXT = {"type": "string"}
CAT = {"title": "Cat", "type": "object", "properties": {"meow": TEXT}}
DOG = {"title": "Dog", "type": "object", "properties": {"bark": TEXT}}
COW = {"title": "Cow", "type": "object", "properties": {"moo": TEXT}}


def _object(properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties or {}, **more}


EITHER: dict[str, tuple[Any, Any, str]] = {
    "type-changed": ({"type": "string"}, {"type": "integer"}, "$"),
    "type-narrowed": ({"type": "number"}, {"type": "integer"}, "$"),
    "type-widened": ({"type": "string"}, {"type": ["string", "integer"]}, "$"),
    "became-nullable": ({"type": "string"}, {"type": ["string", "null"]}, "$"),
    "became-not-nullable": ({"type": ["string", "null"]}, {"type": "string"}, "$"),
    "format-added": (TEXT, {**TEXT, "format": "email"}, "$"),
    "format-changed": ({**TEXT, "format": "date"}, {**TEXT, "format": "email"}, "$"),
    "format-narrowed": (
        {"type": "integer", "format": "int64"},
        {"type": "integer", "format": "int32"},
        "$",
    ),
    "format-widened": (
        {"type": "number", "format": "float"},
        {"type": "number", "format": "double"},
        "$",
    ),
    "format-removed": ({**TEXT, "format": "email"}, TEXT, "$"),
    "enum-added": (TEXT, {**TEXT, "enum": ["a"]}, "$"),
    "enum-removed": ({**TEXT, "enum": ["a"]}, TEXT, "$"),
    "enum-value-added": ({**TEXT, "enum": ["a"]}, {**TEXT, "enum": ["b", "a"]}, "$"),
    "enum-value-removed": ({**TEXT, "enum": ["a", "b"]}, {**TEXT, "enum": ["a"]}, "$"),
    "const-added": (TEXT, {**TEXT, "const": "a"}, "$"),
    "const-changed": ({**TEXT, "const": "b"}, {**TEXT, "const": "a"}, "$"),
    "const-removed": ({**TEXT, "const": "a"}, TEXT, "$"),
    "upper-bound-added": ({"type": "integer"}, {"type": "integer", "maximum": 3}, "$"),
    "upper-bound-lowered": ({**TEXT, "maxLength": 9}, {**TEXT, "maxLength": 3}, "$"),
    "upper-bound-raised": (
        {"type": "array", "maxItems": 3},
        {"type": "array", "maxItems": 9},
        "$",
    ),
    "upper-bound-removed": (_object(maxProperties=3), _object(), "$"),
    "lower-bound-added": ({"type": "integer"}, {"type": "integer", "minimum": 0}, "$"),
    "lower-bound-raised": ({**TEXT, "minLength": 1}, {**TEXT, "minLength": 3}, "$"),
    "lower-bound-lowered": (
        {"type": "array", "minItems": 3},
        {"type": "array", "minItems": 1},
        "$",
    ),
    "lower-bound-removed": (_object(minProperties=3), _object(), "$"),
    "pattern-added": (TEXT, {**TEXT, "pattern": "a"}, "$"),
    "pattern-changed": ({**TEXT, "pattern": "b"}, {**TEXT, "pattern": "a"}, "$"),
    "pattern-removed": ({**TEXT, "pattern": "a"}, TEXT, "$"),
    "multiple-added": ({"type": "integer"}, {"type": "integer", "multipleOf": 5}, "$"),
    "multiple-changed": (
        {"type": "integer", "multipleOf": 2},
        {"type": "integer", "multipleOf": 5},
        "$",
    ),
    "multiple-removed": ({"type": "integer", "multipleOf": 5}, {"type": "integer"}, "$"),
    "unique-added": ({"type": "array"}, {"type": "array", "uniqueItems": True}, "$"),
    "unique-removed": ({"type": "array", "uniqueItems": True}, {"type": "array"}, "$"),
    "default-changed": ({**TEXT, "default": "a"}, {**TEXT, "default": "b"}, "$"),
    "union-added": (_object(), _object(oneOf=[CAT, DOG]), "$"),
    "union-removed": (_object(anyOf=[CAT, DOG]), _object(), "$"),
    "branch-added": ({"oneOf": [CAT, DOG]}, {"oneOf": [CAT, COW, DOG]}, "$<Cow>"),
    "branch-removed": ({"anyOf": [CAT, DOG, COW]}, {"anyOf": [DOG, COW]}, "$<Cat>"),
    "discriminator-changed": (
        {"oneOf": [CAT, DOG], "discriminator": {"propertyName": "a"}},
        {"oneOf": [CAT, DOG], "discriminator": {"propertyName": "b"}},
        "$",
    ),
    "all-of-added": (_object(), _object(allOf=[{"not": {"required": ["a"]}}]), "$"),
    "all-of-removed": (_object(allOf=[{"not": {"required": ["a"]}}]), _object(), "$"),
    "constraint-added": (_object(), _object(propertyNames={"maxLength": 3}), "$"),
    "constraint-removed": (_object(propertyNames={"maxLength": 3}), _object(), "$"),
    "additional-properties-forbidden": (_object(), _object(additionalProperties=False), "$"),
    "additional-properties-allowed": (_object(additionalProperties=False), _object(), "$"),
}
A = {"a": TEXT}
PROPERTIES: dict[str, tuple[Any, Any]] = {
    "request-required-property-added": (_object(), _object(A, required=["a"])),
    "request-required-property-with-default-added": (
        _object(),
        _object({"a": {**TEXT, "default": "x"}}, required=["a"]),
    ),
    "request-optional-property-added": (_object(), _object(A)),
    "request-property-removed": (_object(A), _object()),
    "request-property-now-refused": (
        _object(A, additionalProperties=False),
        _object(additionalProperties=False),
    ),
    "request-property-became-required": (_object(A), _object(A, required=["a"])),
    "request-property-with-default-became-required": (
        _object({"a": {**TEXT, "default": "x"}}),
        _object({"a": {**TEXT, "default": "x"}}, required=["a"]),
    ),
    "request-property-became-optional": (_object(A, required=["a"]), _object(A)),
    "response-property-added": (_object(), _object(A, required=["a"])),
    "response-required-property-removed": (_object(A, required=["a"]), _object()),
    "response-optional-property-removed": (_object(A), _object()),
    "response-property-became-optional": (_object(A, required=["a"]), _object(A)),
    "response-property-became-required": (_object(A), _object(A, required=["a"])),
}
HARMLESS = {
    "description": (TEXT, {**TEXT, "description": "x", "title": "y", "example": "z"}),
    "extension": (TEXT, {**TEXT, "x-order": 3, "externalDocs": {"url": "https://x.test"}}),
    "enum order": ({**TEXT, "enum": ["a", "b"]}, {**TEXT, "enum": ["b", "a"]}),
    "const as enum": ({**TEXT, "enum": ["a"]}, {**TEXT, "const": "a"}),
    "order of branches": ({"oneOf": [CAT, DOG]}, {"oneOf": [DOG, CAT]}),
    "moved to allOf": (_object(A), {"allOf": [_object(A)]}),
    "parts of allOf": (
        _object({"a": TEXT, "b": TEXT}, required=["a"]),
        {"allOf": [_object({"b": TEXT}), {"properties": A, "required": ["a"]}]},
    ),
    "union of one": (CAT, {"anyOf": [CAT]}),
    "null as branch": ({"type": ["string", "null"]}, {"anyOf": [TEXT, {"type": "null"}]}),
    "types as branches": (
        {"type": ["string", "integer"]},
        {"anyOf": [{"type": "integer"}, TEXT]},
    ),
    "moved to components": (CAT, {"$ref": "#/components/schemas/Cat"}),
    "a bound that bounds nothing": (TEXT, {**TEXT, "minLength": 0}),
    "type that goes without saying": ({"properties": A}, _object(A)),
    "true for anything": (_object({"a": {}}), _object({"a": True})),
    "named number": ({"type": ["number", "integer"]}, {"type": "number"}),
}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", EITHER)
def test_promise_a_rule_is_told_on_its_side_with_its_severity(name: str, side: str) -> None:
    """One edit of a schema is one difference, named and judged by the side that carries it."""
    old, new, path = EITHER[name]
    items = diff(carrying(old, side), carrying(new, side))
    rule = RULES[f"{side}-{name}"]
    assert [(each.code, each.place, each.severity) for each in items] == [
        (rule.id, place(side, path), rule.severity)
    ]
    assert items[0].kind == "openapi"
    assert items[0].message.startswith(rule.meaning)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", EITHER)
def test_promise_a_rule_is_told_wherever_the_schema_is(name: str, side: str) -> None:
    """The place leads through properties, items and further properties to the schema."""
    old, new, path = EITHER[name]

    def within(schema: Any) -> Any:
        return _object({"a": {"type": "array", "items": {"additionalProperties": schema}}})

    found = told(carrying(within(old), side), carrying(within(new), side))
    assert found == {(f"{side}-{name}", place(side, f"$.a[].*{path[1:]}"))}


@pytest.mark.parametrize("name", PROPERTIES)
def test_promise_a_rule_about_properties_is_told(name: str) -> None:
    """A property that comes, goes, or may be left out is told at its own place."""
    old, new = PROPERTIES[name]
    side = name.partition("-")[0]
    items = diff(carrying(old, side), carrying(new, side))
    assert [(each.code, each.place, each.severity) for each in items] == [
        (name, place(side, "$.a"), RULES[name].severity)
    ]


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", HARMLESS)
def test_promise_what_means_the_same_is_no_difference(name: str, side: str) -> None:
    """Documents that say the same in other words do not differ, in either direction."""
    old, new = HARMLESS[name]
    one, other = (carrying(each, side, schemas={"Cat": CAT}) for each in (old, new))
    assert diff(one, other) == []
    assert diff(other, one) == []


def test_promise_no_edit_of_types_bounds_and_values_breaks_both_sides() -> None:
    """What takes less breaks who asks; what gives more breaks who reads; never both at once."""
    both = {
        name
        for name in EITHER
        if {RULES[f"{side}-{name}"].severity for side in SIDES} == {Severity.BREAKING}
    }
    assert both == {
        "type-changed",
        "format-changed",
        "const-changed",
        "multiple-changed",
        "discriminator-changed",
    }


def test_promise_read_only_properties_are_no_part_of_requests() -> None:
    """A property that only answers carry may come as required; one gone read-only is gone."""
    plain, marked = _object(A, required=["a"]), _object({"a": {**TEXT, "readOnly": True}})
    required = {**marked, "required": ["a"]}
    assert told(carrying(_object(), "request"), carrying(required, "request")) == set()
    assert told(carrying(required, "request"), carrying(plain, "request")) == {
        ("request-required-property-added", place("request", "$.a"))
    }
    assert told(carrying(plain, "request"), carrying(marked, "request")) == {
        ("request-property-removed", place("request", "$.a"))
    }
    assert told(carrying(_object(), "response"), carrying(required, "response")) == {
        ("response-property-added", place("response", "$.a"))
    }


def test_promise_write_only_properties_are_no_part_of_answers() -> None:
    """A property that only requests carry may go without anybody missing it in an answer."""
    marked = _object({"a": {**TEXT, "writeOnly": True}}, required=["a"])
    assert told(carrying(marked, "response"), carrying(_object(), "response")) == set()
    assert told(carrying(marked, "request"), carrying(_object(), "request")) != set()


def test_promise_marks_are_seen_through_references() -> None:
    """Whether a property is read-only may be said by the schema that it refers to."""
    schemas = {"Id": {**TEXT, "readOnly": True}}
    new = _object({"a": {"$ref": "#/components/schemas/Id"}}, required=["a"])
    old = carrying(_object(), "request", schemas=schemas)
    assert diff(old, carrying(new, "request", schemas=schemas)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        (
            {"type": "integer", "minimum": 3, "exclusiveMinimum": True},
            {"type": "integer", "exclusiveMinimum": 3},
        ),
        (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"nullable": True, "allOf": [{"$ref": "#/components/schemas/Cat"}]},
            {"anyOf": [{"$ref": "#/components/schemas/Cat"}, {"type": "null"}]},
        ),
    ],
)
@pytest.mark.parametrize("side", SIDES)
def test_promise_versions_are_compared_by_what_they_mean(old: Any, new: Any, side: str) -> None:
    """A document that moves from 3.0 to 3.1 and means the same does not differ."""
    schemas = {"Cat": CAT}
    one = carrying(old, side, version="3.0.3", schemas=schemas)
    other = carrying(new, side, version="3.1.0", schemas=schemas)
    assert diff(one, other) == []
    assert diff(other, one) == []


def test_promise_a_union_takes_in_a_schema_that_stood_alone() -> None:
    """A schema that becomes one of several is a further branch, not another type."""
    schemas = {"Cat": CAT, "Dog": DOG}
    ref = {"$ref": "#/components/schemas/Cat"}
    old = carrying(_object({"pet": ref}), "response", schemas=schemas)
    both = {"oneOf": [ref, {"$ref": "#/components/schemas/Dog"}]}
    new = carrying(_object({"pet": both}), "response", schemas=schemas)
    assert told(old, new) == {("response-branch-added", place("response", "$.pet<Dog>"))}
    assert told(new, old) == {("response-branch-removed", place("response", "$.pet<Dog>"))}


def test_promise_items_by_position_are_compared() -> None:
    """The first items of a list may each have a schema of their own."""
    old = {"type": "array", "prefixItems": [TEXT, TEXT]}
    new = {"type": "array", "prefixItems": [TEXT, {"type": "integer"}]}
    assert told(carrying(old, "request"), carrying(new, "request")) == {
        ("request-type-changed", place("request", "$[1]"))
    }


def test_promise_shared_schemas_are_told_at_every_use() -> None:
    """Accepting a difference at one place never hides it at another that shares the schema."""

    def make(kind: str) -> Any:
        ref = {"$ref": "#/components/schemas/Address"}
        shared = {"Address": _object({"zip": {"type": kind}})}
        schema = _object({"billing": ref, "shipping": ref})
        return carrying(schema, "response", schemas=shared)

    assert told(make("string"), make("integer")) == {
        ("response-type-changed", place("response", f"$.{each}.zip"))
        for each in ("billing", "shipping")
    }


def test_promise_recursive_schemas_are_compared_once_around() -> None:
    """A schema that holds itself is compared, and told where it is first met."""

    def make(kind: str) -> Any:
        ref = {"$ref": "#/components/schemas/Node"}
        node = _object({"kids": {"type": "array", "items": ref}, "value": {"type": kind}})
        return carrying(ref, "request", schemas={"Node": node})

    assert told(make("string"), make("integer")) == {
        ("request-type-changed", place("request", "$.value"))
    }
    assert diff(make("string"), make("string")) == []


def test_promise_a_type_beside_a_union_hides_no_branch() -> None:
    """A type that is only now said of a union does not keep its branches from being compared."""
    old, new = {"oneOf": [CAT, DOG]}, {"type": "object", "oneOf": [CAT, DOG, COW]}
    assert told(carrying(old, "response"), carrying(new, "response")) == {
        ("response-branch-added", place("response", "$<Cow>"))
    }
