"""Notice that a process has ended, and only later take its number from it."""

import asyncio
import os
import resource
from collections.abc import Callable
from contextlib import suppress

_PACE_SECONDS = (0.001, 0.05)

Farewell = tuple[int, resource.struct_rusage]


class Departure:
    """Wait for the end of a child; by its descriptor where the system has such, else by looking.

    The number of a process that has ended stays its own until `reap`. Where neither descriptors
    nor `waitid` exist, noticing reaps it at once, and *noticed* is called before the loop goes on.
    """

    def __init__(self, pid: int, noticed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._pid = pid
        self._tell = noticed
        self._descriptor = -1
        self._timer: asyncio.TimerHandle | None = None
        self._farewell: Farewell | None = None
        self.at: float | None = None

    @property
    def is_reaped(self) -> bool:
        """Whether the number is no longer its own."""
        return self._farewell is not None

    def begin(self) -> None:
        """Look out from now on."""
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):  # an old system, or no descriptor is left
                self._descriptor = os.pidfd_open(self._pid)
                self._loop.add_reader(self._descriptor, self._notice)
                return
        self._look(_PACE_SECONDS[0])

    def reap(self) -> Farewell | None:
        """Look out no more, and return the exit status and what was used.

        None: it has not ended, or somebody else has taken note of it.
        """
        self._end()
        if self._farewell is None:
            with suppress(ChildProcessError):
                pid, status, usage = os.wait4(self._pid, os.WNOHANG)
                self._farewell = (status, usage) if pid else None
        return self._farewell

    def _look(self, pace: float) -> None:
        if self._is_over():
            self._notice()
        else:
            pause = min(2 * pace, _PACE_SECONDS[1])
            self._timer = self._loop.call_later(pace, self._look, pause)

    def _is_over(self) -> bool:
        try:
            if hasattr(os, "waitid"):
                flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
                return os.waitid(os.P_PID, self._pid, flags) is not None
            pid, status, usage = os.wait4(self._pid, os.WNOHANG)
        except ChildProcessError:
            return True
        self._farewell = (status, usage) if pid else None
        return bool(pid)

    def _notice(self) -> None:
        self._end()
        self.at = self._loop.time()
        self._tell()

    def _end(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._loop.remove_reader(descriptor)
            os.close(descriptor)
        if self._timer is not None:
            self._timer.cancel()
