"""Which asserts mean something: what can be compared with what, and where."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from oneiric.errors import JSONValue

_TEXTS = frozenset({"==", "!=", "contains", "matches"})
_ORDERS = frozenset({"<", "<=", ">", ">="})
_NUMBERS = _ORDERS | {"==", "!="}
_THERE = frozenset({"exists", "absent"})
_PERCENTILE = re.compile(r"p(100|[1-9]\d?)")

OPERATIONS_OF: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "status": _NUMBERS,
        "header": _TEXTS | _ORDERS | _THERE,
        "json": _TEXTS | _ORDERS | _THERE,
        "schema": frozenset({"valid"}),
        "body": _TEXTS,
        "size_bytes": _NUMBERS,
        "duration_ms": _ORDERS,
        "certificate_days": _ORDERS,
        "redirect": _TEXTS | _THERE,
    }
)
"""What each subject can be asked."""

_NUMERIC = frozenset({"size_bytes", "duration_ms", "certificate_days"})
_TEXTUAL = frozenset({"body", "redirect"})
_PLACES: Mapping[str, tuple[Callable[[str], object], str]] = MappingProxyType(
    {
        "header": (bool, "the name of a header"),
        "json": (lambda at: at.startswith("$"), "a JSONPath, which begins with $"),
        "schema": (lambda at: at == "" or at.startswith("$"), "a JSONPath, or nothing"),
        "duration_ms": (lambda at: at == "" or _PERCENTILE.fullmatch(at), "p1 to p100, or nothing"),
    }
)


def assert_problem(subject: str, at: str, operation: str, value: JSONValue) -> str:
    """Return why an assert means nothing, or an empty text.

    >>> assert_problem("certificate_days", "", "contains", 14)
    'certificate_days can be asked < <= > >=, not contains'
    """
    if operation not in OPERATIONS_OF[subject]:
        return f"{subject} can be asked {' '.join(sorted(OPERATIONS_OF[subject]))}, not {operation}"
    fits, told = _PLACES.get(subject, (lambda at: at == "", "nothing"))
    if not fits(at):
        return f"where {subject} looks must be {told}"
    return "" if operation in _THERE else _value_problem(subject, operation, value)


def _value_problem(subject: str, operation: str, value: Any) -> str:
    if operation == "matches" and not isinstance(value, str):
        return "what it matches is a pattern, which is a text"
    if subject in _NUMERIC and not is_number(value):
        return f"{subject} is compared with a number"
    if subject in _TEXTUAL and not isinstance(value, str):
        return f"{subject} is compared with a text"
    if subject == "schema" and not isinstance(value, bool | Mapping):
        return "a JSON Schema is a table, or true or false"
    if subject == "status" and operation in _ORDERS and not is_number(value):
        return "an order is among numbers"
    return ""


def is_number(value: object) -> bool:
    """Tell whether *value* is a number, which a bool is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)
