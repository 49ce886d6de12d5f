"""JSON values that several readers share, so that none can change them for another."""

from __future__ import annotations

from typing import Any, NoReturn

from oneiric.documents import canonical, parse
from oneiric.errors import JSONValue


def _refuse(self: object, *args: object, **more: object) -> NoReturn:
    raise TypeError("the data of an event is shared by its handlers; change a copy.deepcopy of it")


class SharedTable(dict[str, Any]):
    """A `dict` in every way but that it cannot be changed; a copy of it can."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class SharedList(list[Any]):
    """A `list` in every way but that it cannot be changed; a copy of it can."""

    __slots__ = ()
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = remove = reverse = sort = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def shared(value: JSONValue) -> JSONValue:
    """Return *value* copied into tables and lists that nobody can change.

    Raises:
        DocumentError: something in it is not JSON, names the path; or it is too large or deep.
    """
    found: JSONValue = _shared(parse(canonical(value), "json", source="data"))
    return found


def _shared(plain: Any) -> Any:
    if isinstance(plain, dict):
        return SharedTable((key, _shared(item)) for key, item in plain.items())
    if isinstance(plain, list):
        return SharedList(map(_shared, plain))
    return plain


def equal(one: object, other: object) -> bool:
    """Tell whether two JSON values are equal: `true` is not `1`, and `1` is `1.0`."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return isinstance(one, bool) is isinstance(other, bool) and one == other
