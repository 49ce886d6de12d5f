"""The door: bytes in, a plain JSON value or a refusal out."""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, cast

from oneiric.documents.limits import DEFAULT_LIMITS, DocumentLimits, Kind
from oneiric.documents.places import Places, line_of
from oneiric.documents.plain import check
from oneiric.documents.refused import Refused
from oneiric.documents.text import decode
from oneiric.errors import JSONValue

_LANGUAGES: Mapping[Kind, str] = {
    "json": "oneiric.documents.json_text",
    "yaml": "oneiric.documents.yaml_text",
    "toml": "oneiric.documents.toml_text",
}
"""Where each language is read; imported with its first document, for YAML is slow to import."""


class _Language(Protocol):
    def read(self, text: str, limits: DocumentLimits, /) -> object: ...
    def scan(self, text: str, places: Places, /) -> None: ...


def parse(
    data: bytes, kind: Kind, *, source: str = "", limits: DocumentLimits = DEFAULT_LIMITS
) -> JSONValue:
    """Read one document into fresh dicts, lists and single values, or refuse it.

    Whatever the bytes, the cost stays within *limits*. Numbers are finite and
    integers lie between -(2^53)+1 and 2^53-1, so `canonical` takes every result.
    TOML dates and times become RFC 3339 text; YAML timestamps, `yes` and `on`
    stay text. One UTF-8 byte order mark at the start is dropped. An empty TOML
    document is `{}`; an empty JSON or YAML one is refused.

    >>> parse(b"port: 8080\\ntls: on\\n", "yaml")
    {'port': 8080, 'tls': 'on'}

    Raises:
        DocumentError: its `reason` is one of `too-large`, `too-deep`, `too-many-values`,
            `too-many-aliases`, `unknown-anchor`, `recursive-alias`, `duplicate-key`,
            `key-not-text`, `merge-key`, `tag`, `several-documents`, `empty`, `not-utf-8`,
            `control-character`, `surrogate`, `not-finite`, `integer-too-large`, `syntax`.
            No value is ever quoted.
    """
    text = ""
    try:
        text = decode(data, kind, limits)
        value = _language(kind).read(text, limits)
        check(value, limits)
    except RecursionError:
        refused = Refused("too-deep", f"it is deeper than {limits.max_depth} levels")
        raise refused.error(source, _deep_line(text, kind, limits)) from None
    except Refused as refused:
        raise refused.error(source, refused.line or _line(text, kind, refused.path)) from None
    return cast("JSONValue", value)


def locate(data: bytes, kind: Kind) -> Mapping[str, int]:
    """Return the line, counted from 1, of every key and list item by dotted path.

    Never refuses: where the bytes cannot be followed the path is left out, and
    `line_of` falls back to the nearest parent.

    >>> dict(locate(b'[app]\\nname = "x"\\ntags = ["a", "b"]\\n', "toml"))
    {'app': 1, 'app.name': 2, 'app.tags': 3, 'app.tags.0': 3, 'app.tags.1': 3}
    """
    places = Places()
    _scan(data.decode("utf-8", errors="replace").removeprefix("\ufeff"), kind, places)
    return places.lines


def _language(kind: Kind) -> _Language:
    return cast("_Language", import_module(_LANGUAGES[kind]))


def _scan(text: str, kind: Kind, places: Places) -> None:
    _language(kind).scan(text, places)


def _line(text: str, kind: Kind, path: str) -> int | None:
    if not path:
        return None
    places = Places(wanted=path)
    _scan(text, kind, places)
    return line_of(places.lines, path)


def _deep_line(text: str, kind: Kind, limits: DocumentLimits) -> int | None:
    places = Places(wanted="", max_depth=limits.max_depth)
    _scan(text, kind, places)
    return places.deep_line
