"""Whether a value is what a JSON Schema says, as far as recipes need that language."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from oneiric.errors import InvalidError, JSONValue, unknown

_TYPES: Mapping[str, Callable[[object], bool]] = MappingProxyType(
    {
        "null": lambda value: value is None,
        "boolean": lambda value: isinstance(value, bool),
        "integer": lambda value: (
            type(value) is int or (isinstance(value, float) and value.is_integer())
        ),
        "number": lambda value: type(value) in (int, float),
        "string": lambda value: isinstance(value, str),
        "array": lambda value: isinstance(value, list),
        "object": lambda value: isinstance(value, Mapping),
    }
)
Check: TypeAlias = Callable[[Any, Any], str]
"""Takes a value and what its keyword says; returns what is wrong, or an empty text."""


def misfits(value: JSONValue, schema: JSONValue, at: str) -> Iterator[str]:
    """Yield what is wrong with *value*, each with its place below *at*.

    >>> list(misfits({"n": "3"}, {"properties": {"n": {"type": "integer"}}}, "a_v1"))
    ['a_v1.n is no integer']

    Raises:
        InvalidError: the schema uses a word that is not known here; nothing passes unchecked.
    """
    if isinstance(schema, bool):
        if not schema:
            yield f"{at} should not be there"
        return
    if not isinstance(schema, Mapping):
        raise InvalidError(f"a schema is a table, or true or false, not {type(schema).__name__}")
    for word, said in schema.items():
        if word in _PLAIN:
            kind, check = _PLAIN[word]
            if (
                isinstance(value, kind)
                and not isinstance(value, bool)
                and (how := check(value, said))
            ):
                yield f"{at} {how}"
        elif word in _DEEP:
            yield from _DEEP[word](value, said, at, schema)
        elif word not in _SILENT:
            raise InvalidError(f"the schema says {unknown(word, (*_PLAIN, *_DEEP))}, unknown here")


def _type(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    names = [said] if isinstance(said, str) else list(said)
    if wrong := [name for name in names if name not in _TYPES]:
        raise InvalidError(f"the schema names no type: {wrong[0]}")
    if not any(_TYPES[name](value) for name in names):
        yield f"{at} is no {' or '.join(names)}"


def _enum(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    if not any(same(value, each) for each in said):
        yield f"{at} is none of {', '.join(map(str, said))}"


def _const(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    if not same(value, said):
        yield f"{at} is not {said}"


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal as JSON: true is not 1."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _properties(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, schema in said.items():
            if name in value:
                yield from misfits(value[name], schema, f"{at}.{name}")


def _others(value: Any, said: Any, at: str, schema: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name in value.keys() - schema.get("properties", {}).keys():
            yield from misfits(value[name], said, f"{at}.{name}")


def _required(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (f"{at} has no {name}" for name in said if name not in value)


def _items(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from misfits(each, said, f"{at}.{number}")


def _all(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    for schema in said:
        yield from misfits(value, schema, at)


def _any(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    if all(list(misfits(value, schema, at)) for schema in said):
        yield f"{at} fits none of {len(said)} schemas"


def _one(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    fit = sum(not list(misfits(value, schema, at)) for schema in said)
    if fit != 1:
        yield f"{at} fits {fit} of {len(said)} schemas, not one"


def _not(value: Any, said: Any, at: str, _: object) -> Iterator[str]:
    if not list(misfits(value, said, at)):
        yield f"{at} fits a schema that it must not"


def _told(holds: Callable[[Any, Any], bool], words: str) -> Check:
    return lambda value, said: "" if holds(value, said) else words.format(said)


_NUMBER, _TEXT, _LIST, _TABLE = (int, float), (str,), (list,), (Mapping,)
_PLAIN: Mapping[str, tuple[tuple[type, ...], Check]] = MappingProxyType(
    {
        "minimum": (_NUMBER, _told(lambda v, n: v >= n, "is below {}")),
        "maximum": (_NUMBER, _told(lambda v, n: v <= n, "is above {}")),
        "exclusiveMinimum": (_NUMBER, _told(lambda v, n: v > n, "is not above {}")),
        "exclusiveMaximum": (_NUMBER, _told(lambda v, n: v < n, "is not below {}")),
        "minLength": (_TEXT, _told(lambda v, n: len(v) >= n, "is shorter than {}")),
        "maxLength": (_TEXT, _told(lambda v, n: len(v) <= n, "is longer than {}")),
        "pattern": (_TEXT, _told(lambda v, n: bool(re.search(n, v)), "does not match {}")),
        "minItems": (_LIST, _told(lambda v, n: len(v) >= n, "has fewer than {} items")),
        "maxItems": (_LIST, _told(lambda v, n: len(v) <= n, "has more than {} items")),
        "minProperties": (_TABLE, _told(lambda v, n: len(v) >= n, "has fewer than {} fields")),
        "maxProperties": (_TABLE, _told(lambda v, n: len(v) <= n, "has more than {} fields")),
    }
)
_DEEP: Mapping[str, Callable[[Any, Any, str, Any], Iterator[str]]] = MappingProxyType(
    {
        "type": _type,
        "enum": _enum,
        "const": _const,
        "properties": _properties,
        "additionalProperties": _others,
        "required": _required,
        "items": _items,
        "allOf": _all,
        "anyOf": _any,
        "oneOf": _one,
        "not": _not,
    }
)
_SILENT = frozenset(("$schema", "$id", "$comment", "title", "description", "default", "examples"))
