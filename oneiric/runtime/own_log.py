"""The log of an orchestrator in the background: what it prints, in a file that does not grow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from oneiric.files import own_folder

MOST = 10 << 20
"""Bytes of it, and of the one before."""


class OwnLog:
    """Keep what a process prints in a file, and what came before in one beside it, `.1`.

    Args:
        path: the file; its owner alone may read it.
        most: bytes that it may have.
        descriptors: where the process prints.
    """

    def __init__(
        self, path: Path, *, most: int = MOST, descriptors: Sequence[int] = (1, 2)
    ) -> None:
        self.path = path
        self._most = most
        self._descriptors = descriptors

    def begin(self) -> IO[bytes]:
        """Put aside what there is, and return a new file for a process to print to.

        Raises:
            OSError: it cannot be made.
        """
        own_folder(self.path.parent)
        self._put_aside()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(self.path, flags, 0o600), "wb")

    def printed(self) -> Sequence[int]:
        """Return the descriptors by which this process prints to it."""
        return [each for each in self._descriptors if self._is_here(each)]

    def limit(self) -> None:
        """Begin the file anew where it is full; while that cannot be done it grows on."""
        with suppress(OSError):
            mine = self.printed()
            if mine and self.path.lstat().st_size > self._most:
                with self.begin() as new:
                    for each in mine:
                        os.dup2(new.fileno(), each)

    def _put_aside(self) -> None:
        with suppress(FileNotFoundError):
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))

    def _is_here(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.lstat())
        except OSError:
            return False
