"""What is told to handlers: a CloudEvents 1.0 envelope around JSON data."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from oneiric.clock import rfc3339
from oneiric.documents import canonical, parse
from oneiric.domains.events.shared import shared
from oneiric.domains.events.topics import check_topic
from oneiric.errors import InvalidError, JSONValue

if TYPE_CHECKING:
    from oneiric.clock import Clock

SPEC_VERSION = "1.0"
SOURCE = "oneiric"
LONGEST = 2_048
MAX_BYTES = 1 << 20
_ATTRIBUTES = ("id", "source", "type", "time", "datacontenttype", "dataschema", "subject")
_RESERVED = frozenset((*_ATTRIBUTES, "specversion", "data", "data_base64"))
_NAME = re.compile(r"[a-z0-9]{1,64}\Z")
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+\Z")
_NOTHING: Mapping[str, JSONValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Say that something happened: what, where, when, and the data about it.

    An event never changes, its data included: handlers share it, and none can alter it for
    another. `source` and `id` together tell events apart; a repeated delivery has both again.

    >>> event = Event(id="1", type="order.created", data={"order_id": "a-1"})
    >>> event.topic, event.data["order_id"]
    ('order.created', 'a-1')

    Args:
        type: the topic, segments joined by dots.
        id: unique within the source.
        source: who says so, a URI reference.
        time: when it happened, RFC 3339.
        subject: what it happened to.
        data: a JSON value, or bytes; at most 1 MiB.
        extensions: further attributes: lower-case names, single values.

    Raises:
        InvalidError: an attribute is wrong.
        DocumentError: the data is not JSON, or is too large or too deep.

    Source: CloudEvents 1.0.2.
    """

    type: str
    id: str
    source: str = SOURCE
    time: str = ""
    datacontenttype: str = "application/json"
    dataschema: str = ""
    subject: str = ""
    data: Any = None
    extensions: Mapping[str, JSONValue] = field(default_factory=lambda: _NOTHING)

    def __post_init__(self) -> None:
        check_topic(self.type)
        for name in _ATTRIBUTES:
            _check_text(name, getattr(self, name), needed=name in ("id", "source"))
        if self.time:
            object.__setattr__(self, "time", _moment(self.time))
        for name, value in self.extensions.items():
            _check_extension(name, value)
        object.__setattr__(self, "extensions", MappingProxyType(dict(self.extensions)))
        if isinstance(self.data, bytes):
            if len(self.data) > MAX_BYTES:
                raise InvalidError(f"an event carries at most {MAX_BYTES} bytes of data")
        else:
            object.__setattr__(self, "data", shared(self.data))

    @classmethod
    def of(
        cls,
        topic: str,
        data: JSONValue | bytes = None,
        *,
        clock: Clock,
        source: str = SOURCE,
        subject: str = "",
        extensions: Mapping[str, JSONValue] = _NOTHING,
    ) -> Event:
        """Return a new event about *topic* that happens now, with a new id."""
        binary = isinstance(data, bytes)
        return cls(
            type=topic,
            id=clock.new_id(),
            source=source,
            time=rfc3339(clock.now()),
            datacontenttype="application/octet-stream" if binary else "application/json",
            subject=subject,
            data=data,
            extensions=extensions,
        )

    @property
    def topic(self) -> str:
        """Its `type`, by which handlers are found."""
        return self.type

    @property
    def headers(self) -> Mapping[str, JSONValue]:
        """The attributes around the data that are set, extensions included, by name."""
        own = {name: getattr(self, name) for name in _ATTRIBUTES}
        return {name: value for name, value in own.items() if value} | dict(self.extensions)

    def as_json(self) -> dict[str, JSONValue]:
        """Return the event in the JSON format of CloudEvents; bytes stand in `data_base64`."""
        envelope = {"specversion": SPEC_VERSION, **self.headers}
        if isinstance(self.data, bytes):
            encoded = binascii.b2a_base64(self.data, newline=False)
            return {**envelope, "data_base64": encoded.decode()}
        return {**envelope, "data": self.data}

    def to_bytes(self) -> bytes:
        """Return the same as canonical JSON text; media type `application/cloudevents+json`."""
        return canonical(self.as_json())

    @classmethod
    def from_json(cls, document: JSONValue) -> Event:
        """Return the event that *document*, in the JSON format of CloudEvents, describes.

        Raises:
            InvalidError: it is no event of specversion 1.0.
        """
        if not isinstance(document, Mapping):
            raise InvalidError("an event is a table")
        if document.get("specversion") != SPEC_VERSION:
            raise InvalidError(
                f"an event says specversion {SPEC_VERSION}, not {document.get('specversion')!r}"
            )
        missing = [name for name in ("id", "source", "type") if document.get(name) is None]
        if missing:
            raise InvalidError(f"an event needs {', '.join(missing)}")
        known = {name: document[name] for name in _ATTRIBUTES if document.get(name) is not None}
        others = {name: v for name, v in document.items() if name not in _RESERVED}
        extensions = {name: value for name, value in others.items() if value is not None}
        return cls(data=_data(document), extensions=extensions, **known)  # type: ignore[arg-type]

    @classmethod
    def from_bytes(cls, text: bytes, *, source: str = "") -> Event:
        """Return the event that JSON text describes, read strictly and within limits.

        Raises:
            DocumentError: it is not one strict JSON value, or is too large or too deep.
            InvalidError: it is no event of specversion 1.0.
        """
        return cls.from_json(parse(text, "json", source=source))


def _data(document: Mapping[str, JSONValue]) -> JSONValue | bytes:
    if "data_base64" not in document:
        return document.get("data")
    encoded = document["data_base64"]
    if "data" in document or not isinstance(encoded, str):
        raise InvalidError("data_base64 is text, and stands in the place of data")
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidError("data_base64 is not base64") from error


def _check_text(name: str, value: object, *, needed: bool) -> None:
    if not isinstance(value, str) or (needed and not value):
        raise InvalidError(f"{name} of an event is text, not {value!r}")
    if len(value) > LONGEST or (value and not _TEXT.match(value)):
        raise InvalidError(
            f"{name} of an event is at most {LONGEST} characters, none of them a control character"
        )


def _check_extension(name: object, value: object) -> None:
    if not isinstance(name, str) or not _NAME.match(name) or name in _RESERVED:
        raise InvalidError(
            f"{name!r} may not name an extension of an event",
            hint="lower-case letters and digits, and no name that the envelope has",
        )
    if isinstance(value, str):
        _check_text(name, value, needed=False)
    elif not isinstance(value, int) or not -(1 << 31) <= value < 1 << 31:
        raise InvalidError(f"the extension {name} is text, a boolean or an integer of 32 bits")


def _moment(text: str) -> str:
    """Return RFC 3339 text in UTC; *text* must have a zone."""
    try:
        return rfc3339(datetime.fromisoformat(text))
    except ValueError as error:
        raise InvalidError(f"time of an event is RFC 3339 with a zone, not {text!r}") from error
