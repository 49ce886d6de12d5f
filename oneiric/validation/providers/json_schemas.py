"""JSON Schema: what of a value is not as a schema says. Nothing is fetched, no pattern takes long.

The library is an extra. Dates, times, UUIDs and IP addresses are held to their `format`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeAlias

from oneiric.documents import canonical
from oneiric.errors import InvalidError, JSONValue
from oneiric.ports.errors import DependencyMissingError
from oneiric.validation.providers.patterns import (
    EXTRA,
    PatternTooSlowError,
    PatternUntriedError,
    pattern_problem,
    searched,
    shown,
)

Fault: TypeAlias = tuple[str, str]
"""The JSON path of what is wrong, and what is."""

MAX_FAULTS = 20
"""How many faults of a value are told."""
_MAX_SEEN = 500
_SHOWN = 5
_MOST_SLOW = 3
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


def schema_faults(schema: JSONValue, value: JSONValue) -> list[Fault]:
    """Return the JSON path and the words for each thing in *value* that *schema* forbids.

    At most `MAX_FAULTS` are told. No value is quoted, for it may be a secret. Where a pattern
    cannot be read or takes too long, what is wrong whether it matches or not is told.

    >>> schema_faults({"properties": {"id": {"type": "integer"}}}, {"id": "x"})
    [('$.id', 'is string, and not integer')]

    Raises:
        InvalidError: the schema refers to what it does not hold; nothing is fetched.
        PatternUntriedError: only a pattern that could not be tried could say; names its place.
        DependencyMissingError: the extra is not installed.
    """
    untried = {each: why for each in set(_patterns(schema)) if (why := _unreadable(each))}
    for _ in range(_MOST_SLOW):
        try:
            return _certain(schema, value, untried)
        except PatternTooSlowError as error:
            untried[error.pattern] = "it had no answer in time"
    return _certain(schema, value, untried)


def _certain(schema: JSONValue, value: JSONValue, untried: Mapping[str, str]) -> list[Fault]:
    """Return what is wrong whatever *untried* patterns match."""
    lenient = _faults(schema, value, _Matching(frozenset(untried), is_match=True))
    if not untried:
        return list(lenient)[:MAX_FAULTS]
    strict = _faults(schema, value, _Matching(frozenset(untried), is_match=False))
    told = [fault for fault in lenient if fault in strict]
    if told or lenient.keys() == strict.keys():
        return told[:MAX_FAULTS]
    fault, named = next(each for each in (strict | lenient).items() if each[0] not in told)
    pattern = named if named in untried else min(untried)
    what = f"{fault[0]} cannot be held to the pattern {shown(pattern)}: {untried[pattern]}"
    raise PatternUntriedError(what)


def _faults(schema: JSONValue, value: JSONValue, matching: _Matching) -> dict[Fault, str]:
    """Return what is wrong, each with the pattern that says so, if one does."""
    told: dict[Fault, str] = {}
    try:
        for error in islice(_validator(schema, matching).iter_errors(value), _MAX_SEEN):
            said = error.validator_value if error.validator == "pattern" else ""
            told[json_path(error.absolute_path), _words(error)] = str(said)
            if len(told) >= MAX_FAULTS and not matching.untried:
                break
    except _unresolvable():
        if told:
            return told
        raise InvalidError("the schema refers to what it does not hold") from None
    except RecursionError:
        told["$", "is deeper than can be looked at"] = ""
    except re.error as error:  # the library looks for unevaluated properties by itself
        what = f"a property cannot be held to the pattern {shown(str(error.pattern))}: {error.msg}"
        raise PatternUntriedError(what) from None
    return told


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


def _validator(schema: JSONValue, matching: _Matching) -> Any:
    from referencing.jsonschema import EMPTY_REGISTRY

    kind = _bounded(_draft(schema), matching)
    return kind(schema, registry=EMPTY_REGISTRY, format_checker=_formats())


def _draft(schema: JSONValue) -> Any:
    library = _library()
    return library.validators.validator_for(schema, default=library.Draft202012Validator)


@lru_cache(maxsize=64)
def _bounded(kind: Any, matching: _Matching) -> Any:
    ours = {
        "pattern": matching.pattern,
        "patternProperties": matching.by_pattern,
        "additionalProperties": matching.additional,
        "uniqueItems": _unique,
    }
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


@dataclass(frozen=True, slots=True)
class _Matching:
    """The keywords that look for patterns; of those *untried*, it is said whether they match."""

    untried: frozenset[str]
    is_match: bool

    def pattern(
        self, _validator: Any, pattern: object, value: object, _schema: object
    ) -> Iterator[Any]:
        if isinstance(value, str) and not self._finds(str(pattern), value):
            yield _library().ValidationError("it does not match")

    def by_pattern(
        self, validator: Any, tables: Any, value: object, _schema: object
    ) -> Iterator[Any]:
        if not isinstance(value, dict) or not isinstance(tables, dict):
            return
        for pattern, below in tables.items():
            for name, each in value.items():
                if self._finds(pattern, name):
                    yield from validator.descend(each, below, path=name, schema_path=pattern)

    def additional(
        self, validator: Any, wanted: object, value: object, schema: Mapping[str, Any]
    ) -> Iterator[Any]:
        if not isinstance(value, dict):
            return
        known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
        further = [
            name
            for name in value
            if name not in known and not any(self._finds(each, name) for each in patterns)
        ]
        if wanted is False and further:
            yield _library().ValidationError("it has more properties")
        for name in further if isinstance(wanted, dict) else ():
            yield from validator.descend(value[name], wanted, path=name)

    def _finds(self, pattern: str, text: str) -> bool:
        if pattern in self.untried:
            return self.is_match
        return searched(pattern, text) is not None


_unreadable = lru_cache(maxsize=512)(pattern_problem)


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
