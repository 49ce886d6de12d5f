"""Files that come from afar: written beside their place, moved there when they are right."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from oneiric.errors import UnavailableError
from oneiric.files import own_folder
from oneiric.remote.errors import WrongDigestError, WrongLengthError

T = TypeVar("T")
CHUNK = 1 << 20


async def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work in a thread; when cancelled, wait for its end before passing that on.

    So whoever cleans up afterwards does not do so under the hands of the thread.
    """
    future = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if not future.done():
            await asyncio.wait({future})
        if not future.cancelled():
            future.exception()  # looked at, so that nobody is warned of it
        raise


class PartFile:
    """A file that is not yet there: it takes bytes, and its place when length and digest fit.

    Use it as a context manager; whatever was not put into place is deleted. All methods block.
    """

    def __init__(self, place: Path, *, length: int, sha256: str) -> None:
        self.place = place
        self._length = length
        self._sha256 = sha256
        self._path = place.parent / f".{secrets.token_hex(12)}.part"
        self._hash = hashlib.sha256()
        self._written = 0
        self._file: BinaryIO | None = None

    def open(self) -> Self:
        """Make the file, and its folder where that is missing.

        Raises:
            UnavailableError: the system does not let it be made.
        """
        try:
            own_folder(self.place.parent)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise _told(self.place, error) from error
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        return self

    def write(self, data: bytes) -> None:
        """Add *data*.

        Raises:
            UnavailableError: the disk is full, or fails.
        """
        assert self._file is not None
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise _told(self.place, error) from error
        self._hash.update(data)
        self._written += len(data)

    def settle(self, origin: str) -> None:
        """Check length and digest, make the bytes durable, and move them into place.

        Raises:
            WrongLengthError, WrongDigestError: they are not what was announced by *origin*.
            UnavailableError: the disk is full, or fails.
        """
        assert self._file is not None
        if self._written != self._length:
            reason = f"{self._length} bytes were announced, {self._written} came"
            raise WrongLengthError(origin, reason)
        found = self._hash.hexdigest()
        if found != self._sha256:
            raise WrongDigestError(origin, f"sha256 {self._sha256} was announced, {found} came")
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self._path.replace(self.place)
        except OSError as error:
            raise _told(self.place, error) from error

    def discard(self) -> None:
        """Delete what is not in place; harmless at any time."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
        with suppress(OSError):
            self._path.unlink()


def digest_of(path: Path) -> tuple[int, str]:
    """Return length and SHA-256 of a regular file, read piece by piece; it blocks.

    Raises:
        FileNotFoundError: there is none, or it is no regular file.
        UnavailableError: the system does not let it be read.
    """
    if path.is_symlink() or not path.is_file():
        raise FileNotFoundError(str(path))
    found, length = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
                length += len(chunk)
    except OSError as error:
        raise _told(path, error) from error
    return length, found.hexdigest()


def _told(path: Path, error: OSError) -> UnavailableError:
    reason = (error.strerror or type(error).__name__).lower()
    return UnavailableError(f"{path}: {reason}")
