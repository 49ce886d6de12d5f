"""Small documents to compare, made from the one thing that matters in each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from oneiric.validation.openapi import Document, diff, read_document

JSON = "application/json"


def read(value: Any, source: str = "test") -> Document:
    """Return the document that *value* is."""
    return read_document(json.dumps(value).encode(), source=source)


def whole(
    paths: Mapping[str, Any],
    *,
    schemas: Mapping[str, Any] | None = None,
    version: str = "3.1.0",
    **more: Any,
) -> Document:
    """Return a document of *paths*."""
    components = {"schemas": dict(schemas or {}), **more.pop("components", {})}
    table = {"openapi": version, "info": {"title": "t", "version": "1"}, "paths": dict(paths)}
    return read({**table, "components": components, **more})


def one(operation: Mapping[str, Any], *, path: str = "/users", **more: Any) -> Document:
    """Return a document of one operation, `POST /users`."""
    return whole({path: {"post": {"responses": {}, **operation}}}, **more)


def carrying(schema: Any, side: str, **more: Any) -> Document:
    """Return a document whose one body, of a request or an answer, looks like *schema*."""
    content = {"content": {JSON: {"schema": schema}}}
    if side == "request":
        return one({"requestBody": content}, **more)
    return one({"responses": {"200": content}}, **more)


def place(side: str, path: str = "$") -> str:
    """Return the place of *path* in what `carrying` made."""
    return f"POST /users {'request' if side == 'request' else '200'} {JSON} {path}"


def told(old: Document, new: Document, **more: Any) -> set[tuple[str, str]]:
    """Return the rule and the place of each difference."""
    return {(item.code, item.place) for item in diff(old, new, **more)}
