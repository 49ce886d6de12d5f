"""What a handler asks of an event beyond its topic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from oneiric.domains.events.shared import equal, shared
from oneiric.errors import InvalidError, JSONValue, nearest

if TYPE_CHECKING:
    from oneiric.domains.events.event import Event

_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "path": "path",
        "field": "path",
        "equals": "equals",
        "value": "equals",
        "any_of": "any_of",
        "one_of": "any_of",
        "in": "any_of",
        "exists": "exists",
    }
)


class Absent(Enum):
    """Stand for what is not there, which `null` does not mean."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Pass events in which the value at a path is as asked.

    Operators that are given must all hold. A field that is missing equals nothing, `null`
    included; an explicit `null` exists.

    >>> from oneiric.domains.events import Event
    >>> region = EventFilter.parse({"path": "payload.region", "any_of": ["eu", "us"]})
    >>> region.passes(Event(id="1", type="order.created", data={"region": "eu"}))
    True

    Args:
        path: `topic`; `payload.NAME…`; `headers.NAME`; or a path within the payload. A number
            counts the items of a list, from 0.
        equals: the value must be this.
        any_of: the value must be one of these.
        exists: whether there must be a value, or must be none.
    """

    path: str
    equals: JSONValue | Absent = ABSENT
    any_of: tuple[JSONValue, ...] = ()
    exists: bool | None = None

    def __post_init__(self) -> None:
        path: object = self.path
        if not isinstance(path, str) or not all(path.split(".")):
            raise InvalidError(f"the path of a filter is names joined by dots, not {path!r}")
        if self.path == "headers":
            raise InvalidError("the path of a filter names one header, as in headers.source")
        if self.exists is not None and not isinstance(self.exists, bool):
            raise InvalidError(f"exists of a filter is true or false, not {self.exists!r}")
        if self.equals is not ABSENT:
            object.__setattr__(self, "equals", shared(self.equals))
        object.__setattr__(self, "any_of", tuple(map(shared, self.any_of)))
        if self.equals is ABSENT and not self.any_of and self.exists is None:
            raise InvalidError(
                f"the filter on {self.path} asks nothing", hint="add equals, any_of or exists"
            )

    @classmethod
    def parse(cls, entry: JSONValue) -> EventFilter:
        """Return the filter that a table of metadata describes.

        Keys: `path` or `field`; `equals` or `value`; `any_of`, `one_of` or `in`; `exists`.

        Raises:
            InvalidError: a key is unknown or given twice, or a value is wrong.
        """
        if not isinstance(entry, Mapping):
            raise InvalidError(f"a filter is a table, not {entry!r}")
        found: dict[str, Any] = {}
        for key, value in entry.items():
            name = _ALIASES.get(key, "")
            if not name:
                close = nearest(key, _ALIASES)
                hint = f"did you mean {close}?" if close else f"keys: {', '.join(_ALIASES)}"
                raise InvalidError(f"a filter has no {key!r}", hint=hint)
            if name in found:
                raise InvalidError(f"a filter has {key!r} and another key that means it")
            found[name] = _several(key, value) if name == "any_of" else value
        if "path" not in found:
            raise InvalidError("a filter needs a path")
        return cls(**found)

    def passes(self, event: Event) -> bool:
        """Tell whether *event* is as asked."""
        value = self._value(event)
        if self.exists is not None and self.exists is (value is ABSENT):
            return False
        if self.equals is not ABSENT and not _same(value, self.equals):
            return False
        return not self.any_of or any(_same(value, each) for each in self.any_of)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"path"}` and the operators that are given."""
        given: dict[str, JSONValue] = {"path": self.path}
        if self.equals is not ABSENT:
            given["equals"] = self.equals
        if self.any_of:
            given["any_of"] = list(self.any_of)
        return given if self.exists is None else {**given, "exists": self.exists}

    def _value(self, event: Event) -> object:
        if self.path == "topic":
            return event.type
        head, _, rest = self.path.partition(".")
        if head == "headers":
            return event.headers.get(rest, ABSENT)
        return _at(event.data, (rest if head == "payload" else self.path).split("."))


def parse_event_filters(entries: JSONValue) -> tuple[EventFilter, ...]:
    """Return the filters that a list of tables describes; an event must pass them all.

    Raises:
        InvalidError: it is no list, or a filter is wrong.
    """
    if entries is None:
        return ()
    if isinstance(entries, str | Mapping) or not isinstance(entries, Sequence):
        raise InvalidError(f"filters are a list of tables, not {entries!r}")
    return tuple(map(EventFilter.parse, entries))


def _several(key: str, value: JSONValue) -> tuple[JSONValue, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidError(f"{key} of a filter is a list, not {value!r}")
    if not value:
        raise InvalidError(f"{key} of a filter is empty, so that no event would pass")
    return tuple(value)


def _same(value: object, wanted: object) -> bool:
    return value is not ABSENT and equal(value, wanted)


def _at(value: object, names: Sequence[str]) -> object:
    for name in names:
        if name == "":  # the path was `payload` alone
            continue
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return ABSENT
    return value
