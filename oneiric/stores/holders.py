"""Which of those who claim runs are gone: what a killed process leaves behind is an open lock."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from oneiric.clock import ID
from oneiric.files import own_folder

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MOST_BYTES = 256


class Holders:
    """Keep one locked file for each holder of this process, and look at those of others.

    The system lets go of the lock with the last process that has the file open, so a file that
    can be locked is that of a process that has ended. Whoever has no file, is stopped, or is of
    another machine is never said to be gone. Nothing that is kept depends on it: whoever is said
    to be gone and lives has lost its leases, as after a pause that was too long.

    `keep` and `sweep` are called by one process at a time, in a transaction of the database.

    Args:
        database: beside which the files lie, in a folder that is made with the first of them.
    """

    __slots__ = ("_folder", "_kept")

    def __init__(self, database: Path) -> None:
        self._folder = database.with_name(f"{database.name}-holders")
        self._kept: dict[str, int | None] = {}

    def keep(self, holder: str) -> bool:
        """Lock the file of *holder* unless that was tried before, and tell whether it was now.

        Where there can be none, its leases alone tell others how long to wait.
        """
        if holder in self._kept:
            return False
        self._kept[holder] = self._locked(holder)
        return True

    def is_gone(self, holder: str) -> bool:
        """Tell whether *holder* was a process of this machine that has ended; any thread may ask.

        Nothing is written.
        """
        return holder not in self._kept and self._left_by(holder) == _machine()

    def sweep(self, needed: Callable[[], Collection[str]]) -> None:
        """Remove the files that nobody has locked, but for those of the holders *needed*."""
        with suppress(OSError):
            found = [each.name for each in self._folder.iterdir() if each.name not in self._kept]
            left = {name for name in found if self._left_by(name) is not None}
            for name in left.difference(needed() if left else ()):
                (self._folder / name).unlink()

    def close(self) -> None:
        """Remove the files of this process."""
        for holder, descriptor in self._kept.items():
            if descriptor is not None:
                with suppress(OSError):
                    (self._folder / holder).unlink()
                os.close(descriptor)
        self._kept.clear()

    def _locked(self, holder: str) -> int | None:
        if not re.fullmatch(ID, holder):
            return None
        try:
            own_folder(self._folder)
            flags = _FLAGS | os.O_RDWR | os.O_CREAT
            descriptor = os.open(self._folder / holder, flags, 0o600)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(descriptor, _machine(), 0)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    def _left_by(self, holder: str) -> bytes | None:
        """Return what is in the file of *holder*, or None if there is none or it is locked."""
        if not re.fullmatch(ID, holder):
            return None
        try:
            descriptor = os.open(self._folder / holder, _FLAGS | os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return os.read(descriptor, _MOST_BYTES)
        except OSError:
            return None
        finally:
            os.close(descriptor)


def _machine() -> bytes:
    """Return what tells this machine, since it was started, from others.

    Source: random(4), `boot_id`; its name where the system has no such thing.
    """
    try:
        return _BOOT.read_bytes()
    except OSError:
        return os.uname().nodename.encode()
