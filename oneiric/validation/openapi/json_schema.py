"""A schema of a document as JSON Schema of draft 2020-12, with all that it refers to."""

from __future__ import annotations

from collections.abc import Mapping

from oneiric.errors import JSONValue
from oneiric.validation.openapi.document import Document
from oneiric.validation.openapi.references import reference_of

_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_TABLES = frozenset({"properties", "patternProperties", "dependentSchemas"})
_SCHEMAS = frozenset(
    {
        *("items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "not"),
        *("if", "then", "else", "contains", "propertyNames"),
    }
)
_KEPT = frozenset(
    {
        *("type", "enum", "const", "format", "pattern", "multipleOf", "uniqueItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"),
        *("minItems", "maxItems", "minProperties", "maxProperties", "minContains", "maxContains"),
        *("required", "dependentRequired"),
    }
)


def json_schema(document: Document, schema: JSONValue, *, hidden: str) -> dict[str, JSONValue]:
    """Return *schema* for a validator that knows nothing of OpenAPI.

    Properties marked by *hidden* (`writeOnly` in answers, `readOnly` in requests) must not be
    there, nor are they required. `nullable` and bounds of version 3.0 are translated; what only
    people and generators read is left out.
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
        told: dict[str, JSONValue] = {}
        for key, value in schema.items():
            if key in _KEPT:
                told[key] = value
            elif key in _LISTS and isinstance(value, list):
                told[key] = [self.node(each) for each in value]
            elif key in _TABLES and isinstance(value, Mapping):
                told[key] = {name: self.node(each) for name, each in value.items()}
            elif key in _SCHEMAS and isinstance(value, Mapping | bool):
                told[key] = self.node(value)
        listed = schema.get("items")
        if isinstance(listed, list):
            told["prefixItems"] = [self.node(each) for each in listed]
        self._hide(told, schema)
        reference = reference_of(schema)
        if reference and not self._is_modern:
            return self._refer(reference)
        if reference:
            told["$ref"] = self._refer(reference)["$ref"]
        return told if self._is_modern else _from_older(told, schema)

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


def _from_older(told: dict[str, JSONValue], schema: Mapping[str, JSONValue]) -> JSONValue:
    """Translate what version 3.0 says in its own way."""
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
