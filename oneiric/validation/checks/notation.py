"""Asserts as people write them: one line each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from oneiric.documents.model import refused
from oneiric.errors import JSONValue, nearest

OPERATIONS = ("==", "!=", "<=", ">=", "<", ">", "contains", "matches", "exists", "absent", "valid")
"""How an assert may compare."""

_ALONE = frozenset({"exists", "absent"})
_SUBJECT = re.compile(r"\s*([A-Za-z_]+)\s*")
_OPERATION = re.compile(r"\s*(==|!=|<=|>=|<|>|(?:contains|matches|exists|absent|valid)(?!\S))\s*")
_WORD = re.compile(r"[^\s=!<>]+")
_PERCENTILE = re.compile(r"p\d{1,3}(?!\S)")
_SOURCE = re.compile(r"(json|header|body)\s+(\S.*)", re.DOTALL)
_AMOUNT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]*)")

_SUBJECTS: Mapping[str, str] = MappingProxyType(
    {
        "status": "status",
        "header": "header",
        "json": "json",
        "schema": "schema",
        "body": "body",
        "size": "size_bytes",
        "size_bytes": "size_bytes",
        "duration": "duration_ms",
        "duration_ms": "duration_ms",
        "certificate": "certificate_days",
        "certificate_days": "certificate_days",
        "redirect": "redirect",
    }
)
_IMPLIED: Mapping[str, str] = MappingProxyType(
    {"status": "==", "schema": "valid", "header": "exists", "json": "exists", "redirect": "exists"}
)
_UNITS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "size_bytes": {
            "": 1,
            "b": 1,
            "kb": 1_000,
            "mb": 1_000_000,
            "gb": 1_000_000_000,
            "kib": 1 << 10,
            "mib": 1 << 20,
            "gib": 1 << 30,
        },
        "duration_ms": {"": 1, "ms": 1, "s": 1_000, "m": 60_000, "min": 60_000},
        "certificate_days": {"": 1, "d": 1, "day": 1, "days": 1, "w": 7, "h": 1 / 24},
    }
)


def assert_table(text: str) -> dict[str, JSONValue]:
    """Return the fields of the assert that *text* says.

    >>> assert_table('json $.status == "ok"')
    {'subject': 'json', 'at': '$.status', 'op': '==', 'value': 'ok'}
    >>> assert_table("duration p95 < 0.5s")
    {'subject': 'duration_ms', 'at': 'p95', 'op': '<', 'value': 500}
    >>> assert_table("certificate > 14d")["value"], assert_table("size < 1MB")["value"]
    (14, 1000000)

    Raises:
        PydanticCustomError: it says no assert; told for people.
    """
    found = _SUBJECT.match(text)
    word = found[1].lower() if found else ""
    subject = _SUBJECTS.get(word)
    if found is None or subject is None:
        close = nearest(word, _SUBJECTS)
        raise _wrong(text, f"did you mean {close}?" if close else f"it begins with {_NAMES}")
    at, rest = _place(subject, text[found.end() :])
    comparison = _OPERATION.match(rest)
    if comparison:
        operation, rest = comparison[1], rest[comparison.end() :]
    elif operation := _IMPLIED.get(subject, ""):
        operation = operation if not rest.strip() or subject in _VALUED else ""
    if not operation:
        raise _wrong(text, f"it lacks one of {' '.join(OPERATIONS)}")
    table: dict[str, JSONValue] = {"subject": subject, "at": at, "op": operation}
    rest = rest.strip()
    if operation in _ALONE:
        if rest:
            raise _wrong(text, f"nothing follows {operation}")
        return table
    if not rest:
        raise _wrong(text, f"nothing follows {operation}")
    return {**table, "value": _value(subject, operation, rest, text)}


def capture_source(text: str) -> tuple[str, str]:
    """Return what a capture looks at, `json`, `header` or `body`, and where in it.

    >>> capture_source("json $.token")
    ('json', '$.token')

    Raises:
        PydanticCustomError: it is none of them.
    """
    found = _SOURCE.fullmatch(text.strip())
    if found is None:
        raise refused("a capture is 'json PATH', 'header NAME' or 'body REGEX'")
    return found[1], found[2]


_NAMES = "one of " + ", ".join(name for name in _SUBJECTS if "_" not in name)
_VALUED = frozenset({"status", "schema"})


def _place(subject: str, text: str) -> tuple[str, str]:
    """Return where in the subject is looked, and the rest of the text."""
    if subject == "json" or (subject == "schema" and text.startswith("$")):
        end = _path_end(text)
        return text[:end], text[end:]
    if subject == "header":
        found = _WORD.match(text)
        return (found[0], text[found.end() :]) if found else ("", text)
    if subject == "duration_ms" and (found := _PERCENTILE.match(text)):
        return found[0], text[found.end() :]
    return "", text


def _path_end(text: str) -> int:
    """Return where a JSONPath ends: at the first space outside of brackets and quotes."""
    depth, quote, at = 0, "", 0
    while at < len(text):
        character = text[at]
        if quote:
            at += character == "\\"
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[(":
            depth += 1
        elif character in "])":
            depth -= 1
        elif depth <= 0 and (character.isspace() or character in "=!<>"):
            return at
        at += 1
    return len(text)


def _value(subject: str, operation: str, rest: str, text: str) -> JSONValue:
    if subject in _UNITS:
        return _amount(subject, rest, text)
    if subject == "schema":
        value = _json(rest)
        if not isinstance(value, bool | Mapping):
            raise _wrong(text, "a JSON Schema follows, as JSON")
        return value
    if subject in ("status", "json") and operation != "matches":
        return _json(rest)
    if rest[0] == '"' and isinstance(quoted := _json(rest), str):
        return quoted
    return rest


def _amount(subject: str, rest: str, text: str) -> float:
    units = _UNITS[subject]
    found = _AMOUNT.fullmatch(rest)
    factor = units.get(found[2].lower()) if found else None
    if found is None or factor is None:
        raise _wrong(text, f"a number follows, with one of {', '.join(filter(None, units))}")
    amount = float(found[1]) * factor
    return int(amount) if amount.is_integer() else amount


def _constant(text: str) -> object:
    raise ValueError(text)


_read: Callable[[str], JSONValue] = json.JSONDecoder(parse_constant=_constant).decode


def _json(text: str) -> JSONValue:
    """Return *text* as the JSON that it is, or as it stands where it is none."""
    try:
        return _read(text)
    except (ValueError, RecursionError):
        return text


def _wrong(text: str, why: str) -> Exception:
    return refused(f"{text[:200]!r} is no assert: {why}")
