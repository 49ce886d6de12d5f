"""An archive that may be hostile: looked at whole before anything of it is unpacked.

What is written here is what its directory promised: no file outside the folder, no link, no
second file in another's place, and no more bytes or files than the limits allow.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from oneiric.errors import UnavailableError
from oneiric.remote.errors import (
    DamagedWheelError,
    WheelLinkError,
    WheelPathError,
    WheelTooLargeError,
    WheelTooManyError,
)

_CHUNK = 1 << 20
_END = b"PK\x05\x06"
_END_SIZE = 22
_LOCATOR = b"PK\x06\x07"
_LOCATOR_SIZE = 20
_BYTES_PER_ENTRY = 1024
_ATTEMPTS = 3
_ENCRYPTED = 0x1
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelLimits:
    """How much a wheel may hold.

    Args:
        files: entries, folders included.
        total_bytes: all files unpacked.
        file_bytes: one file unpacked.
        ratio: unpacked for each packed byte, in files above a megabyte.
        depth: folders within each other.
        name: characters of a path.
    """

    files: int = 5_000
    total_bytes: int = 256 << 20
    file_bytes: int = 64 << 20
    ratio: int = 100
    depth: int = 32
    name: int = 240


class Archive:
    """The files of a zip archive, once all of them have passed.

    Use `Archive.opened`, which checks and closes; all methods block.
    """

    def __init__(self, opened: zipfile.ZipFile, wheel: str) -> None:
        self._zip = opened
        self._wheel = wheel
        self._infos = {each.filename: each for each in opened.infolist() if not each.is_dir()}

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *, wheel: str, limits: WheelLimits) -> Iterator[Self]:
        """Open the archive at *path*, called *wheel* in errors.

        Raises:
            DamagedWheelError: it is no archive that can be read.
            WheelTooManyError, WheelTooLargeError: it exceeds the *limits*.
            WheelPathError, WheelLinkError: an entry is not a file in a place of its own.
        """
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _END_SIZE - _LOCATOR_SIZE))
                _check_end(file.read(), wheel, limits)
                with zipfile.ZipFile(file) as archive:
                    _check(archive.infolist(), size, wheel, limits)
                    yield cls(archive, wheel)
        except OSError as error:
            if error.errno == errno.EINVAL:  # a place in the file that cannot be
                raise DamagedWheelError(wheel, "its directory points nowhere") from error
            raise UnavailableError(f"{path}: {(error.strerror or 'unreadable').lower()}") from error
        except _UNREADABLE as error:
            raise DamagedWheelError(wheel, f"it cannot be read ({error})") from error

    @property
    def names(self) -> tuple[str, ...]:
        """The paths of all files, in the order of the archive."""
        return tuple(self._infos)

    def read(self, name: str, *, limit: int) -> bytes:
        """Return the content of a file of at most *limit* bytes.

        Raises:
            DamagedWheelError: there is none, or it cannot be read.
            WheelTooLargeError: it is longer.
        """
        info = self._infos.get(name)
        if info is None:
            raise DamagedWheelError(self._wheel, f"it has no {name}")
        if info.file_size > limit:
            raise WheelTooLargeError(self._wheel, f"{name} is longer than {limit} bytes")
        return b"".join(self._chunks(info))

    def unpack(self, folder: Path) -> None:
        """Have exactly these files below *folder*, which is there whole or not at all.

        What lies there and differs is replaced; another process may do the same meanwhile.

        Raises:
            UnavailableError: the disk is full, or fails.
            DamagedWheelError: a file cannot be read.
        """
        for _ in range(_ATTEMPTS):
            if self.is_unpacked(folder) or self._is_put(folder):
                return
        raise UnavailableError(f"{folder}: others change it all the time")

    def _is_put(self, folder: Path) -> bool:
        """Write all files beside *folder*, and move them there unless somebody was quicker."""
        made = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder.parent))
        try:
            new = made / "new"
            for name, info in self._infos.items():
                place = new / name
                place.parent.mkdir(parents=True, exist_ok=True)
                with place.open("xb") as file:
                    for chunk in self._chunks(info):
                        file.write(chunk)
                place.chmod(0o444)
            try:
                new.rename(folder)
            except OSError:
                if not folder.exists():
                    raise
                if not self.is_unpacked(folder):  # never move away what others may be reading
                    with suppress(OSError):
                        folder.rename(made / "old")
                return False
            return True
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def is_unpacked(self, folder: Path) -> bool:
        """Tell whether exactly these files, with this content, lie below *folder*."""
        try:
            return self._is_whole(folder)
        except FileNotFoundError:  # somebody else moved it away meanwhile
            return False

    def _is_whole(self, folder: Path) -> bool:
        found = set()
        for path in folder.rglob("*"):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                found.add(path.relative_to(folder).as_posix())
            elif not stat.S_ISDIR(mode):
                return False
        if not found or found != self._infos.keys():
            return False
        return all(self._is_same(folder / name, info) for name, info in self._infos.items())

    def _is_same(self, path: Path, info: zipfile.ZipInfo) -> bool:
        if path.stat().st_size != info.file_size:
            return False
        with path.open("rb") as file:
            return all(file.read(len(chunk)) == chunk for chunk in self._chunks(info))

    def _chunks(self, info: zipfile.ZipInfo) -> Iterator[bytes]:
        with self._zip.open(info) as file:
            while chunk := file.read(_CHUNK):
                yield chunk


def _check_end(tail: bytes, wheel: str, limits: WheelLimits) -> None:
    """Pass if the directory is no larger than the limits allow, before it is read.

    Neither a comment nor the 64-bit form is taken; no wheel within the limits needs them.
    """
    end = tail[-_END_SIZE:]
    if len(end) < _END_SIZE or end[:4] != _END or end[-2:] != b"\0\0":
        raise DamagedWheelError(wheel, "it is no zip archive, or something follows its end")
    count, size = struct.unpack("<HL", end[10:16])
    is_large = tail[:-_END_SIZE][-_LOCATOR_SIZE:][:4] == _LOCATOR
    if is_large or count > limits.files or size > limits.files * _BYTES_PER_ENTRY:
        raise WheelTooManyError(wheel, f"it has more than {limits.files} files")


def _check(infos: list[zipfile.ZipInfo], size: int, wheel: str, limits: WheelLimits) -> None:
    if len(infos) > limits.files:
        raise WheelTooManyError(wheel, f"it has {len(infos)} files, {limits.files} are allowed")
    places: dict[str, str] = {}
    folders: set[str] = set()
    for info in infos:
        _check_path(info, wheel, limits)
        _check_kind(info, wheel)
        _check_size(info, wheel, limits)
        if info.is_dir():
            continue
        place = _folded(info.filename)
        if place in places:
            raise WheelPathError(wheel, f"{info.filename} and {places[place]} have one place")
        places[place] = info.filename
        folders.update(_folded(str(each)) for each in PurePosixPath(info.filename).parents)
    if both := sorted(folders & places.keys()):
        raise WheelPathError(wheel, f"{places[both[0]]} is a file and a folder")
    total = sum(info.file_size for info in infos)
    if total > limits.total_bytes:
        reason = f"it has {total} bytes when unpacked, {limits.total_bytes} are allowed"
        raise WheelTooLargeError(wheel, reason)
    if sum(info.compress_size for info in infos) > size:
        raise WheelTooLargeError(wheel, "its files overlap each other")


def _check_path(info: zipfile.ZipInfo, wheel: str, limits: WheelLimits) -> None:
    name = info.orig_filename
    parts = name.removesuffix("/").split("/")
    told = ascii(name)[1:81]
    strange = any(char in "\\:" or not char.isprintable() for char in name)
    if strange or any(part in ("", ".", "..") for part in parts):
        raise WheelPathError(wheel, f"{told} does not lie in its folder")
    if len(name) > limits.name or len(parts) > limits.depth:
        raise WheelPathError(wheel, f"{told} is too long or too deep")


def _check_kind(info: zipfile.ZipInfo, wheel: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise WheelLinkError(wheel, f"{info.filename} is a link or a device")
    if (kind == stat.S_IFDIR) != info.is_dir() and kind:
        raise WheelLinkError(wheel, f"{info.filename} is not what its name says")
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
        raise DamagedWheelError(wheel, f"{info.filename} is encrypted or packed in a strange way")


def _check_size(info: zipfile.ZipInfo, wheel: str, limits: WheelLimits) -> None:
    if info.file_size > limits.file_bytes:
        reason = f"{info.filename} has {info.file_size} bytes, {limits.file_bytes} are allowed"
        raise WheelTooLargeError(wheel, reason)
    most = limits.ratio * max(info.compress_size, 1)
    if info.file_size > max(_CHUNK, most):
        raise WheelTooLargeError(wheel, f"{info.filename} is packed more than {limits.ratio}-fold")


def _folded(name: str) -> str:
    """Return the name under which a file system without upper and lower case would keep it."""
    return unicodedata.normalize("NFC", name).casefold()
