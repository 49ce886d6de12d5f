"""JSON Schema: whether a value is as a schema says. Nothing is fetched, no pattern takes long."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from oneiric.documents import canonical
from oneiric.errors import InvalidError, JSONValue
from oneiric.ports.errors import DependencyMissingError
from oneiric.validation.providers.patterns import EXTRA, pattern_problem, searched

MOST_FAULTS = 10
"""How many faults of a value are told."""


def schema_problem(schema: JSONValue) -> str:
    """Return why *schema* is no JSON Schema, or an empty text.

    >>> schema_problem({"type": "object"}), schema_problem({"type": 3})
    ('', 'it is no JSON Schema: at type')

    Raises:
        DependencyMissingError: the extra is not installed.
    """
    return _problem(canonical(schema))


@lru_cache(maxsize=256)
def _problem(data: bytes) -> str:
    library = _library()
    schema = json.loads(data)
    kind = library.validators.validator_for(schema, default=library.Draft202012Validator)
    for fault in kind(kind.META_SCHEMA).iter_errors(schema):
        return f"it is no JSON Schema: at {'.'.join(map(str, fault.absolute_path)) or 'its top'}"
    for pattern in _patterns(schema):
        if why := pattern_problem(pattern):
            return f"a pattern in it cannot be tried: {why}"
    return ""


def schema_faults(schema: JSONValue, value: JSONValue) -> list[str]:
    """Return what of *value* is not as *schema* says: where, and by which keyword.

    No value is repeated, for it may be a secret.

    >>> schema_faults({"properties": {"id": {"type": "integer"}}}, {"id": "x"})
    ['$.id: type']

    Raises:
        InvalidError: the schema refers to what it does not hold; nothing is fetched.
        PatternTooSlowError: a pattern in it had no answer in time.
        DependencyMissingError: the extra is not installed.
    """
    validator = _validator(canonical(schema))
    faults = []
    try:
        for fault in validator.iter_errors(value):
            faults.append(f"{fault.json_path}: {fault.validator}")
            if len(faults) == MOST_FAULTS:
                break
    except _unresolvable():
        raise InvalidError("the schema refers to what it does not hold") from None
    except RecursionError:
        raise InvalidError("the schema or the value is too deep") from None
    return faults


def _patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(pattern := schema.get("pattern"), str):
            yield pattern
        if isinstance(tables := schema.get("patternProperties"), Mapping):
            yield from tables
        for each in schema.values():
            yield from _patterns(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _patterns(each)


@lru_cache(maxsize=64)
def _validator(schema: bytes) -> Any:
    library = _library()
    from referencing.jsonschema import EMPTY_REGISTRY

    table = json.loads(schema)
    kind = library.validators.validator_for(table, default=library.Draft202012Validator)
    bounded = library.validators.extend(
        kind, {"pattern": _pattern, "patternProperties": _pattern_properties}
    )
    return bounded(table, registry=EMPTY_REGISTRY)


def _pattern(_validator: Any, pattern: str, value: object, _schema: object) -> Iterator[Any]:
    if isinstance(value, str) and searched(pattern, value) is None:
        yield _library().ValidationError("it does not match the pattern")


def _pattern_properties(
    validator: Any, tables: Mapping[str, Any], value: object, _schema: object
) -> Iterator[Any]:
    if not isinstance(value, Mapping):
        return
    for pattern, schema in tables.items():
        for name, item in value.items():
            if searched(pattern, name) is not None:
                yield from validator.descend(item, schema, path=name, schema_path=pattern)


def _unresolvable() -> type[Exception]:
    from referencing.exceptions import Unresolvable

    return Unresolvable


def _library() -> Any:
    try:
        import jsonschema
    except ImportError:
        raise DependencyMissingError("JSON Schema", extra=EXTRA) from None
    return jsonschema
