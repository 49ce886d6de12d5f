"""A schema of a document as JSON Schema of draft 2020-12, with all that it refers to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import cast

from oneiric.errors import JSONValue
from oneiric.validation.openapi.document import Document
from oneiric.validation.openapi.dynamic import DYNAMIC
from oneiric.validation.openapi.references import reference_of

_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_TABLES = frozenset({"properties", "patternProperties", "dependentSchemas"})
_SCHEMAS = frozenset(
    {
        *("items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "not"),
        *("if", "then", "else", "contains", "propertyNames"),
    }
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})


def _is_number(value: JSONValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_bound(value: JSONValue) -> bool:
    return isinstance(value, int | float | bool)


def _is_count(value: JSONValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_text(value: JSONValue) -> bool:
    return isinstance(value, str)


def _is_type(value: JSONValue) -> bool:
    kinds = value if isinstance(value, list) else [value]
    return bool(kinds) and all(isinstance(each, str) and each in _TYPES for each in kinds)


def _are_names(value: JSONValue) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


_KEPT: Mapping[str, Callable[[JSONValue], bool]] = MappingProxyType(
    {
        "type": _is_type,
        "enum": lambda value: isinstance(value, list),
        "const": lambda _: True,
        "format": _is_text,
        "pattern": _is_text,
        DYNAMIC: _is_text,
        "required": _are_names,
        "uniqueItems": lambda value: isinstance(value, bool),
        "multipleOf": lambda value: _is_number(value) and float(cast("float", value)) > 0,
        "dependentRequired": lambda value: (
            isinstance(value, Mapping) and all(map(_are_names, value.values()))
        ),
        **dict.fromkeys(("minimum", "maximum"), _is_number),
        **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), _is_bound),
        **dict.fromkeys(
            (
                *("minLength", "maxLength", "minItems", "maxItems", "minProperties"),
                *("maxProperties", "minContains", "maxContains"),
            ),
            _is_count,
        ),
    }
)
"""Keywords that a validator is given, each with what it must look like to be one."""


def json_schema(document: Document, schema: JSONValue, *, hidden: str) -> dict[str, JSONValue]:
    """Return *schema* for a validator that knows nothing of OpenAPI.

    Properties marked by *hidden* (`writeOnly` in answers, `readOnly` in requests) must not be
    there, nor are they required. `nullable` and bounds of version 3.0 are translated; what only
    people and generators read is left out. A `$dynamicRef` that was not settled leads nowhere, so
    that a value which comes to it is no pass.
    """
    translation = _Translation(document, hidden)
    root = translation.node(schema)
    translation.drain()
    return {"allOf": [root], "$defs": translation.definitions}


class _Translation:
    def __init__(self, document: Document, hidden: str) -> None:
        self._document = document
        self._hidden = hidden
        self._is_modern = document.version != "3.0"
        self._names: dict[str, str] = {}
        self._waiting: list[str] = []
        self.definitions: dict[str, JSONValue] = {}

    def drain(self) -> None:
        """Translate what was referred to, until nothing is left."""
        while self._waiting:
            reference = self._waiting.pop()
            target = self._document.references.follow({"$ref": reference})
            self.definitions[self._names[reference]] = self.node(target)

    def node(self, schema: JSONValue) -> JSONValue:
        """Return one schema, translated; what is none allows anything."""
        if not isinstance(schema, Mapping):
            return schema is not False
        told = dict(self._keywords(schema))
        listed = schema.get("items")
        if isinstance(listed, list):
            told["prefixItems"] = [self.node(each) for each in listed]
        self._hide(told, schema)
        reference = reference_of(schema)
        if reference and not self._is_modern:
            return self._refer(reference)
        if reference:
            told["$ref"] = self._refer(reference)["$ref"]
        return _without_flags(told) if self._is_modern else _from_older(told, schema)

    def _keywords(self, schema: Mapping[str, JSONValue]) -> Iterator[tuple[str, JSONValue]]:
        for key, value in schema.items():
            if key in _KEPT and _KEPT[key](value):
                yield key, value
            elif key in _LISTS and isinstance(value, list):
                yield key, [self.node(each) for each in value]
            elif key in _TABLES and isinstance(value, Mapping):
                yield key, {name: self.node(each) for name, each in value.items()}
            elif key in _SCHEMAS and isinstance(value, Mapping | bool):
                yield key, self.node(value)

    def _refer(self, reference: str) -> dict[str, str]:
        if reference not in self._names:
            self._names[reference] = str(len(self._names))
            self._waiting.append(reference)
        return {"$ref": f"#/$defs/{self._names[reference]}"}

    def _hide(self, told: dict[str, JSONValue], schema: Mapping[str, JSONValue]) -> None:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return
        hidden = {name for name, each in properties.items() if self._is_hidden(each)}
        if not hidden:
            return
        translated = told["properties"]
        shown = translated if isinstance(translated, Mapping) else {}
        told["properties"] = {
            name: {"not": {}} if name in hidden else each for name, each in shown.items()
        }
        required = schema.get("required")
        if isinstance(required, list):
            told["required"] = [each for each in required if each not in hidden]

    def _is_hidden(self, schema: JSONValue) -> bool:
        own = isinstance(schema, Mapping) and schema.get(self._hidden) is True
        return own or self._document.references.table(schema).get(self._hidden) is True


def _without_flags(told: dict[str, JSONValue]) -> JSONValue:
    """Drop the bounds of version 3.0 that only say yes or no, from a document of 3.1."""
    for word in ("exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(told.get(word), bool):
            del told[word]
    return told


def _from_older(told: dict[str, JSONValue], schema: Mapping[str, JSONValue]) -> JSONValue:
    """Translate what version 3.0 says in its own way."""
    told.pop(DYNAMIC, None)
    for word in ("inimum", "aximum"):
        exclusive = told.pop(f"exclusiveM{word}", None)
        if exclusive is True and f"m{word}" in told:
            told[f"exclusiveM{word}"] = told.pop(f"m{word}")
    if schema.get("nullable") is not True:
        return told
    if isinstance(told.get("type"), str):
        told["type"] = [told["type"], "null"]
        values = told.get("enum")
        if isinstance(values, list):
            told["enum"] = [*values, None]
    else:
        return {"anyOf": [{"type": "null"}, told]}
    return told
