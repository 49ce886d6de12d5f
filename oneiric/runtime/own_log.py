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
        with suppress(FileNotFoundError):
            self.path.replace(self._before)
        return self._opened()

    def printed(self) -> Sequence[int]:
        """Return the descriptors by which this process prints to it, or to the one before."""
        return [*self._to(self.path), *self._to(self._before)]

    def limit(self) -> None:
        """Begin the file anew where it is full; while that cannot be done it grows on.

        What another process put aside, which was begun and refused meanwhile, is gone on from.
        """
        with suppress(OSError):
            mine, aside = self._to(self.path), self._to(self._before)
            is_full = bool(mine) and self.path.lstat().st_size > self._most
            if is_full or aside:
                with self.begin() if is_full else self._opened() as new:
                    for each in (*mine, *aside):
                        os.dup2(new.fileno(), each)

    @property
    def _before(self) -> Path:
        return self.path.with_name(f"{self.path.name}.1")

    def _opened(self) -> IO[bytes]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(self.path, flags, 0o600), "ab")

    def _to(self, path: Path) -> Sequence[int]:
        """Return the descriptors that lead to *path*."""
        try:
            there = path.lstat()
            return [each for each in self._descriptors if os.path.samestat(os.fstat(each), there)]
        except OSError:
            return []
