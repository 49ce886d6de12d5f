"""The operations of a document as typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from oneiric.errors import JSONValue
from oneiric.validation.openapi.references import EMPTY, References, Table

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
_STYLES: Mapping[str, str] = {"query": "form", "cookie": "form"}
_SPOKEN_FOR = frozenset({"accept", "content-type", "authorization"})

Schema: TypeAlias = JSONValue
"""A schema as it was read: a table, true or false; None where there is none."""

Alternatives: TypeAlias = tuple[Mapping[str, frozenset[str]], ...]
"""Ways to prove who calls, of which one is enough: schemes, each with its scopes."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation, or one header of an answer.

    Args:
        name: how it is spelt; headers in lower case.
        where: `path`, `query`, `header` or `cookie`.
        required: whether a request without it is wrong.
        deprecated: whether it should no longer be used.
        style: how lists and tables are written.
        explode: whether each value of a list is written on its own.
        schema: what it must look like.
        example: an example of it, if the document has any.
    """

    name: str
    where: str
    required: bool = False
    deprecated: bool = False
    style: str = "simple"
    explode: bool = False
    schema: Schema = None
    example: JSONValue = None


@dataclass(frozen=True, slots=True)
class Body:
    """What is sent with a request: whether it must be, and a schema for each media type."""

    required: bool
    content: Mapping[str, Schema]


@dataclass(frozen=True, slots=True)
class Response:
    """What an operation answers with one status, a range of them as `2XX`, or `default`."""

    status: str
    headers: Mapping[str, Parameter]
    content: Mapping[str, Schema]


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked of one path by one method, or what the service asks of others so.

    Args:
        method: in capital letters.
        path: the template, such as `/users/{id}`, without the base path of a server; of what the
            service asks of others, the name of the webhook or the expression of the callback.
        parameters: those of the path and its own, by place and name.
        body: what is sent, if anything may be.
        responses: by status, range or `default`.
        security: ways to prove who calls; none at all, or an empty one, when nobody has to.
        operation_id: its name for generated clients.
        deprecated: whether it should no longer be used.
        sunset: when it goes away, as it is written (`x-sunset`); empty when not told.
        of: `webhook`, or an operation and its callback, where the service is the one who asks.
    """

    method: str
    path: str
    parameters: Mapping[tuple[str, str], Parameter] = field(default_factory=dict)
    body: Body | None = None
    responses: Mapping[str, Response] = field(default_factory=dict)
    security: Alternatives = ()
    operation_id: str = ""
    deprecated: bool = False
    sunset: str = ""
    of: str = ""

    @property
    def name(self) -> str:
        """The method and the template, as in `GET /users/{id}` or `webhook POST paid`."""
        return f"{self.of} {self.method} {self.path}".lstrip()

    @property
    def requires_authentication(self) -> bool:
        """Whether a caller must prove who they are."""
        return bool(self.security) and all(self.security)

    def response(self, status: int) -> Response | None:
        """Return what is documented for *status*: itself, its range, or the default."""
        for name in (str(status), f"{status // 100}XX", "default"):
            if name in self.responses:
                return self.responses[name]
        return None


def operations_of(root: Table, references: References) -> Iterator[Operation]:
    """Yield every operation of a document, in its order; what is no operation is left out."""
    general = root.get("security")
    for path, item in _paths(root, references):
        yield from _of_item(path, item, general, references)


def outgoing_of(root: Table, references: References) -> Iterator[Operation]:
    """Yield what the service asks of others: its webhooks, and the callbacks of its operations."""
    for name, item in _table(root.get("webhooks")).items():
        for each in _of_item(name, references.table(item), None, references):
            yield replace(each, of="webhook")
    for of, path, item in callbacks_of(root, references):
        for each in _of_item(path, item, None, references):
            yield replace(each, of=of)


def callbacks_of(root: Table, references: References) -> Iterator[tuple[str, str, Table]]:
    """Yield the callbacks of operations: whose and which, its expression, and what it asks."""
    for path, item in _paths(root, references):
        for method, node in _methods(item):
            for name, callback in _table(node.get("callbacks")).items():
                for expression, below in references.table(callback).items():
                    if not expression.startswith("x-"):
                        of = f"{method.upper()} {path} callback {name}"
                        yield of, expression, references.table(below)


def _paths(root: Table, references: References) -> Iterator[tuple[str, Table]]:
    for path, item in _table(root.get("paths")).items():
        if path.startswith("/"):
            yield path, references.table(item)


def _methods(item: Table) -> Iterator[tuple[str, Table]]:
    for method in METHODS:
        node = item.get(method)
        if isinstance(node, Mapping):
            yield method, node


def _of_item(
    path: str, item: Table, general: JSONValue, references: References
) -> Iterator[Operation]:
    shared = list(_parameters(item.get("parameters"), references))
    for method, node in _methods(item):
        own = list(_parameters(node.get("parameters"), references))
        yield _operation(method, path, node, [*shared, *own], general, references)


def _operation(
    method: str,
    path: str,
    node: Table,
    parameters: Sequence[Parameter],
    general: JSONValue,
    references: References,
) -> Operation:
    body = references.table(node.get("requestBody"))
    responses = _table(node.get("responses"))
    sunset = node.get("x-sunset", "")
    return Operation(
        method=method.upper(),
        path=path,
        parameters={(each.where, each.name): each for each in parameters},
        body=Body(body.get("required") is True, _content(body, references)) if body else None,
        responses={
            _status(status): _response(_status(status), references.table(each), references)
            for status, each in responses.items()
            if not status.startswith("x-")
        },
        security=_security(node.get("security", general)),
        operation_id=_text(node.get("operationId")),
        deprecated=node.get("deprecated") is True,
        sunset=sunset if isinstance(sunset, str) else str(sunset),
    )


def _parameters(nodes: JSONValue, references: References) -> Iterator[Parameter]:
    for node in nodes if isinstance(nodes, list) else ():
        found = references.table(node)
        name, where = _text(found.get("name")), _text(found.get("in"))
        if not name or where not in ("path", "query", "header", "cookie"):
            continue
        if where == "header":
            name = name.lower()
            if name in _SPOKEN_FOR:
                continue
        yield _parameter(name, where, found, references)


def _parameter(name: str, where: str, node: Table, references: References) -> Parameter:
    style = _text(node.get("style")) or _STYLES.get(where, "simple")
    explode = node.get("explode")
    content = _content(node, references)
    schema = node.get("schema")
    return Parameter(
        name=name,
        where=where,
        required=where == "path" or node.get("required") is True,
        deprecated=node.get("deprecated") is True,
        style=style,
        explode=explode if isinstance(explode, bool) else style == "form",
        schema=next(iter(content.values()), None) if schema is None else schema,
        example=_example(node, references),
    )


def _example(node: Table, references: References) -> JSONValue:
    if "example" in node:
        return node["example"]
    for example in _table(node.get("examples")).values():
        return references.table(example).get("value")
    return None


def _response(status: str, node: Table, references: References) -> Response:
    headers = {
        name.lower(): _parameter(name.lower(), "header", references.table(each), references)
        for name, each in _sorted(_table(node.get("headers")))
        if name.lower() != "content-type"
    }
    return Response(status, headers, _content(node, references))


def _content(node: Table, references: References) -> dict[str, Schema]:
    content = _table(node.get("content"))
    return {
        media_type(name): references.table(content[name]).get("schema") for name in sorted(content)
    }


def media_type(text: str) -> str:
    """Return a media type without its parameters, in lower case.

    >>> media_type("Application/JSON; charset=utf-8")
    'application/json'
    """
    return text.partition(";")[0].strip().lower()


def _security(nodes: JSONValue) -> Alternatives:
    if not isinstance(nodes, list):
        return ()
    return tuple(
        {name: _scopes(scopes) for name, scopes in each.items()}
        for each in nodes
        if isinstance(each, Mapping)
    )


def _scopes(scopes: JSONValue) -> frozenset[str]:
    return (
        frozenset(each for each in scopes if isinstance(each, str))
        if isinstance(scopes, list)
        else frozenset()
    )


def _status(text: str) -> str:
    return text.upper() if text.lower() != "default" else "default"


def _sorted(table: Table) -> list[tuple[str, JSONValue]]:
    return [(name, table[name]) for name in sorted(table)]


def _text(value: JSONValue) -> str:
    return value if isinstance(value, str) else ""


def _table(value: JSONValue) -> Table:
    return value if isinstance(value, Mapping) else EMPTY
