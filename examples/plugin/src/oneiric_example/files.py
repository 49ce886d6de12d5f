"""A cache of files: one for each key, shared by all processes that name the folder.

An entry is one line with the key and the time of expiry as JSON, then the packed
value. Readers need no lock, for an entry is replaced whole; writers take the
folder's lock file one after the other.
"""

import asyncio
import fcntl
import json
import math
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, ClassVar

from oneiric import HealthReport
from oneiric.ports import (
    TTL_LIMIT,
    AdapterError,
    CacheValue,
    InvalidRequestError,
    PermissionDeniedError,
    UnavailableError,
    check_counter,
    check_key,
    check_ttl,
    pack_value,
    unpack_value,
)
from pydantic import BaseModel, ConfigDict, Field

SUFFIX = ".entry"
RETRY_SECONDS = 0.001


class FileCacheSettings(BaseModel):
    """Name the folder, and bound what one entry and one wait for the lock may cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Path(".oneiric_cache/files")
    default_ttl: float | None = Field(default=None, gt=0, le=TTL_LIMIT)
    max_value_bytes: int = Field(default=1 << 20, ge=1)
    lock_timeout: float = Field(default=2.0, gt=0, le=60)


class FileCache:
    """Keep values as files in a folder of their own; `clear` deletes only those.

    Entries are small (`max_value_bytes`), so a call reads or writes its file at
    once, in tens of microseconds; walks over all entries go to a thread, and for the
    lock that another process holds it waits without holding up the loop.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"kv", "ttl", "distributed"})

    def __init__(self, settings: FileCacheSettings) -> None:
        self._settings = settings
        self._folder = settings.folder
        self._backend = f"files in {settings.folder}"

    async def init(self) -> None:
        """Create the folder, and delete what has expired in it."""
        with self._translated():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            await asyncio.to_thread(self._delete_all, expired_only=True)

    async def health(self) -> HealthReport:
        """Tell whether an entry could be written now, or why not."""
        try:
            with self._translated():
                self._replace(self._folder / "health.probe", b"")
        except AdapterError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Do nothing: no file stays open, and entries outlast the process."""

    async def get(self, key: str, default: CacheValue = None) -> CacheValue:
        """Return the value of *key*, or *default* when there is none."""
        found = self._read(key)
        return default if found is None else unpack_value(found[0])

    async def set(self, key: str, value: CacheValue, *, ttl: float | None = None) -> None:
        """Keep *value*, replacing value and time to live of an earlier one."""
        packed, expiry = self._pack(value), self._expiry(ttl)
        async with self._locked():
            self._write(key, packed, expiry)

    async def add(self, key: str, value: CacheValue, *, ttl: float | None = None) -> bool:
        """Keep *value* only if *key* is absent, and tell whether it was."""
        packed, expiry = self._pack(value), self._expiry(ttl)
        async with self._locked():
            if self._read(key) is not None:
                return False
            self._write(key, packed, expiry)
            return True

    async def delete(self, key: str) -> bool:
        """Forget *key* and tell whether there was one."""
        async with self._locked():
            found = self._read(key) is not None
            self._path(key).unlink(missing_ok=True)
            return found

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheValue]:
        """Return those of *keys* that are present."""
        found = {key: self._read(key) for key in keys}
        return {key: unpack_value(entry[0]) for key, entry in found.items() if entry}

    async def set_many(self, items: Mapping[str, CacheValue], *, ttl: float | None = None) -> None:
        """Keep all *items*, or none of them when one is invalid."""
        expiry = self._expiry(ttl)
        packed = {check_key(key): self._pack(value) for key, value in items.items()}
        async with self._locked():
            for key, value in packed.items():
                self._write(key, value, expiry)

    async def increment(self, key: str, delta: int = 1) -> int:
        """Add *delta* to a counter and return it; an absent one starts at 0."""
        async with self._locked():
            before, expiry = self._read(key) or (b"0", self._expiry(None))
            after = check_counter(key, unpack_value(before)) + check_counter("delta", delta)
            self._write(key, pack_value(check_counter(key, after)), expiry)
            return after

    async def expire_in(self, key: str) -> float | None:
        """Return the seconds left, `math.inf` without an end, None when absent."""
        found = self._read(key)
        if found is None:
            return None
        return math.inf if found[1] is None else found[1] - time.time()

    async def clear(self) -> None:
        """Delete every entry in the folder; other files in it stay."""
        with self._translated():
            await asyncio.to_thread(self._delete_all, expired_only=False)

    def _path(self, key: str) -> Path:
        digest = sha256(check_key(key).encode()).hexdigest()
        return self._folder / (digest + SUFFIX)

    def _pack(self, value: CacheValue) -> bytes:
        packed = pack_value(value)
        if len(packed) > self._settings.max_value_bytes:
            limit = self._settings.max_value_bytes
            raise InvalidRequestError(self._backend, f"a value has at most {limit} bytes")
        return packed

    def _expiry(self, ttl: float | None) -> float | None:
        seconds = check_ttl(self._settings.default_ttl if ttl is None else ttl)
        return None if seconds is None else time.time() + seconds

    def _read(self, key: str) -> tuple[bytes, float | None] | None:
        """Return packed value and time of expiry, or None when absent, expired or foreign."""
        try:
            with self._translated():
                head, _, packed = self._path(key).read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        known, expiry = _head(head)
        alive = known == key and (expiry is None or expiry > time.time())
        return (packed, expiry) if alive else None

    def _write(self, key: str, packed: bytes, expiry: float | None) -> None:
        head = json.dumps([key, expiry]).encode()
        with self._translated():
            self._replace(self._path(key), head + b"\n" + packed)

    def _replace(self, path: Path, data: bytes) -> None:
        temporary = self._folder / f"{token_hex(8)}.tmp"
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def _delete_all(self, *, expired_only: bool) -> None:
        for path in self._folder.glob(f"*{SUFFIX}"):
            if expired_only:
                with suppress(FileNotFoundError), path.open("rb") as file:
                    _, expiry = _head(file.readline())
                    if expiry is None or expiry > time.time():
                        continue
            path.unlink(missing_ok=True)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the folder's lock among all processes, for the length of a file call or two."""
        with self._translated(), (self._folder / "lock").open("wb") as lock:
            patience = self._settings.lock_timeout
            until = time.monotonic() + patience
            while not _take(lock):
                if time.monotonic() > until:
                    raise UnavailableError(self._backend, f"was locked for {patience:g} s")
                await asyncio.sleep(RETRY_SECONDS)
            yield

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Say errors of the system in the port's words; a missing entry is none."""
        try:
            yield
        except FileNotFoundError:
            if self._folder.is_dir():
                raise
            raise UnavailableError(self._backend, "the folder is gone") from None
        except PermissionError as error:
            raise PermissionDeniedError(self._backend, "may not be accessed") from error
        except OSError as error:
            raise UnavailableError(self._backend, error.strerror or "failed") from error


def _take(lock: BinaryIO) -> bool:
    """Lock an open file if nobody else has it locked, and tell whether that is so."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _head(line: bytes) -> tuple[str, float | None]:
    """Return key and time of expiry; of a line that is none of ours, one that has expired."""
    try:
        key, expiry = json.loads(line)
    except ValueError:
        return "", 0.0
    return key, expiry
