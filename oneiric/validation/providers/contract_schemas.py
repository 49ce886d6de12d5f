"""Hold values to the schemas of a contract, with a library that is an extra."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from oneiric.errors import JSONValue
from oneiric.ports.errors import DependencyMissingError

EXTRA = "validation"
MAX_FAULTS = 20
_MAX_SEEN = 500
_LONGEST_TEXT = 10_000
_SHOWN = 5
_FORMATS = ("date", "uuid", "ipv4", "ipv6")
_KINDS: Mapping[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def faults(schema: JSONValue, value: JSONValue) -> list[tuple[str, str]]:
    """Return the JSON path and the words for each thing in *value* that *schema* forbids.

    *schema* is JSON Schema of draft 2020-12 whose references stay within it. At most
    `MAX_FAULTS` are told. No value is quoted, for it may be a secret.

    Raises:
        DependencyMissingError: `oneiric[validation]` is not installed.
    """
    validator = _validator(schema)
    told: dict[tuple[str, str], None] = {}
    try:
        for error in islice(validator.iter_errors(value), _MAX_SEEN):
            told[json_path(error.absolute_path), _words(error)] = None
            if len(told) >= MAX_FAULTS:
                break
    except RecursionError:
        told["$", "is deeper than can be looked at"] = None
    return list(told)


def json_path(keys: Any) -> str:
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


def _library() -> Any:
    try:
        import jsonschema  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise DependencyMissingError("conformance", extra=EXTRA) from error
    return jsonschema


def _validator(schema: JSONValue) -> Any:
    jsonschema = _library()
    checker = jsonschema.FormatChecker(formats=_FORMATS)
    checker.checks("date-time", raises=ValueError)(_is_time)
    kind = jsonschema.validators.extend(
        jsonschema.Draft202012Validator,
        {"pattern": _pattern, "patternProperties": _by_pattern, "uniqueItems": _unique},
    )
    return kind(schema, format_checker=checker)


def _is_time(value: object) -> bool:
    if isinstance(value, str):
        return datetime.fromisoformat(value).tzinfo is not None
    return True


def _pattern(validator: Any, pattern: Any, value: Any, schema: Any) -> Iterator[Any]:
    if isinstance(value, str) and not _matches(pattern, value):
        yield _library().ValidationError("it does not match")


def _unique(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Any]:
    if wanted and isinstance(value, list):
        texts = {json.dumps(each, sort_keys=True) for each in value}
        if len(texts) < len(value):
            yield _library().ValidationError("its items are equal")


def _by_pattern(validator: Any, patterns: Any, value: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(value, dict) or not isinstance(patterns, dict):
        return
    for pattern, below in patterns.items():
        for name, each in value.items():
            if _matches(pattern, name, unknown=False):
                yield from validator.descend(each, below, path=name, schema_path=pattern)


def _matches(pattern: Any, text: str, *, unknown: bool = True) -> bool:
    """Tell whether *text* matches; what Python cannot read, or is too long to try, is *unknown*."""
    if len(text) > _LONGEST_TEXT:
        return unknown
    try:
        return re.search(pattern, text) is not None
    except (re.error, TypeError, RecursionError, OverflowError):
        return unknown


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
