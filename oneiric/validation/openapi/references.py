"""What `$ref` stands for, within one document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias
from urllib.parse import unquote

from oneiric.errors import DocumentError, JSONValue

Table: TypeAlias = Mapping[str, JSONValue]
"""A table of a document, as it was read."""

LONGEST_CHAIN = 64
EMPTY: Mapping[str, JSONValue] = {}
_NAMED = frozenset(
    {
        *("properties", "patternProperties", "$defs", "definitions", "dependentSchemas"),
        *("schemas", "responses", "parameters", "headers", "requestBodies", "securitySchemes"),
        *("pathItems", "paths", "webhooks", "content", "callbacks", "links"),
    }
)
"""Keys whose tables have names as keys, which mean nothing here."""

_FOR_PEOPLE = frozenset(
    {"title", "description", "example", "examples", "externalDocs", "$comment", "deprecated"}
)
_VALUES = frozenset({"example", "examples", "default", "enum", "const", "mapping", "value"})
"""Keys below which a `$ref` is no reference, but what somebody may send."""


class References:
    """Follow references within *root*; every one is checked when this is made.

    Raises:
        DocumentError: one leads out of the document (`remote-reference`), to nowhere
            (`unknown-reference`) or in a circle (`circular-reference`).
    """

    __slots__ = ("_found", "root", "source")

    def __init__(self, root: Table, source: str) -> None:
        self.root = root
        self.source = source
        self._found: dict[str, JSONValue] = {}
        for reference, path in references_in(root):
            self._check(reference, path)

    def follow(self, node: JSONValue) -> JSONValue:
        """Return what *node* refers to in the end, or itself if it is no reference.

        A chain of references that leads back to itself was refused before.
        """
        for _ in range(LONGEST_CHAIN):
            reference = reference_of(node)
            if not reference:
                return node
            node = self._found[reference]
        return EMPTY

    def table(self, node: JSONValue) -> Table:
        """Return the table that *node* is or refers to; anything else is an empty one."""
        found = self.follow(node)
        return found if isinstance(found, Mapping) else EMPTY

    def _check(self, reference: str, path: str) -> None:
        if reference in self._found:
            return
        seen = [reference]
        while True:
            node = self._look_up(seen[-1], path)
            self._found[seen[-1]] = node
            further = reference_of(node)
            if not further or (further in self._found and further not in seen):
                return
            if further in seen or len(seen) >= LONGEST_CHAIN:
                what = f"{_short(reference)} refers to itself, or through too many others"
                raise DocumentError("circular-reference", what, source=self.source, path=path)
            seen.append(further)

    def _look_up(self, reference: str, path: str) -> JSONValue:
        if not reference.startswith("#"):
            what = f"{_short(reference)} leads out of the document"
            raise DocumentError("remote-reference", what, source=self.source, path=path)
        node: JSONValue = self.root
        for key in pointer_keys(reference):
            if isinstance(node, Mapping) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            else:
                what = f"{_short(reference)} leads to nothing"
                raise DocumentError("unknown-reference", what, source=self.source, path=path)
        return node


def reference_of(node: JSONValue) -> str:
    """Return what *node* refers to, or nothing."""
    if isinstance(node, Mapping):
        reference = node.get("$ref")
        return reference if isinstance(reference, str) else ""
    return ""


def pointer_keys(reference: str) -> list[str]:
    """Return the keys of a reference such as `#/components/schemas/User`.

    >>> pointer_keys("#/paths/~1users~1%7Bid%7D/get")
    ['paths', '/users/{id}', 'get']
    """
    parts = unquote(reference.removeprefix("#")).removeprefix("/")
    keys = parts.split("/") if reference not in ("#", "#/") else []
    return [key.replace("~1", "/").replace("~0", "~") for key in keys]


def references_in(root: JSONValue) -> Iterator[tuple[str, str]]:
    """Yield every reference of a document and the dotted path of the table that it stands in."""
    for node, path in tables_in(root):
        reference = reference_of(node)
        if reference:
            yield reference, path


def tables_in(root: JSONValue) -> Iterator[tuple[Table, str]]:
    """Yield every table that may be a reference; what are examples and values is left out."""
    waiting: list[tuple[JSONValue, str, bool]] = [(root, "", False)]
    while waiting:
        node, path, named = waiting.pop()
        if isinstance(node, list):
            waiting += [(each, f"{path}.{index}", False) for index, each in enumerate(node)]
        elif isinstance(node, Mapping):
            if not named:
                yield node, path.removeprefix(".")
            for key, value in node.items():
                if isinstance(value, list | Mapping) and (named or key not in _VALUES):
                    waiting.append((value, f"{path}.{key}", not named and key in _NAMED))


def meaning(node: JSONValue, *, named: bool = False) -> JSONValue:
    """Return a schema without what is written in it for people alone.

    >>> meaning({"type": "object", "title": "A", "properties": {"title": {"description": "B"}}})
    {'type': 'object', 'properties': {'title': {}}}
    """
    if isinstance(node, list):
        return [meaning(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: each if key in _VALUES and not named else _below(key, each, named=named)
        for key, each in node.items()
        if named or not (key in _FOR_PEOPLE or key.startswith("x-"))
    }


def _below(key: str, node: JSONValue, *, named: bool) -> JSONValue:
    return meaning(node, named=not named and key in _NAMED)


def _short(text: str) -> str:
    return ascii(text[:200])
