"""Templates of paths, and the concrete paths that they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from oneiric.errors import JSONValue
from oneiric.validation.openapi.references import Table

_VARIABLE = re.compile(r"\{([^{}]*)\}")


def variables_of(template: str) -> tuple[str, ...]:
    """Return the names of the variables of a template, in their order.

    >>> variables_of("/users/{id}/posts/{post}")
    ('id', 'post')
    """
    return tuple(_VARIABLE.findall(template))


def unnamed(template: str) -> str:
    """Return a template without the names of its variables: two that are alike are the same.

    >>> unnamed("/users/{id}") == unnamed("/users/{user_id}")
    True
    """
    return _VARIABLE.sub("{}", template)


def matches(template: str, path: str) -> bool:
    """Tell whether *path* is one of those that *template* stands for.

    A variable stands for at least one character, and never for a slash.

    >>> matches("/runs/{id}:cancel", "/runs/7:cancel"), matches("/runs/{id}", "/runs/7/steps")
    (True, False)
    """
    ours, theirs = template.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(map(_fits, ours, theirs))


def _fits(pattern: str, segment: str) -> bool:
    first, *rest = _VARIABLE.sub("{}", pattern).split("{}")
    if not rest:
        return pattern == segment
    if not segment.startswith(first):
        return False
    at = len(first)
    for text in rest[:-1]:
        found = segment.find(text, at + 1)
        if found < 0:
            return False
        at = found + len(text)
    return len(segment) - len(rest[-1]) > at and segment.endswith(rest[-1])


def concreteness(template: str) -> tuple[tuple[int, int], ...]:
    """Return by what templates are sorted so that the most concrete comes first.

    >>> sorted(["/users/{id}", "/users/me"], key=concreteness)
    ['/users/me', '/users/{id}']
    """
    return tuple(
        (len(_VARIABLE.findall(each)), -len(_VARIABLE.sub("", each)))
        for each in template.split("/")
    )


def base_paths(root: Table) -> tuple[str, ...]:
    """Return the base paths of the servers of a document, without a slash at the end.

    >>> base_paths({"servers": [{"url": "https://api.example.com/v1/"}, {"url": "/v2"}]})
    ('/v1', '/v2')
    """
    servers = root.get("servers")
    found = [_base(each) for each in servers] if isinstance(servers, list) else []
    return tuple(dict.fromkeys(found)) or ("",)


def _base(server: JSONValue) -> str:
    url = server.get("url") if isinstance(server, dict) else ""
    if not isinstance(url, str) or not isinstance(server, dict):
        return ""
    variables = server.get("variables")
    for name in variables_of(url)[:20]:
        variable = variables.get(name) if isinstance(variables, dict) else None
        value = variable.get("default") if isinstance(variable, dict) else ""
        url = url.replace(f"{{{name}}}", str(value))
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return f"/{path.strip('/')}" if path.strip("/") else ""


def below(bases: Iterable[str], path: str) -> list[str]:
    """Return what of *path* is left below each base path that it stands under."""
    return [
        path[len(base) :] or "/" for base in bases if path == base or path.startswith(f"{base}/")
    ]
