"""Keep objects: named bytes that stay until deleted."""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, TypeAlias

from oneiric.core.ref import ComponentRef
from oneiric.ports.adapter import Adapter
from oneiric.ports.errors import InvalidRequestError, NotFoundError

ObjectData: TypeAlias = bytes | AsyncIterable[bytes]
"""What can be put: bytes at once, or in pieces as they come."""

OBJECT_KEY_LIMIT = 1024
OBJECT_SEGMENT_LIMIT = 255
CHUNK_SIZE = 256 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What is known of an object without reading it: `size` in bytes, `modified` in UTC.

    `etag` changes with the content. `content_type` and `metadata` are what was
    put, where the store has the capability `metadata`.
    """

    key: str
    size: int
    modified: datetime
    etag: str = ""
    content_type: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


class ObjectStore(Adapter, Protocol):
    """Keep objects; a reader sees the whole of one version, never a half or a mix.

    Keys are as in `check_object_key`. Every call may raise `InvalidRequestError`,
    `PermissionDeniedError` and `UnavailableError`.
    """

    async def put(
        self,
        key: str,
        data: ObjectData,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> StoredObject:
        """Keep *data* whole, or leave everything as it was.

        *content_type* is a hint that a store without `metadata` drops.

        Raises:
            InvalidRequestError: *data* is neither bytes nor pieces of bytes.
            ConflictError: *if_absent* and the key exists; of any number of
                callers at once exactly one succeeds.
            NotSupportedError: *metadata* for a store that keeps none.
        """
        ...

    async def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """Return the content, or of it `[start:end]` as slicing does, for counts from zero up.

        Raises:
            NotFoundError: there is no such object.
        """
        ...

    def stream(self, key: str, *, chunk_size: int = CHUNK_SIZE) -> AsyncIterator[bytes]:
        """Yield the content in pieces of at most *chunk_size* bytes.

        Raises:
            NotFoundError: there is no such object; at the first piece.
        """
        ...

    async def head(self, key: str) -> StoredObject:
        """Return what is known of an object without reading it.

        Raises:
            NotFoundError: there is no such object.
        """
        ...

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; a missing one is no error."""
        ...

    def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """Yield every object whose key begins with *prefix*, in order of the keys' UTF-8."""
        ...

    async def copy(self, source: str, target: str) -> None:
        """Keep the content of *source* under *target* too, replacing what was there.

        Raises:
            NotFoundError: there is no *source*.
        """
        ...

    async def upload(
        self, key: str, data: ObjectData, *, content_type: str | None = None
    ) -> StoredObject:
        """Do as `put`."""
        ...

    async def save(self, key: str, data: ObjectData) -> StoredObject:
        """Do as `put`."""
        ...

    async def download(self, key: str) -> bytes | None:
        """Return the content, or None when there is no such object."""
        ...

    async def read(self, key: str) -> bytes | None:
        """Do as `download`."""
        ...


class ObjectAliases:
    """Give a store that has `put` and `get` its `upload`, `save`, `download` and `read`."""

    async def upload(
        self: ObjectStore, key: str, data: ObjectData, *, content_type: str | None = None
    ) -> StoredObject:
        """Do as `put`."""
        return await self.put(key, data, content_type=content_type)

    async def save(self: ObjectStore, key: str, data: ObjectData) -> StoredObject:
        """Do as `put`."""
        return await self.put(key, data)

    async def download(self: ObjectStore, key: str) -> bytes | None:
        """Return the content, or None when there is no such object."""
        try:
            return await self.get(key)
        except NotFoundError:
            return None

    async def read(self: ObjectStore, key: str) -> bytes | None:
        """Do as `download`."""
        return await self.download(key)


class Presign(Protocol):
    """Let others read or write one object for a while: the capability `presign`."""

    async def presign(self, key: str, *, method: str = "GET", expires_in: float = 900) -> str:
        """Return a URL that allows *method* on *key* for *expires_in* seconds."""
        ...


STORAGE: ComponentRef[ObjectStore] = ComponentRef("adapter:storage")


def check_object_key(key: object) -> str:
    """Return *key* if every store takes it, so that stores can replace each other.

    >>> check_object_key("reports/2026/übersicht.pdf")
    'reports/2026/übersicht.pdf'

    Raises:
        InvalidRequestError: it is empty or above 1,024 bytes, has an empty, `.` or
            `..` segment (so also a slash at either end) or one above 255 bytes, or
            control characters.
    """
    if not isinstance(key, str) or not key:
        raise InvalidRequestError("storage", f"a key is non-empty text, not {key!r}")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequestError("storage", f"{key!r} cannot be written as UTF-8") from error
    if size > OBJECT_KEY_LIMIT:
        raise InvalidRequestError("storage", f"a key has at most {OBJECT_KEY_LIMIT} bytes")
    segments = key.split("/")
    if any(len(segment.encode()) > OBJECT_SEGMENT_LIMIT for segment in segments):
        what = f"each segment of a key has at most {OBJECT_SEGMENT_LIMIT} bytes"
        raise InvalidRequestError("storage", what)
    if not {"", ".", ".."}.isdisjoint(segments):
        raise InvalidRequestError("storage", f"{key!r} has an empty, '.' or '..' segment")
    if any(letter < " " or letter == "\x7f" for letter in key):
        raise InvalidRequestError("storage", f"{key!r} has control characters")
    return key


def check_range(start: int | None, end: int | None) -> tuple[int, int | None]:
    """Return the first byte and the byte after the last, None for the end of the object.

    Raises:
        InvalidRequestError: one of them is below zero.
    """
    if (start or 0) < 0 or (end or 0) < 0:
        raise InvalidRequestError("storage", f"a range counts from zero up, not {start}:{end}")
    return start or 0, end
