"""What a service answered, and why it may not have."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias, cast

from oneiric.errors import JSONValue, OneiricError
from oneiric.ports.http import Headers, HTTPResponse

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""Statuses that lead elsewhere."""

DEEPEST = 200
"""How deep the JSON of an answer may be nested."""

NO_JSON = object()
"""What stands for the value of an answer that is no JSON."""

Silence: TypeAlias = Literal["timeout", "connection", "redirect", "refused"]


class UnansweredError(OneiricError):
    """A request that got no answer: why in one word, which retries go by, and in several."""

    code = "no-answer"

    def __init__(self, kind: Silence, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Answer:
    """One whole answer, and what was seen on the way; its `repr` shows no content.

    Args:
        status: its status.
        url: the address that gave it, after all redirects.
        headers: its head.
        body: its content, as much as may be read.
        is_cut: whether there was more of it.
        duration_ms: from before the request to the last byte.
        redirect: where it was redirected to, or asked to be; empty for nowhere.
        certificate_days: how long the first certificate on the way to end is still good; None
            without one.
    """

    status: int
    url: str = field(repr=False)
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    is_cut: bool = False
    duration_ms: float = 0.0
    redirect: str = field(default="", repr=False)
    certificate_days: float | None = None

    @cached_property
    def text(self) -> str:
        """The content by the charset that it names, UTF-8 without one; bad bytes are replaced."""
        kind = self.headers.get("content-type", "").lower()
        if "charset" not in kind or kind.endswith("charset=utf-8"):
            return self.body.decode(errors="replace")
        return HTTPResponse(self.status, self.headers, self.body, self.url).text

    @cached_property
    def value(self) -> JSONValue | object:
        """The content as JSON, or `NO_JSON`; what is nested too deep to be handled is none."""
        try:
            value = _read(self.body.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            return NO_JSON
        return NO_JSON if _is_too_deep(self.body, value) else value

    def scope(self, *, ok: bool) -> Mapping[str, JSONValue | Callable[[], JSONValue]]:
        """Return what a condition may name."""
        return {
            "status": self.status,
            "ok": ok,
            "duration_ms": self.duration_ms,
            "headers": lambda: dict(self.headers),
            "json": lambda: None if self.value is NO_JSON else cast("JSONValue", self.value),
        }


NAMES = frozenset({"status", "ok", "duration_ms", "headers", "json"})
"""What a condition may name."""


def _is_too_deep(body: bytes, value: JSONValue) -> bool:
    """Tell whether *value*, read from *body*, is nested deeper than `DEEPEST`."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return False
    level: list[JSONValue] = [value]
    for _ in range(DEEPEST):
        level = [below for each in level for below in _below(each)]
    return bool(level)


def _below(value: JSONValue) -> Iterable[JSONValue]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _constant(text: str) -> object:
    raise ValueError(text)


_read: Callable[[str], JSONValue] = json.JSONDecoder(parse_constant=_constant).decode
