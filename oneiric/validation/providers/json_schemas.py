"""JSON Schema: what of a value is not as a schema says. Nothing is fetched, no pattern takes long.

The library is an extra. Dates, times, UUIDs and IP addresses are held to their `format`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache, lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any

from oneiric.documents import canonical
from oneiric.errors import InvalidError, JSONValue
from oneiric.ports.errors import DependencyMissingError
from oneiric.validation.providers.patterns import EXTRA, pattern_problem, searched

MAX_FAULTS = 20
"""How many faults of a value are told."""
_MAX_SEEN = 500
_SHOWN = 5
_FORMATS = ("date", "uuid", "ipv4", "ipv6")
_KINDS: Mapping[type, str] = MappingProxyType(
    {
        dict: "object",
        list: "array",
        str: "string",
        bool: "boolean",
        int: "integer",
        float: "number",
        type(None): "null",
    }
)


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
    schema = json.loads(data)
    kind = _draft(schema)
    for fault in kind(kind.META_SCHEMA).iter_errors(schema):
        return f"it is no JSON Schema: at {'.'.join(map(str, fault.absolute_path)) or 'its top'}"
    for pattern in _patterns(schema):
        if why := pattern_problem(pattern):
            return f"a pattern in it cannot be tried: {why}"
    return ""


def schema_faults(schema: JSONValue, value: JSONValue) -> list[tuple[str, str]]:
    """Return the JSON path and the words for each thing in *value* that *schema* forbids.

    At most `MAX_FAULTS` are told. No value is quoted, for it may be a secret. A pattern that
    cannot be read forbids nothing; `schema_problem` tells of it.

    >>> schema_faults({"properties": {"id": {"type": "integer"}}}, {"id": "x"})
    [('$.id', 'is string, and not integer')]

    Raises:
        InvalidError: the schema refers to what it does not hold; nothing is fetched.
        PatternTooSlowError: a pattern in it had no answer in time.
        DependencyMissingError: the extra is not installed.
    """
    validator = _validator(schema)
    told: dict[tuple[str, str], None] = {}
    try:
        for error in islice(validator.iter_errors(value), _MAX_SEEN):
            told[json_path(error.absolute_path), _words(error)] = None
            if len(told) >= MAX_FAULTS:
                break
    except _unresolvable():
        raise InvalidError("the schema refers to what it does not hold") from None
    except RecursionError:
        told["$", "is deeper than can be looked at"] = None
    return list(told)


def json_path(keys: Iterable[str | int]) -> str:
    """Return keys and indexes as a path.

    >>> json_path(["items", 0, "e mail"])
    '$.items[0]["e mail"]'
    """
    path = "$"
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]"
        elif key.replace("_", "a").isalnum():
            path += f".{key}"
        else:
            path += f'["{ascii(key[:100])[1:-1]}"]'
    return path


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


def _validator(schema: JSONValue) -> Any:
    from referencing.jsonschema import EMPTY_REGISTRY

    kind = _bounded(_draft(schema))
    return kind(schema, registry=EMPTY_REGISTRY, format_checker=_formats())


def _draft(schema: JSONValue) -> Any:
    library = _library()
    return library.validators.validator_for(schema, default=library.Draft202012Validator)


@cache
def _bounded(kind: Any) -> Any:
    ours = {"pattern": _pattern, "patternProperties": _by_pattern, "uniqueItems": _unique}
    return _library().validators.extend(kind, ours)


@cache
def _formats() -> Any:
    checker = _library().FormatChecker(formats=_FORMATS)
    checker.checks("date-time", raises=ValueError)(_is_time)
    return checker


def _is_time(value: object) -> bool:
    if isinstance(value, str):
        return datetime.fromisoformat(value).tzinfo is not None
    return True


def _pattern(_validator: Any, pattern: object, value: object, _schema: object) -> Iterator[Any]:
    if isinstance(value, str) and _is_readable(pattern) and searched(str(pattern), value) is None:
        yield _library().ValidationError("it does not match")


def _by_pattern(validator: Any, tables: Any, value: object, _schema: object) -> Iterator[Any]:
    if not isinstance(value, dict) or not isinstance(tables, dict):
        return
    for pattern, below in tables.items():
        for name, each in value.items():
            if _is_readable(pattern) and searched(pattern, name) is not None:
                yield from validator.descend(each, below, path=name, schema_path=pattern)


@lru_cache(maxsize=512)
def _is_readable(pattern: object) -> bool:
    return isinstance(pattern, str) and not pattern_problem(pattern)


def _unique(_validator: Any, wanted: object, value: object, _schema: object) -> Iterator[Any]:
    if wanted and isinstance(value, list):
        texts = {json.dumps(each, sort_keys=True) for each in value}
        if len(texts) < len(value):
            yield _library().ValidationError("its items are equal")


def _words(error: Any) -> str:
    keyword, wanted, value = error.validator, error.validator_value, error.instance
    if keyword == "not" and not wanted:
        return "must not be there"
    if keyword == "required":
        return f"lacks {_names(each for each in wanted if each not in value)}"
    if keyword == "type":
        kinds = wanted if isinstance(wanted, list) else [wanted]
        return f"is {_KINDS.get(type(value), 'unknown')}, and not {' or '.join(map(str, kinds))}"
    if keyword in ("enum", "const"):
        return "is none of the documented values"
    if keyword in ("additionalProperties", "unevaluatedProperties"):
        known = error.schema.get("properties", {})
        return f"has undocumented properties: {_names(each for each in value if each not in known)}"
    if keyword == "format":
        return f"is no {wanted}"
    if keyword in ("anyOf", "oneOf"):
        several = keyword == "oneOf" and not error.context
        return f"is like {'several' if several else 'none'} of the documented schemas ({keyword})"
    limit = f" {wanted}" if isinstance(wanted, int | float) else ""
    return f"breaks {keyword}{limit}"


def _names(names: Iterator[Any]) -> str:
    shown = [ascii(str(each)[:60])[1:-1] for each in islice(names, _SHOWN + 1)]
    return ", ".join([*shown[:_SHOWN], *(["…"] if len(shown) > _SHOWN else [])])


def _unresolvable() -> type[Exception]:
    from referencing.exceptions import Unresolvable

    return Unresolvable


def _library() -> Any:
    try:
        import jsonschema  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise DependencyMissingError("JSON Schema", extra=EXTRA) from None
    return jsonschema
