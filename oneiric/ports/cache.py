"""Keep values for a while, by key."""

import json
import math
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeAlias

from oneiric.core.ref import ComponentRef
from oneiric.errors import JSONValue
from oneiric.ports.adapter import Adapter
from oneiric.ports.errors import AdapterError, InvalidRequestError

CacheValue: TypeAlias = "JSONValue | bytes"
"""What a cache keeps: a JSON value, or bytes as they are (not inside a JSON value)."""

LEAST, GREATEST = -(2**63), 2**63 - 1
"""The least and the greatest integer a cache keeps."""

TTL_LIMIT = 1e10
"""The longest time to live, in seconds: more than three hundred years."""

DEPTH_LIMIT = 100
_BYTES_MARK = b"\x00"


class Cache(Adapter, Protocol):
    """Keep values for a while; may forget any of them at any time, never alter one.

    A value comes back equal and of the same kind: bytes as bytes, text as text,
    `0`, `""`, `{}`, `False` and `None` as themselves; a tuple comes back as a
    list. What is returned belongs to the caller: changing it changes no entry.
    Keys are non-empty text. `ttl` is in seconds above zero, at most 1e10; without one
    the provider's `default_ttl` holds, and without that an entry does not expire.

    Every call may raise `InvalidRequestError` (a key, value or ttl that no cache
    takes) and `UnavailableError`.
    """

    async def get(self, key: str, default: CacheValue = None) -> CacheValue:
        """Return the value of *key*, or *default* when there is none."""
        ...

    async def set(self, key: str, value: CacheValue, *, ttl: float | None = None) -> None:
        """Keep *value*, replacing value and time to live of an earlier one."""
        ...

    async def add(self, key: str, value: CacheValue, *, ttl: float | None = None) -> bool:
        """Keep *value* only if *key* is absent; of any number of callers one gets True."""
        ...

    async def delete(self, key: str) -> bool:
        """Forget *key* and tell whether there was one."""
        ...

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheValue]:
        """Return those of *keys* that are present, `None` values included."""
        ...

    async def set_many(self, items: Mapping[str, CacheValue], *, ttl: float | None = None) -> None:
        """Keep all *items*, or none of them when one is invalid."""
        ...

    async def increment(self, key: str, delta: int = 1) -> int:
        """Add *delta* to a counter and return it; atomic, and an absent one starts at 0.

        An existing counter keeps its time to live.

        Raises:
            InvalidRequestError: the value is no integer, or would pass 64 bits.
        """
        ...

    async def expire_in(self, key: str) -> float | None:
        """Return the seconds left: `math.inf` without an end, None when *key* is absent."""
        ...

    async def clear(self) -> None:
        """Forget everything in this cache's own namespace and nothing else."""
        ...


class InvalidationFeed(Protocol):
    """Tell which keys were changed, by whomever: the capability `invalidation`."""

    def invalidations(self) -> AbstractAsyncContextManager[AsyncIterator[Sequence[str]]]:
        """Follow the changes: from entering on, none is missed.

        Each item is the keys that changed or expired; an empty one means all of
        them. The iterator raises `UnavailableError` when changes may have been
        missed, also when the cache is cleaned up: drop what you kept and enter again.
        """
        ...


CACHE: ComponentRef[Cache] = ComponentRef("adapter:cache")


def pack_value(value: CacheValue) -> bytes:
    r"""Write a value as bytes that `unpack_value` reads back: JSON, or NUL and the bytes.

    An integer is its decimal digits, so a store that counts natively can.

    >>> pack_value({"a": [1, None]}), pack_value(7), pack_value(b"\xff")
    (b'{"a":[1,null]}', b'7', b'\x00\xff')

    Raises:
        InvalidRequestError: names the place of what is neither JSON nor bytes.
    """
    if isinstance(value, bytes):
        return _BYTES_MARK + value
    _check(value, "value", 0)
    return json.dumps(value, separators=(",", ":")).encode()


def unpack_value(packed: bytes) -> CacheValue:
    r"""Read what `pack_value` wrote.

    >>> unpack_value(b'""'), unpack_value(b"\x00")
    ('', b'')

    Raises:
        AdapterError: somebody else wrote these bytes.
    """
    if packed[:1] == _BYTES_MARK:
        return packed[1:]
    try:
        value: JSONValue = json.loads(packed)
    except ValueError as error:
        raise AdapterError("cache", "an entry was not written by this cache") from error
    return value


def check_key(key: object) -> str:
    """Return *key* if every cache takes it.

    Raises:
        InvalidRequestError: it is empty, no text, or cannot be written as UTF-8.
    """
    if not isinstance(key, str) or not key:
        raise InvalidRequestError("cache", f"a key is non-empty text, not {key!r}")
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequestError("cache", f"{key!r} cannot be written as UTF-8") from error
    return key


def check_ttl(ttl: float | None) -> float | None:
    """Return *ttl* if it is None or a number of seconds above zero, at most `TTL_LIMIT`.

    Raises:
        InvalidRequestError: it is anything else.
    """
    if ttl is None or (type(ttl) in (int, float) and 0 < ttl <= TTL_LIMIT):
        return ttl
    problem = f"a ttl is seconds above zero, at most {TTL_LIMIT:g}, not {ttl!r}"
    raise InvalidRequestError("cache", problem)


def check_counter(key: str, value: CacheValue) -> int:
    """Return the value of *key* if it is an integer of 64 bits.

    Raises:
        InvalidRequestError: it is not; the value is not shown.
    """
    if type(value) is not int:
        raise InvalidRequestError("cache", f"{key} is no counter")
    if not LEAST <= value <= GREATEST:
        raise InvalidRequestError("cache", f"{key} would pass 64 bits")
    return value


def _check(value: object, place: str, depth: int) -> None:
    if depth > DEPTH_LIMIT:
        raise InvalidRequestError("cache", f"{place} is nested deeper than {DEPTH_LIMIT}")
    if isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise InvalidRequestError("cache", f"{place} has the key {name!r}, not text")
            _check(item, f"{place}.{name}", depth + 1)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check(item, f"{place}.{index}", depth + 1)
    else:
        _check_scalar(value, place)


def _check_scalar(value: object, place: str) -> None:
    if isinstance(value, int):
        check_counter(place, int(value))
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidRequestError("cache", f"{place} is {value}, which JSON cannot say")
    elif value is not None and not isinstance(value, str | float):
        raise InvalidRequestError("cache", f"{place} is {type(value).__name__}, not JSON or bytes")
