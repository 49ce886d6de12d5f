"""Bytes to an OpenAPI document that can be asked for its operations, or a refusal."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from oneiric.documents import DocumentLimits, parse
from oneiric.errors import DocumentError, JSONValue
from oneiric.validation.openapi.bundle import Beside, bundled
from oneiric.validation.openapi.dynamic import settle_dynamic
from oneiric.validation.openapi.operations import (
    Operation,
    callbacks_of,
    operations_of,
    outgoing_of,
)
from oneiric.validation.openapi.paths import base_paths, below, concreteness, matches
from oneiric.validation.openapi.references import EMPTY, References, Table

LIMITS = DocumentLimits(max_bytes=32 << 20, max_depth=100, max_aliases=10_000, max_nodes=2_000_000)
"""What reading one document may cost."""

_VERSION = re.compile(r"\A3\.([01])(\.\d{1,4})?\Z")
_BARE_STATUS = re.compile(rb"(?m)^([ \t]*)([1-5][0-9][0-9])([ \t]*:(?=[ \t\r\n]|\Z))")


@dataclass(frozen=True, slots=True)
class Document:
    """An OpenAPI document of version 3.0 or 3.1.

    Args:
        source: where it comes from, as errors name it.
        version: `3.0` or `3.1`.
        root: the whole of it, as it was read.
        references: follows its references.
        operations: what it documents, in its order.
        bases: base paths of its servers, without a slash at the end.
        outgoing: what it says that the service asks of others, by webhooks and callbacks.
        unread: places of what is not understood, each with why.
    """

    source: str
    version: str
    root: Table = field(repr=False)
    references: References = field(repr=False)
    operations: tuple[Operation, ...] = field(repr=False)
    bases: tuple[str, ...]
    outgoing: tuple[Operation, ...] = field(repr=False)
    unread: tuple[tuple[str, str], ...] = field(repr=False)
    _by_shape: Mapping[tuple[str, int], tuple[Operation, ...]] = field(repr=False)

    def find(self, method: str, path: str) -> Operation | None:
        """Return the operation that answers *method* for a concrete *path*, or None.

        A base path of a server may stand before it. Of templates that match, the most concrete
        one counts; its variables match at least one character and no slash. A template
        itself, such as `/users/{id}`, is found too.
        """
        path = path.partition("?")[0].partition("#")[0]
        rests = below(self.bases, path)
        for rest in [*rests, *([] if path in rests else [path])]:
            for operation in self._by_shape.get((method.upper(), rest.count("/")), ()):
                if matches(operation.path, rest):
                    return operation
        return None


def read_document(data: bytes, *, source: str, beside: Beside | None = None) -> Document:
    """Read a document written in JSON or YAML.

    References within it are followed; one that leads out of it, to nothing or in a circle is
    refused, so that nothing is ever fetched. With *beside*, references to files by relative
    paths are followed too; it is given each path, and gives the bytes or raises. Statuses that
    YAML reads as numbers are taken as the text that they stand for.

    Raises:
        DocumentError: it is no document of OpenAPI 3.0 or 3.1, or beyond `LIMITS`. Its `reason`
            is one of those of `oneiric.documents.parse`, or one of `not-openapi`,
            `unknown-version`, `remote-reference`, `unknown-reference`, `circular-reference`.
    """
    root = _parsed(data, source)
    if not isinstance(root, Mapping):
        raise DocumentError("not-openapi", "it is no table", source=source)
    version = _version(root, source)
    if beside is not None:
        bundled(cast("dict[str, JSONValue]", root), source, beside, _parsed)
    if not isinstance(root.get("paths", EMPTY), Mapping):
        raise DocumentError("not-openapi", "its paths are no table", source=source, path="paths")
    dynamic = settle_dynamic(cast("dict[str, JSONValue]", root)) if version != "3.0" else ()
    references = References(root, source)
    operations = tuple(operations_of(root, references))
    return Document(
        source=source,
        version=version,
        root=root,
        references=references,
        operations=operations,
        bases=base_paths(root),
        outgoing=tuple(outgoing_of(root, references)),
        unread=(*dynamic, *_further_callbacks(root, references)),
        _by_shape=_by_shape(operations),
    )


def _further_callbacks(root: Table, references: References) -> Iterator[tuple[str, str]]:
    """Yield the places of callbacks that others have, whom the service asks."""
    webhooks = root.get("webhooks")
    items = [(f"webhook {name}", each) for name, each in references.table(webhooks).items()]
    items += [(f"{of} {path}", each) for of, path, each in callbacks_of(root, references)]
    for place, item in items:
        nodes = (references.table(each) for each in references.table(item).values())
        if any("callbacks" in each for each in nodes):
            yield place, "callbacks of those whom the service asks are not looked at"


def _parsed(data: bytes, source: str) -> JSONValue:
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return parse(data, "json", source=source, limits=LIMITS)
    try:
        return parse(data, "yaml", source=source, limits=LIMITS)
    except DocumentError as error:
        if error.reason != "key-not-text":
            raise
    quoted = _BARE_STATUS.sub(rb'\1"\2"\3', data)
    return parse(quoted, "yaml", source=source, limits=LIMITS)


def _version(root: Table, source: str) -> str:
    if "swagger" in root:
        what = "it is written in OpenAPI 2.0 (Swagger); convert it to 3.0 or 3.1"
        raise DocumentError("unknown-version", what, source=source, path="swagger")
    if "openapi" not in root:
        what = "it does not say which OpenAPI it is written in"
        raise DocumentError("not-openapi", what, source=source, path="openapi")
    found = _VERSION.match(str(root["openapi"]))
    if not found:
        what = "only OpenAPI 3.0 and 3.1 are understood"
        raise DocumentError("unknown-version", what, source=source, path="openapi")
    return f"3.{found[1]}"


def _by_shape(
    operations: tuple[Operation, ...],
) -> Mapping[tuple[str, int], tuple[Operation, ...]]:
    found = defaultdict(list)
    for operation in sorted(operations, key=lambda each: (concreteness(each.path), each.path)):
        found[operation.method, operation.path.count("/")].append(operation)
    return {key: tuple(each) for key, each in found.items()}
