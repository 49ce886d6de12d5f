"""One orchestrator a folder: who holds that, and who is refused."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oneiric.clock import Clock, rfc3339
from oneiric.documents import canonical, parse
from oneiric.errors import JSONValue, LockedError, OneiricError, UnavailableError
from oneiric.files import own_folder
from oneiric.runtime.process import born, is_alive

_ATTEMPTS, _PACE_SECONDS = 20, 0.05
_LIMIT = 4_096
_NOBODY = (errno.ENOENT, errno.ENOTDIR)
ELSEWHERE = "a process of another machine or container"


class OrchestratorRunsError(LockedError):
    """Another orchestrator runs in the folder, and which process that is."""

    code = "orchestrator-runs"

    def __init__(self, folder: Path, pid: int) -> None:
        who = f"process {pid}" if pid else ELSEWHERE
        message = f"an orchestrator runs already with the state in {folder}: {who}"
        super().__init__(message, hint="oneiric process-status, or oneiric stop")
        self.folder = folder
        self.pid = pid

    def details(self) -> Mapping[str, JSONValue]:
        return {"folder": str(self.folder), "pid": self.pid or None}


class StateGoneError(UnavailableError):
    """The state of an orchestrator that was removed or replaced while it ran."""

    code = "state-gone"

    def __init__(self, folder: Path) -> None:
        message = f"the state in {folder} was removed or replaced: the orchestrator ends"
        hint = "oneiric stop comes before state is removed; oneiric start begins anew"
        super().__init__(message, hint=hint)
        self.folder = folder

    def details(self) -> Mapping[str, JSONValue]:
        return {"folder": str(self.folder)}


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock; `born` tells it from a later one with its number.

    `health` is the file in which it says how it stands.
    """

    pid: int
    born: str
    since: str
    health: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether that very process runs."""
        return is_alive(self.pid, since=self.born)


class FolderLock:
    """Hold the folder of the state for one process; the system lets go of it with the process.

    Args:
        path: the file that is locked, and that names the process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    async def take(self, clock: Clock, *, health: Path) -> None:
        """Take the lock, and say where *health* is told; it waits a second at most.

        Raises:
            OrchestratorRunsError: another process holds it.
            UnavailableError: the file cannot be made or written.
        """
        try:
            own_folder(self.path.parent)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise self._unavailable(error) from error
        try:
            await self._lock(descriptor, clock)
            since = rfc3339(clock.now())
            me = os.getpid()
            told: JSONValue = {"pid": me, "born": born(me), "since": since, "health": str(health)}
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, canonical(told) + b"\n", 0)
        except OSError as error:
            os.close(descriptor)
            raise self._unavailable(error) from error
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of the lock, and name nobody any more."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.ftruncate(descriptor, 0)
            os.close(descriptor)

    @property
    def is_lost(self) -> bool:
        """Whether its file was taken away or replaced since it was taken: others can take it too.

        Where the system does not tell, it is not.
        """
        if self._descriptor < 0:
            return False
        try:
            return not os.path.samestat(os.fstat(self._descriptor), self.path.lstat())
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False

    def holder(self) -> Holder | None:
        """Return the living process that holds the lock, or None; nothing is written.

        Raises:
            UnavailableError: it cannot be told, or is a process that is not seen from here.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in _NOBODY:
                return None
            raise self._unavailable(error) from error
        try:
            for _ in range(_ATTEMPTS):  # who takes it has not said yet who that is
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found = self._named(descriptor)
                    if found is not None and found.is_alive:
                        return found
                    time.sleep(_PACE_SECONDS)
                else:
                    return None
        finally:
            os.close(descriptor)
        hint = "ask it where it runs: only there it can be looked at or ended"
        raise UnavailableError(f"{self.path} is held by {ELSEWHERE}", hint=hint)

    def _unavailable(self, error: OSError) -> UnavailableError:
        reason = (error.strerror or type(error).__name__).lower()
        hint = "an orchestrator keeps its state there, and nothing starts without"
        return UnavailableError(f"{self.path}: {reason}", hint=hint)

    async def _lock(self, descriptor: int, clock: Clock) -> None:
        """Lock; who only looks holds it for a moment too, so one refusal is none yet."""
        for attempt in range(_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found = self._named(descriptor)
                is_known = found is not None and found.is_alive
                if is_known or attempt + 1 == _ATTEMPTS:
                    pid = found.pid if found is not None and is_known else 0
                    raise OrchestratorRunsError(self.path.parent, pid) from None
                await clock.sleep(_PACE_SECONDS)
            else:
                return

    def _named(self, descriptor: int) -> Holder | None:
        """Return the process that the file names, whether it runs or not."""
        try:
            told = parse(os.pread(descriptor, _LIMIT, 0), "json")
        except OneiricError:
            return None
        if not isinstance(told, Mapping):
            return None
        pid, since, health = told.get("pid"), told.get("since"), told.get("health")
        if not isinstance(pid, int) or isinstance(pid, bool) or pid < 1:
            return None
        return Holder(pid, str(told.get("born") or ""), str(since or ""), str(health or ""))
