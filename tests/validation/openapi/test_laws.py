"""What holds for any document."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oneiric.errors import DocumentError
from oneiric.ports.drift import Severity
from oneiric.validation.openapi import Document, conformance, diff, read_document, routes_of
from oneiric.validation.openapi.json_schema import json_schema
from oneiric.validation.providers.json_schemas import schema_faults
from tests.validation.openapi.documents import JSON, carrying, read

OURS = Path(__file__).parents[3] / "docs" / "reference" / "control-api.json"
NAMES = st.sampled_from(["a", "b", "c", "id", "name", "$ref ", "default", "example"])
REFS = st.sampled_from(["A", "B", "C"]).map(lambda name: {"$ref": f"#/components/schemas/{name}"})
LEAVES = st.one_of(
    REFS,
    st.booleans(),
    st.just({}),
    st.builds(
        lambda kind, more: {"type": kind, **more},
        st.sampled_from(["string", "integer", "number", "boolean", ["string", "null"]]),
        st.fixed_dictionaries(
            {},
            optional={
                "enum": st.lists(st.sampled_from(["x", "y", 1, None]), min_size=1),
                "minimum": st.integers(-3, 3),
                "exclusiveMaximum": st.one_of(st.booleans(), st.integers(-3, 3)),
                "maxLength": st.integers(0, 3),
                "pattern": st.sampled_from(["a", "b"]),
                "format": st.sampled_from(["int32", "int64", "date"]),
                "nullable": st.booleans(),
                "readOnly": st.booleans(),
                "writeOnly": st.booleans(),
                "default": st.sampled_from(["x", 1]),
                "description": st.text(max_size=3),
            },
        ),
    ),
)


def _composed(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array", ["object", "null"]]),
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "required": st.lists(NAMES, max_size=3),
            "additionalProperties": inner,
            "items": inner,
            "allOf": several,
            "oneOf": several,
            "anyOf": several,
            "not": inner,
            "nullable": st.booleans(),
        },
    )


SCHEMAS = st.recursive(LEAVES, _composed, max_leaves=8)
CONTENT = st.dictionaries(
    st.sampled_from([JSON, "text/csv", "*/*"]), st.builds(lambda each: {"schema": each}, SCHEMAS)
)
PARAMETERS = st.lists(
    st.fixed_dictionaries(
        {"name": NAMES, "in": st.sampled_from(["path", "query", "header", "cookie"])},
        optional={"required": st.booleans(), "schema": SCHEMAS, "deprecated": st.booleans()},
    ),
    max_size=3,
)
OPERATIONS = st.fixed_dictionaries(
    {
        "responses": st.dictionaries(
            st.sampled_from(["200", "2XX", "404", "default"]),
            st.fixed_dictionaries({}, optional={"content": CONTENT}),
            max_size=3,
        )
    },
    optional={
        "parameters": PARAMETERS,
        "requestBody": st.fixed_dictionaries(
            {"content": CONTENT}, optional={"required": st.booleans()}
        ),
        "deprecated": st.booleans(),
        "x-sunset": st.sampled_from(["2026-01-01", "soon"]),
        "security": st.lists(
            st.dictionaries(st.sampled_from(["k", "o"]), st.lists(st.sampled_from(["r", "w"]))),
            max_size=2,
        ),
    },
)
DOCUMENTS = st.builds(
    lambda version, paths, schemas: {
        "openapi": version,
        "paths": paths,
        "components": {"schemas": {name: schemas[index] for index, name in enumerate("ABC")}},
    },
    st.sampled_from(["3.0.3", "3.1.0"]),
    st.dictionaries(
        st.sampled_from(["/a", "/a/{id}", "/a/{b}", "/c"]),
        st.dictionaries(st.sampled_from(["get", "post"]), OPERATIONS, max_size=2),
        max_size=3,
    ),
    st.lists(SCHEMAS, min_size=3, max_size=3),
)
ANY = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def _values(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3))


def _read(value: Any) -> Document | None:
    try:
        return read(value)
    except DocumentError as error:
        if error.reason == "circular-reference":
            return None
        raise


def _shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        keys = list(value)
        chance.shuffle(keys)
        return {key: _shuffled(value[key], chance) for key in keys}
    return [_shuffled(each, chance) for each in value] if isinstance(value, list) else value


@ANY
@given(DOCUMENTS)
def test_promise_any_document_equals_itself(value: Any) -> None:
    """Nothing is told of a document that is compared with itself, read once or twice."""
    one, other = _read(value), _read(copy.deepcopy(value))
    if one and other:
        assert diff(one, one) == []
        assert diff(one, other) == []
        assert len(routes_of(one)) == len(one.operations)


@ANY
@given(DOCUMENTS, DOCUMENTS, st.randoms(use_true_random=False))
def test_promise_the_order_of_keys_makes_no_difference(
    old: Any, new: Any, chance: random.Random
) -> None:
    """Two comparisons of the same documents tell the same, in the same order."""
    documents = [
        _read(old),
        _read(new),
        _read(_shuffled(old, chance)),
        _read(_shuffled(new, chance)),
    ]
    if all(documents):
        first, second, third, fourth = (each for each in documents if each)
        assert diff(first, second) == diff(third, fourth)
        assert diff(first, second) == diff(first, second)


@ANY
@given(st.dictionaries(NAMES, LEAVES, max_size=4), st.sampled_from(["request", "response"]))
def test_promise_any_property_that_must_be_sent_anew_breaks(
    properties: dict[str, Any], side: str
) -> None:
    """A further required property breaks those who ask, and nobody who reads."""
    schemas = {name: {"type": "string"} for name in "ABC"}
    old = {"type": "object", "properties": properties}
    new = {
        "type": "object",
        "properties": {**properties, "added": {"type": "string"}},
        "required": ["added"],
    }
    (item,) = diff(carrying(old, side, schemas=schemas), carrying(new, side, schemas=schemas))
    assert item.place.endswith("$.added")
    expected = Severity.BREAKING if side == "request" else Severity.INFO
    assert item.severity is expected


@ANY
@given(SCHEMAS, st.sampled_from(["request", "response"]))
def test_promise_null_and_types_are_judged_by_direction(schema: Any, side: str) -> None:
    """Putting a schema into allOf, or naming it, changes nothing that it allows."""
    schemas = {"A": {"type": "string"}, "B": {"type": "integer"}, "C": {"type": "object"}}
    plain = carrying(schema, side, schemas=schemas)
    within = carrying({"allOf": [schema]}, side, schemas=schemas)
    named = carrying({"$ref": "#/components/schemas/D"}, side, schemas={**schemas, "D": schema})
    places = {each.code.removeprefix(f"{side}-") for each in diff(plain, within)}
    assert places <= {"all-of-added", "all-of-removed"}
    assert [each for each in diff(plain, named) if "union" in each.code] == []


@ANY
@given(SCHEMAS, st.recursive(st.sampled_from([None, 1, "x", True]), _values, max_leaves=6))
def test_promise_any_answer_can_be_held_to_any_schema(schema: Any, value: Any) -> None:
    """Whatever the schema and the body, the answer is a list of problems with their places."""
    schemas = {name: {"type": "string", "nullable": True} for name in "ABC"}
    for version in ("3.0.3", "3.1.0"):
        document = carrying(schema, "response", schemas=schemas, version=version)
        problems = conformance(
            document,
            method="POST",
            path="/users",
            status=200,
            headers={"content-type": JSON},
            body=json.dumps(value).encode(),
        )
        assert all(each.key.startswith("$") and each.what for each in problems)


def _plain(schema: Any) -> Any:
    """Say the types that go without saying, and leave out what no validator knows."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    structure = {"properties", "required", "additionalProperties", "items"}
    untyped = structure & schema.keys() and "type" not in schema
    told = {"type": ["object", "array"], **schema} if untyped else schema
    return {
        key: _plain(each)
        for key, each in told.items()
        if not (key in ("readOnly", "writeOnly", "exclusiveMaximum") and isinstance(each, bool))
    }


@settings(ANY, max_examples=40)
@given(
    SCHEMAS.map(_plain),
    SCHEMAS.map(_plain),
    st.lists(
        st.recursive(st.sampled_from([None, 1, 2.5, "x", "aaa", True, -3]), _values, max_leaves=4),
        min_size=3,
        max_size=8,
    ),
)
def test_promise_what_a_validator_tells_apart_is_told(old: Any, new: Any, values: Any) -> None:
    """Where nothing is told, whatever could be sent still can, and whatever comes is expected."""
    schemas = {"A": {"type": "string"}, "B": {"type": "integer", "maximum": 3}, "C": {}}
    for side in ("request", "response"):
        one, other = (carrying(each, side, schemas=schemas) for each in (old, new))
        if any(each.severity is not Severity.INFO for each in diff(one, other)):
            continue
        before, after = json_schema(one, old, hidden=""), json_schema(other, new, hidden="")
        narrow, wide = (before, after) if side == "request" else (after, before)
        for value in values:
            assert schema_faults(narrow, value) or not schema_faults(wide, value)


def _tables(value: Any) -> list[Any]:
    found = [value] if isinstance(value, dict | list) and value else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found + [table for each in inner for table in _tables(each)]


def _mutate(value: Any, chance: random.Random) -> None:
    table = chance.choice(_tables(value))
    key = chance.choice(list(table) if isinstance(table, dict) else list(range(len(table))))
    match chance.randrange(4):
        case 0:
            del table[key]
        case 1:
            table[key] = chance.choice([None, 3, "x", True, [], {}, ["x"], {"x": 3}])
        case 2:
            table[key] = copy.deepcopy(chance.choice(_tables(value)))
        case _:
            if isinstance(table, dict):
                table[chance.choice(["type", "required", "items", "x"])] = table.pop(key)


@pytest.mark.parametrize("seed", range(5))
def test_promise_mutations_of_a_real_document_are_compared_or_refused(seed: int) -> None:
    """However a real document is broken, it is refused by a reason or compared."""
    old = read_document(OURS.read_bytes(), source=OURS.name)
    chance = random.Random(seed)
    for _ in range(20):
        value = json.loads(json.dumps(old.root))
        for _ in range(chance.randrange(1, 4)):
            _mutate(value, chance)
        try:
            new = read(value)
        except DocumentError:
            continue
        assert diff(new, new) == []
        assert diff(old, new) == diff(old, new)
        diff(new, old)
        assert len(routes_of(new)) == len(new.operations)
