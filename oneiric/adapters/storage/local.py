"""Objects as files below one folder."""

import asyncio
import os
import shutil
import stat
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO, ClassVar, ParamSpec, TypeVar

from oneiric.adapters.settings import AdapterSettings
from oneiric.core.health import HealthReport
from oneiric.errors import InvalidPathError
from oneiric.files import confined
from oneiric.ports.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    UnavailableError,
)
from oneiric.ports.storage import (
    CHUNK_SIZE,
    ObjectAliases,
    ObjectData,
    StoredObject,
    check_object_key,
    check_range,
)

P = ParamSpec("P")
T = TypeVar("T")

STAGING = ".oneiric-staging"
LIST_BATCH = 500
_STALE_SECONDS = 24 * 3600
_PLACE_ATTEMPTS = 100
_BYTES = (bytes, bytearray, memoryview)


class LocalStorageSettings(AdapterSettings):
    """Name the folder, whether to create it, and whether a put outlasts a loss of power."""

    base_path: Path = Path(".oneiric_storage")
    create_parents: bool = True
    durable: bool = True


class LocalStorage(ObjectAliases):
    """Keep each object as the file of its key below `base_path`.

    An object is written aside (`.oneiric-staging`) and moved into place whole.
    Links that lead out of the folder are refused; links inside it are not
    listed. Because keys are paths, `a` and `a/b` cannot both exist: the second
    is a `ConflictError`. File calls run in threads, so the loop never waits for
    a disk; a cancelled call may still finish there.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"blob", "stream", "delete"})

    def __init__(self, settings: LocalStorageSettings | None = None) -> None:
        self._settings = settings or LocalStorageSettings()
        self._folder = _Folder(self._settings.base_path, durable=self._settings.durable)

    async def init(self) -> None:
        """Create the folder where that is allowed, and sweep what crashes left behind.

        Raises:
            UnavailableError: there is no such folder.
            PermissionDeniedError: it may not be written to.
        """
        await self._call(self._folder.prepare, create=self._settings.create_parents)

    async def health(self) -> HealthReport:
        """Tell whether the folder is there and can be written to."""
        if await asyncio.to_thread(self._folder.is_writable):
            return HealthReport(healthy=True)
        detail = f"{self._folder.backend}: the folder is gone or may not be written to"
        return HealthReport(healthy=False, detail=detail)

    async def cleanup(self) -> None:
        """Do nothing: no file stays open between calls."""

    async def put(
        self,
        key: str,
        data: ObjectData,
        *,
        content_type: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> StoredObject:
        """Keep *data* whole, or leave everything as it was."""
        if metadata:
            raise NotSupportedError(self._folder.backend, "metadata")
        if isinstance(data, _BYTES):
            return await self._call(self._folder.put, key, bytes(data), if_absent=if_absent)
        if not isinstance(data, AsyncIterable):
            raise self._no_bytes(data)
        path = await self._call(self._folder.path, key)
        file = await self._opened(self._folder.stage, self._folder.discard)
        try:
            async for piece in data:
                if not isinstance(piece, _BYTES):
                    raise self._no_bytes(piece)
                await self._call(file.write, piece)
            found = await self._call(self._folder.place, file, path, if_absent=if_absent)
        finally:
            await self._call(self._folder.discard, file)
        return _described(key, found)

    async def get(self, key: str, *, start: int | None = None, end: int | None = None) -> bytes:
        """Return the content, or of it `[start:end]` as slicing does."""
        first, after = check_range(start, end)
        return await self._call(self._folder.get, key, first, after)

    async def stream(self, key: str, *, chunk_size: int = CHUNK_SIZE) -> AsyncIterator[bytes]:
        """Yield the content in pieces of at most *chunk_size* bytes."""
        if chunk_size < 1:
            raise InvalidRequestError(self._folder.backend, "a chunk has at least one byte")
        file = await self._opened(partial(self._folder.open, key), lambda late: late.close())
        try:
            while piece := await self._call(file.read, chunk_size):
                yield piece
        finally:
            file.close()

    async def head(self, key: str) -> StoredObject:
        """Return size, time and etag of an object."""
        return await self._call(self._folder.head, key)

    async def exists(self, key: str) -> bool:
        """Tell whether there is such an object."""
        try:
            await self._call(self._folder.head, key)
        except NotFoundError:
            return False
        return True

    async def delete(self, key: str) -> None:
        """Delete an object, and the folders that it leaves empty."""
        await self._call(self._folder.delete, key)

    async def list(self, prefix: str = "") -> AsyncIterator[StoredObject]:
        """Yield every object whose key begins with *prefix*, in order."""
        found = self._folder.walk(prefix)
        while batch := await self._call(lambda: tuple(islice(found, LIST_BATCH))):
            for info in batch:
                yield info

    async def copy(self, source: str, target: str) -> None:
        """Keep the content of *source* under *target* too."""
        await self._call(self._folder.copy, source, target)

    def _no_bytes(self, data: object) -> InvalidRequestError:
        what = f"an object is bytes or pieces of bytes, not {type(data).__name__}"
        return InvalidRequestError(self._folder.backend, what)

    async def _call(self, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Call in a thread, and say its errors in the port's words.

        Once asked for, the call is made, so that what closes a file always does.
        """
        return await asyncio.shield(self._started(partial(call, *args, **named)))

    async def _opened(
        self, call: Callable[[], BinaryIO], let_go: Callable[[BinaryIO], None]
    ) -> BinaryIO:
        """Open a file in a thread; one that comes too late for a cancelled caller is let go."""

        def late(opening: asyncio.Future[BinaryIO]) -> None:
            if opening.exception() is None:
                let_go(opening.result())

        opening = self._started(call)
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(late)
            raise

    def _started(self, call: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(None, self._translated, call)

    def _translated(self, call: Callable[[], T]) -> T:
        with self._folder.translated():
            return call()


class _Folder:
    """Do the file calls of `LocalStorage`, each of which blocks."""

    def __init__(self, root: Path, *, durable: bool) -> None:
        self.backend = f"files in {root}"
        self._root = root
        self._durable = durable

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Say errors of the system in the port's words."""
        try:
            yield
        except InvalidPathError as error:
            raise InvalidRequestError(self.backend, error.message) from error
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise ConflictError(self.backend, "another object is in the way") from error
        except PermissionError as error:
            raise PermissionDeniedError(self.backend, "may not be accessed") from error
        except OSError as error:
            raise UnavailableError(self.backend, error.strerror or "failed") from error

    def prepare(self, *, create: bool) -> None:
        """Create what may be created, and sweep what crashes left behind."""
        if create:
            self._root.mkdir(parents=True, exist_ok=True)
        self.discard(self.stage())
        for file in (self._root / STAGING).iterdir():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - _STALE_SECONDS:
                    file.unlink()

    def is_writable(self) -> bool:
        """Tell whether the folder is there and can be written to."""
        return os.access(self._root, os.R_OK | os.W_OK | os.X_OK)

    def path(self, key: str) -> Path:
        """Return the file of *key*."""
        check_object_key(key)
        if key.partition("/")[0] == STAGING:
            raise InvalidRequestError(self.backend, f"{STAGING} is reserved")
        return confined(self._root, key)

    def put(self, key: str, data: bytes, *, if_absent: bool) -> StoredObject:
        """Write *data* aside and move it into place."""
        path, file = self.path(key), self.stage()
        try:
            file.write(data)
            return _described(key, self.place(file, path, if_absent=if_absent))
        finally:
            self.discard(file)

    def copy(self, source: str, target: str) -> None:
        """Write the content of *source* aside and move it to *target*."""
        path = self.path(target)
        with self.open(source) as original:
            file = self.stage()
            try:
                shutil.copyfileobj(original, file, CHUNK_SIZE)
                self.place(file, path, if_absent=False)
            finally:
                self.discard(file)

    def stage(self) -> BinaryIO:
        """Open a new file aside."""
        staging = self._root / STAGING
        staging.mkdir(mode=0o700, exist_ok=True)
        return (staging / token_hex(12)).open("xb")

    def discard(self, file: BinaryIO) -> None:
        """Close a file that was staged, and delete it if it was not placed."""
        with suppress(ValueError, OSError):
            file.close()
        Path(file.name).unlink(missing_ok=True)

    def place(self, file: BinaryIO, path: Path, *, if_absent: bool) -> os.stat_result:
        """Move a staged file to *path*: by a link where nothing may be there yet."""
        file.flush()
        if self._durable:
            os.fsync(file.fileno())
        found = os.fstat(file.fileno())
        move = os.link if if_absent else os.replace
        for left in reversed(range(_PLACE_ATTEMPTS)):
            # A delete may take the empty folder away at any moment.
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except (FileNotFoundError, FileExistsError):
                if not left:
                    raise
                continue
            try:
                move(file.name, path)
                break
            except FileNotFoundError:
                if not left:
                    raise
        if self._durable:
            with suppress(FileNotFoundError):  # a delete took the object and its folder since
                _sync(path.parent)
        return found

    def open(self, key: str) -> BinaryIO:
        """Open the file of *key* to read; anything but a file counts as missing."""
        path = self.path(key)
        try:
            # Without O_NONBLOCK a pipe that somebody put here would hang the thread.
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.fdopen(os.open(path, flags), "rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise NotFoundError(self.backend, "object", key) from error
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise NotFoundError(self.backend, "object", key)
        return file

    def get(self, key: str, start: int, end: int | None) -> bytes:
        """Read the content from *start* to before *end*."""
        with self.open(key) as file:
            file.seek(start)
            return file.read() if end is None else file.read(max(0, end - start))

    def head(self, key: str) -> StoredObject:
        """Return what the file system knows of the file of *key*."""
        try:
            found = self.path(key).stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(self.backend, "object", key) from error
        if not stat.S_ISREG(found.st_mode):
            raise NotFoundError(self.backend, "object", key)
        return _described(key, found)

    def delete(self, key: str) -> None:
        """Delete the file of *key*, and the folders that it leaves empty."""
        path, root = self.path(key), self._root.resolve()
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return
        except PermissionError:
            if path.is_dir():  # what macOS says of a folder
                return
            raise
        for folder in path.parents:
            if folder == root:
                return
            try:
                folder.rmdir()
            except OSError:
                return

    def walk(self, prefix: str) -> Iterator[StoredObject]:
        """Yield the objects under *prefix*, folder by folder, in order of their keys."""
        if not self._root.is_dir():
            raise UnavailableError(self.backend, "is gone")
        yield from self._walk(self._root, "", prefix)

    def _walk(self, folder: Path, above: str, prefix: str) -> Iterator[StoredObject]:
        try:
            with os.scandir(folder) as found:
                entries = {above + e.name + "/" * e.is_dir(follow_symlinks=False): e for e in found}
        except (FileNotFoundError, NotADirectoryError):
            return
        for key in sorted(entries):
            if not key.startswith(prefix[: len(key)]) or key == f"{STAGING}/" or not _is_key(key):
                continue
            entry = entries[key]
            if key.endswith("/"):
                yield from self._walk(folder / entry.name, key, prefix)
            elif entry.is_file(follow_symlinks=False) and key.startswith(prefix):
                with suppress(FileNotFoundError):
                    yield _described(key, entry.stat(follow_symlinks=False))


def _described(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(
        key=key,
        size=found.st_size,
        modified=datetime.fromtimestamp(found.st_mtime, UTC),
        etag=f"{found.st_mtime_ns:x}-{found.st_size:x}-{found.st_ino:x}",
    )


def _is_key(path: str) -> bool:
    try:
        check_object_key(path.removesuffix("/"))
    except InvalidRequestError:
        return False
    return True


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
