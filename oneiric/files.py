"""Files, so that no reader hangs, no writer leaves half a file, and no path leaves its root."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from oneiric.errors import InvalidPathError, NotFoundError, OneiricError, UnavailableError

_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR})
_INVALID = frozenset({errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR, errno.ENXIO, errno.ENODEV})
_CHUNK = 1 << 20


def read_bounded(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most *limit* bytes; links are followed.

    A pipe, socket, device or folder is refused at once: nothing here can hang
    or drain somebody else's pipe. A file that grows while it is read counts too.

    Raises:
        InvalidPathError: no regular file, longer than *limit*, or no possible path.
        NotFoundError: there is no such file.
        UnavailableError: the system does not let it be read.
    """
    try:
        with _opened(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as descriptor:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidPathError(str(path), "it is no regular file")
            chunks, left = [], limit + 1
            while left and (chunk := os.read(descriptor, min(left, _CHUNK))):
                chunks.append(chunk)
                left -= len(chunk)
    except (OSError, ValueError) as error:
        raise _told(path, error) from error
    if not left:
        raise InvalidPathError(str(path), f"it is longer than {limit} bytes")
    return b"".join(chunks)


def own_folder(path: Path) -> None:
    """Make a folder, and those above it that are missing; what is made is its owner's alone.

    Raises:
        OSError: it cannot be made, or something that is no folder is in its place.
    """
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
    if not path.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Put *data* at *path* whole: a reader sees the old file or the new one.

    Writers do not disturb each other: each uses its own temporary file in the
    same folder, removed on any failure, and the last one wins. A link at *path*
    is replaced, not followed. *mode* is lessened by the process's umask. With
    *durable* the file and its name outlast a loss of power.

    Raises:
        InvalidPathError: *path* is a folder, a pipe, a device or no possible path.
        NotFoundError: the folder does not exist.
        UnavailableError: the system does not let it be written, or the disk is full.
    """
    check_place(path)
    temporary = path.parent / f".{secrets.token_hex(12)}.tmp"
    try:
        try:
            with _opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode) as descriptor:
                _write(descriptor, data, durable=durable)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        if durable:
            with _opened(path.parent, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
                os.fsync(descriptor)
    except (OSError, ValueError) as error:
        raise _told(path, error) from error


def check_place(path: Path) -> None:
    """Pass if a file may be put at *path*: over a regular file or a link, or where nothing is.

    Raises:
        InvalidPathError: a folder, pipe, socket or device is there, or *path* cannot be.
        NotFoundError: the folder does not exist.
        UnavailableError: the system does not let it be looked at.
    """
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise NotFoundError("folder", str(path.parent)) from None
        return
    except (OSError, ValueError) as error:
        raise _told(path, error) from error
    if not stat.S_ISREG(kind) and not stat.S_ISLNK(kind):
        raise InvalidPathError(str(path), "it is no regular file")


def write_new(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put *data* at *path* where nothing lies yet, lastingly; removed again on any failure.

    Raises:
        InvalidPathError: something lies there already, a link to nothing too.
        NotFoundError: the folder does not exist.
        UnavailableError: the system does not let it be written, or the disk is full.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with _opened(path, flags, mode) as descriptor:
            try:
                _write(descriptor, data, durable=True)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        raise InvalidPathError(str(path), "it exists already") from None
    except (OSError, ValueError) as error:
        raise _told(path, error) from error


def confined(root: Path, relative: str | PurePosixPath) -> Path:
    """Return the real path of *relative* below *root*, whether it exists or not.

    Links are followed as far as the path exists; one that leads out of *root* is
    refused. Who can write in *root* can still move things afterwards.

    >>> confined(Path("/srv"), "a/../b")
    Traceback (most recent call last):
    oneiric.errors.InvalidPathError: a/../b: it holds '..'

    Raises:
        InvalidPathError: absolute, empty, with `..` or NUL, or leading out of *root*.
    """
    text = str(relative)
    pure = PurePosixPath(text)
    if not text or not pure.parts:
        raise InvalidPathError(text, "it names nothing")
    if "\0" in text:
        raise InvalidPathError(ascii(text)[1:-1], "it holds a NUL")
    if pure.is_absolute():
        raise InvalidPathError(text, "it is absolute")
    if ".." in pure.parts:
        raise InvalidPathError(text, "it holds '..'")
    try:
        base = root.resolve()
        path = (base / pure).resolve()
    except (OSError, RuntimeError) as error:
        raise InvalidPathError(text, "its links lead nowhere") from error
    if not path.is_relative_to(base) or path == base:
        raise InvalidPathError(text, f"it leads out of {root}")
    if any(part.is_symlink() for part in (path, *path.parents)):  # left so by a loop, from 3.13
        raise InvalidPathError(text, "its links lead nowhere")
    return path


@contextmanager
def _opened(path: Path, flags: int, mode: int = 0) -> Iterator[int]:
    descriptor = os.open(path, flags | os.O_CLOEXEC, mode)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(descriptor: int, data: bytes, *, durable: bool) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    if durable:
        os.fsync(descriptor)


def _told(path: Path, error: OSError | ValueError) -> OneiricError:
    if not isinstance(error, OSError):
        return InvalidPathError(ascii(str(path))[1:-1], "it is no possible path")
    if error.errno in _MISSING:
        return NotFoundError("file", str(path))
    reason = (error.strerror or type(error).__name__).lower()
    if error.errno in _INVALID:
        return InvalidPathError(str(path), reason)
    return UnavailableError(f"{path}: {reason}")
