"""The texts that a JSON value holds, however deep."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from oneiric.documents.leaves import leaves_in
from oneiric.errors import JSONValue


def texts_in(value: JSONValue) -> Iterator[str]:
    """Return every text in *value*, but no key.

    >>> list(texts_in({"a": ["x", 1, {"b": "y"}]}))
    ['x', 'y']
    """
    return (each for each in leaves_in(value) if isinstance(each, str))


def with_texts(value: JSONValue, change: Callable[[str], str]) -> JSONValue:
    """Return *value* with each of its texts changed, keys included.

    >>> with_texts({"a": ["x", 1]}, str.upper)
    {'A': ['X', 1]}
    """
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(name): with_texts(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [with_texts(each, change) for each in value]
    return value
