"""The routes of a document, with values to ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from oneiric.errors import JSONValue
from oneiric.validation.openapi.document import Document
from oneiric.validation.openapi.operations import Operation, Parameter
from oneiric.validation.openapi.paths import variables_of

_BY_TYPE: Mapping[str, JSONValue] = {
    "integer": 1,
    "number": 1,
    "boolean": True,
    "string": "example",
    "array": "example",
}
_BY_FORMAT: Mapping[str, JSONValue] = {
    "uuid": "00000000-0000-4000-8000-000000000000",
    "date": "2000-01-01",
    "date-time": "2000-01-01T00:00:00Z",
    "email": "user@example.com",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation, ready to be asked.

    Args:
        method: in capital letters.
        path: the template, without the base path of a server.
        example: the same with values in place of variables.
        required_auth: whether a caller must prove who they are.
        values: example values of path parameters and required ones of the query, by name.
        invented: names of values that neither an example nor a default of the document gives.
        query: names of the required parameters of the query.
    """

    method: str
    path: str
    example: str
    required_auth: bool
    values: Mapping[str, JSONValue] = field(default_factory=dict)
    invented: tuple[str, ...] = ()
    query: tuple[str, ...] = ()


def routes_of(document: Document) -> list[Route]:
    """Return what *document* can be asked for, in its order, each with example values."""
    return [_route(operation, document) for operation in document.operations]


def _route(operation: Operation, document: Document) -> Route:
    values: dict[str, JSONValue] = {}
    invented = []
    query = []
    path = operation.path
    names = [("path", name) for name in variables_of(path)]
    names += [
        (each.where, each.name)
        for each in operation.parameters.values()
        if each.where == "query" and each.required
    ]
    for where, name in names:
        parameter = operation.parameters.get((where, name)) or Parameter(name, where)
        value = _known(parameter, document)
        if value is None:
            value = _invented(parameter, document)
            invented.append(name)
        values[name] = value
        if where == "path":
            path = path.replace(f"{{{name}}}", quote(_text(value), safe=""))
        else:
            query.append(name)
    return Route(
        method=operation.method,
        path=operation.path,
        example=path,
        required_auth=operation.requires_authentication,
        values=values,
        invented=tuple(invented),
        query=tuple(query),
    )


def _known(parameter: Parameter, document: Document) -> JSONValue:
    schema = document.references.table(parameter.schema)
    candidates = [parameter.example, schema.get("example"), schema.get("default")]
    candidates.append(schema.get("const"))
    for key in ("examples", "enum"):
        values = schema.get(key)
        candidates += values[:1] if isinstance(values, list) else []
    return next((each for each in candidates if isinstance(each, str | int | float)), None)


def _invented(parameter: Parameter, document: Document) -> JSONValue:
    schema = document.references.table(parameter.schema)
    kind, form = schema.get("type"), schema.get("format")
    minimum = schema.get("minimum")
    if kind in ("integer", "number") and isinstance(minimum, int | float) and minimum > 1:
        return minimum
    by_form = _BY_FORMAT.get(form) if isinstance(form, str) else None
    return by_form or _BY_TYPE.get(kind if isinstance(kind, str) else "", "example")


def _text(value: JSONValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
