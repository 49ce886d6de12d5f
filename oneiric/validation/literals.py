"""Secrets that a task says in clear, where it could refer to them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from oneiric.errors import JSONValue
from oneiric.text.redaction import is_secret_name, redacted
from oneiric.validation.addresses import is_query_secret
from oneiric.validation.commands import shown
from oneiric.validation.secrets import joined

_REFERENCE = re.compile(r"\$\{[^}]*\}")
_ADVICE = "holds a secret in clear, which the journal keeps: refer to it as ${ secret.NAME }"
_FIELDS: Mapping[str, Sequence[str]] = {
    "local_tests": ("command", "env"),
    "live_checks": ("url", "headers", "body"),
    "ui_tests": ("url",),
}


def literal_secrets(criteria: Mapping[str, Any]) -> dict[str, str]:
    """Return a warning for each place of a task's criteria that holds a secret; never the secret.

    >>> check = {"url": "/users", "headers": {"Authorization": "Bearer hunter2"}}
    >>> list(literal_secrets({"live_checks": [check]}))
    ['criteria.live_checks.0.headers.Authorization']
    """
    return {place: f"{place} {_ADVICE}" for place in _places(criteria)}


def _places(criteria: Mapping[str, Any]) -> Iterator[str]:
    for listed, fields in _FIELDS.items():
        for number, each in enumerate(criteria.get(listed) or ()):
            for field in fields:
                yield from _literals(f"criteria.{listed}.{number}.{field}", each.get(field), field)
    asked = (criteria.get("drift") or {}).get("ask")
    yield from _literals("criteria.drift.ask", asked)


def _literals(place: str, value: JSONValue, name: str = "") -> Iterator[str]:
    """Yield the places in *value* that hold a secret, which stands at *place* under *name*."""
    if name == "command":
        if _is_told(value):
            yield place
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _literals(f"{place}.{key}", each, name if is_secret_name(name) else key)
    elif isinstance(value, list | tuple):
        for number, each in enumerate(value):
            yield from _literals(f"{place}.{number}", each, name)
    elif isinstance(value, str) and value:
        is_literal = is_secret_name(name) and "${" not in value
        if is_literal or ((name == "url" or "://" in value) and _is_shown(value)):
            yield place


def _is_told(command: JSONValue) -> bool:
    """Tell whether a command is given a secret: after an option for one, or as `NAME=secret`."""
    words = joined(command).split() if isinstance(command, str) else [*_texts(command)]
    plain = ["-" if "${" in word else word for word in words]
    return shown(plain) != plain or redacted(plain) != plain


def _texts(value: JSONValue) -> Iterator[str]:
    return (str(each) for each in value) if isinstance(value, list | tuple) else iter(())


def _is_shown(url: str) -> bool:
    """Tell whether an address holds a password, or a secret in its query."""
    try:
        parts = urlsplit(_REFERENCE.sub("", url))
    except ValueError:
        return False
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    return (
        bool(password)
        or is_query_secret("", user)
        or any(is_query_secret(*pair) for pair in parse_qsl(parts.query))
    )
