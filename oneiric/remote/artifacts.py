"""Artifacts by their digest, each in a folder of its own: no name from afar ever names a file."""

from __future__ import annotations

import math
import os
import re
import secrets
import shutil
from collections.abc import Container
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urljoin

from oneiric.errors import RefusedError
from oneiric.files import confined
from oneiric.remote.disk import digest_of, in_thread
from oneiric.remote.errors import AddressError, TooLongError, WrongDigestError
from oneiric.remote.origin import Credential, Hosts, Origin, local_path

if TYPE_CHECKING:
    from oneiric.remote.fetch import Fetcher, Progress

CONTENT = "content"
MOST_BYTES = 256 << 20
_GONE = ".gone"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Pinned(Protocol):
    """Bytes that a manifest names: where they are, and exactly which."""

    @property
    def uri(self) -> str:
        """Where they are."""
        ...

    @property
    def sha256(self) -> str:
        """Their digest, as 64 lower-case hexadecimal digits."""
        ...

    @property
    def length(self) -> int:
        """How many they are."""
        ...


class ArtifactStore:
    """Keep artifacts under `FOLDER/<sha256>/content`, fetched once and checked at every use.

    Any number of processes may share the folder: each writes beside the place, and the last
    one that moves its file there moves the same bytes.

    Args:
        folder: where they are kept; made when the first one comes.
        most_bytes: no artifact may be longer.
    """

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._most = most_bytes

    def place(self, sha256: str) -> Path:
        """Return where the artifact of this digest is kept, whether it is there or not.

        Raises:
            WrongDigestError: it is no SHA-256 in lower-case hexadecimal digits.
        """
        if not _DIGEST.fullmatch(sha256):
            raise WrongDigestError("the manifest", "a sha256 is 64 lower-case hexadecimal digits")
        return self.folder / sha256 / CONTENT

    async def ensure(
        self,
        artifact: Pinned,
        fetcher: Fetcher,
        hosts: Hosts | None = None,
        *,
        base: str = "",
        folder: Path | None = None,
        credential: Credential | None = None,
        progress: Progress | None = None,
    ) -> Path:
        """Return the path of the artifact, which has just been found or made right.

        What is kept is hashed again; what is damaged is fetched anew.

        Args:
            artifact: which.
            fetcher: fetches what is missing.
            hosts: who may be asked, such as those that the signers may name.
            base: address of the manifest, from which a relative `uri` is seen.
            folder: local files may lie below it only; without it nowhere.
            credential: sent to its own origin, and to no other host.
            progress: told of every piece that is fetched.

        Raises:
            WrongDigestError, WrongLengthError, TooLongError: it is, or would be, something else.
            ArtifactHostError: it lies where nobody who signed may send one.
            AddressError, InvalidPathError: it lies where nothing is fetched from.
            Others: as `Fetcher.get`.
        """
        place = self.place(artifact.sha256)
        if artifact.length > self._most:
            reason = f"the artifact has {artifact.length} bytes, {self._most} are allowed"
            raise TooLongError("the manifest", reason)
        if await in_thread(partial(self._is_right, place, artifact)):
            return place
        uri = _resolved(artifact.uri, base, folder)
        await fetcher.download(
            uri,
            place,
            length=artifact.length,
            sha256=artifact.sha256,
            hosts=hosts,
            credential=credential,
            progress=progress,
        )
        return place

    def prune(self, keep: Container[str], *, before: float) -> int:
        """Delete artifacts that *keep* has not and no sync has needed since *before*; it blocks.

        What was begun as long ago and never ended goes too. What cannot be deleted stays.

        Args:
            keep: digests.
            before: seconds since 1970.

        Returns:
            How many artifacts went.
        """
        gone = 0
        for path in _older(self.folder, before):
            if not _DIGEST.fullmatch(path.name):
                if path.suffix == _GONE:
                    shutil.rmtree(path, ignore_errors=True)
            elif path.name not in keep:
                doomed = self.folder / f".{secrets.token_hex(12)}{_GONE}"
                with suppress(OSError):
                    path.rename(doomed)  # at once: nobody finds a half of it
                    shutil.rmtree(doomed, ignore_errors=True)
                    gone += 1
        for digest in _older(self.folder, math.inf):
            for path in _older(digest, before) if _DIGEST.fullmatch(digest.name) else ():
                if path.name.startswith("."):
                    with suppress(OSError):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return gone

    def _is_right(self, place: Path, artifact: Pinned) -> bool:
        """Tell whether the artifact is there; what is damaged stays until a good one replaces it.

        So no process takes away what another has just put there.
        """
        try:
            is_right = digest_of(place) == (artifact.length, artifact.sha256)
        except FileNotFoundError:
            if place.is_dir() and not place.is_symlink():  # no file can replace a folder
                shutil.rmtree(place, ignore_errors=True)
            return False
        if is_right:
            with suppress(OSError):
                os.utime(place.parent)  # so that it is seen to be needed
        return is_right


def _older(folder: Path, before: float) -> list[Path]:
    """Return what lies in *folder* and was not touched since *before*."""
    try:
        return [each for each in folder.iterdir() if each.lstat().st_mtime < before]
    except OSError:  # it is not there, or somebody else deletes from it
        return []


def _resolved(uri: str, base: str, folder: Path | None) -> str:
    """Return the address of an artifact, absolute, or a local path below *folder*."""
    is_remote_base = base.startswith(("https:", "http:"))
    if is_remote_base and local_path(uri) is not None and not uri.lower().startswith("file:"):
        uri = urljoin(base, uri)
    path = local_path(uri)
    if path is None:
        Origin.of(uri)
        return uri
    if folder is None:
        raise AddressError("file:", "an artifact of this source may not be a local file")
    relative = path
    if path.is_absolute():
        root = folder.resolve()
        if not path.resolve().is_relative_to(root):
            raise RefusedError(f"{path} lies outside {folder}")
        relative = path.resolve().relative_to(root)
    return str(confined(folder, relative.as_posix()))
