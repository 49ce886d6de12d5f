"""Addresses of Unix sockets, which are short, for paths that may be long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oneiric.errors import InvalidPathError

LONGEST = 103
"""Bytes that every system takes; Linux takes 107."""

_OPEN_FOLDERS = Path("/proc/self/fd")


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """Give a name of *path* that fits the address of a socket, for as long as the block lasts.

    Raises:
        InvalidPathError: there is none.
        OSError: its folder cannot be opened.
    """
    if _fits(str(path)):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        near = str(_OPEN_FOLDERS / str(folder) / path.name)
        if not (_fits(near) and _OPEN_FOLDERS.is_dir()):
            near = os.path.relpath(path)
        if not _fits(near):
            raise InvalidPathError(str(path), f"it is longer than {LONGEST} bytes, for a socket")
        yield near
    finally:
        os.close(folder)


def _fits(text: str) -> bool:
    return len(os.fsencode(text)) <= LONGEST
