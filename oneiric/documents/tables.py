"""Dataclasses to JSON tables and back, strictly, with all that is wrong told at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

from oneiric.errors import JSONValue, Problem, nearest

T = TypeVar("T")

_NUMBERS = (int, float)
_TEXTS = "tuple[str, ...]"
_FITS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "str": ("a text", lambda value: isinstance(value, str)),
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "int": ("a whole number", lambda value: type(value) is int),
    "float": ("a number", lambda value: type(value) in _NUMBERS),
    "float | None": ("a number", lambda value: value is None or type(value) in _NUMBERS),
    "JSONValue": ("a value", lambda _: True),
    "Mapping[str, JSONValue]": ("a table", lambda value: isinstance(value, Mapping)),
    "Mapping[str, int]": (
        "a table of whole numbers",
        lambda table: isinstance(table, Mapping) and {type(n) for n in table.values()} <= {int},
    ),
    _TEXTS: (
        "a list of texts",
        lambda items: isinstance(items, list | tuple) and {type(t) for t in items} <= {str},
    ),
}


def write_table(item: object) -> dict[str, JSONValue]:
    """Return a dataclass as a JSON object, without the fields that are as they are by default."""
    kept = ((each, getattr(item, each.name)) for each in _listed(type(item)))  # type: ignore[arg-type]
    return {each.name: _written(value) for each, value in kept if value != _default(each)}


def json_table(item: object, names: str = "") -> dict[str, JSONValue]:
    """Return what *item* has by these *names*, each as JSON; without names, a dataclass's fields.

    Enumerations and references are text, what has an `as_json` is that, sets are sorted.
    """
    listed = names.split() or [each.name for each in fields(item)]  # type: ignore[arg-type]
    return {name: _json(getattr(item, name)) for name in listed}


def read_table(
    kind: type[T], value: JSONValue, *, kinds: Sequence[type] = ()
) -> tuple[T, Sequence[Problem]]:
    """Return what *value* says as a *kind* of dataclass, and what has no place or is wrong in it.

    Fields may be annotated as texts, numbers, JSON values, lists of texts, and *kinds*:
    further dataclasses, tuples of them, and enumerations. With problems the result is no use.
    """
    reader = _Reader({each.__name__: each for each in kinds})
    return reader.table(kind, value, ""), reader.problems


def _json(value: Any) -> JSONValue:
    if tell := getattr(value, "as_json", None):
        return tell()  # type: ignore[no-any-return]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, tuple | list | frozenset):
        listed = sorted(value) if isinstance(value, frozenset) else value
        return [_json(item) for item in listed]
    return value  # type: ignore[no-any-return]


@cache
def _listed(kind: Callable[..., object]) -> Sequence[Field[Any]]:
    return fields(kind)  # type: ignore[arg-type]


def _default(each: Field[Any]) -> object:
    return each.default if each.default_factory is MISSING else each.default_factory()


def _written(value: Any) -> JSONValue:
    if is_dataclass(value):
        return write_table(value)
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


@cache
def _fields_of(kind: Callable[..., object]) -> tuple[Mapping[str, str], Sequence[str]]:
    """Return how each field is annotated, and which must be there."""
    each = fields(kind)  # type: ignore[arg-type]
    known = {one.name: getattr(one.type, "__name__", str(one.type)) for one in each}
    return known, [one.name for one in each if _default(one) is MISSING]


class _Reader:
    def __init__(self, kinds: Mapping[str, type]) -> None:
        self.kinds = kinds
        self.problems: list[Problem] = []

    def table(self, kind: Callable[..., T], value: JSONValue, where: str) -> T:
        """Return what *value* says, or note what is wrong and return something of its kind."""
        if not isinstance(value, Mapping):
            self._problem(where, "it must be a table")
            value = {}
        known, required = _fields_of(kind)
        found: dict[str, object] = {}
        for name, item in value.items():
            annotation = known.get(name, "")
            if (fits := _FITS.get(annotation)) and fits[1](item):
                found[name] = tuple(item) if annotation == _TEXTS else item  # type: ignore[arg-type]
                continue
            place = f"{where}.{name}" if where else name
            if annotation:
                found[name] = self._field(annotation, item, place)
            else:
                close = nearest(name, known)
                self._problem(place, f"unknown field{f'; did you mean {close}?' if close else ''}")
        for name in required:
            if name not in value:
                self._problem(f"{where}.{name}" if where else name, "it is required")
                found[name] = ()
        return kind(**found)

    def _field(self, annotation: str, item: JSONValue, place: str) -> object:
        if fits := _FITS.get(annotation):
            self._problem(place, f"it must be {fits[0]}")
            return item
        kind = self.kinds[annotation.removeprefix("tuple[").removesuffix(", ...]")]
        if kind.__name__ != annotation:
            if isinstance(item, list | tuple):
                each = enumerate(item)
                return tuple(self.table(kind, entry, f"{place}.{at}") for at, entry in each)
            self._problem(place, "it must be a list of tables")
        elif not issubclass(kind, StrEnum):
            return self.table(kind, item, place)
        elif item in list(kind):
            return kind(str(item))
        else:
            self._problem(place, f"it must be one of {', '.join(kind)}")
        return ()

    def _problem(self, where: str, what: str) -> None:
        self.problems.append(Problem(where, what, "document"))
