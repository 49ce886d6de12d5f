"""One program from its start to its end, and to that of all that belongs to it."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable

from oneiric.adapters.executors.departure import Departure
from oneiric.adapters.executors.family import Family, Member
from oneiric.adapters.executors.output import Output
from oneiric.adapters.executors.pipes import Pipes
from oneiric.adapters.executors.sentry import Sentry
from oneiric.core.logging import get_logger
from oneiric.ports.errors import UnavailableError
from oneiric.ports.executor import BACKEND, CommandResult

LINGER_SECONDS = 0.5
"""How long what a program left in the background may go on talking when itself has ended."""

_log = get_logger("oneiric.executor")
_DEATH_SECONDS = 10.0
_PACE_SECONDS = (0.001, 0.05)
_UNKNOWN = 255
_UNIT = 1 if sys.platform == "darwin" else 1024


class Child:
    """Hold a program while it runs; use it by one task, on one loop.

    It is reaped last, after everything else of it is dead: until then the number of its group
    belongs to nobody else, so no signal reaches a stranger.
    """

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        family: Family,
        sentry: Sentry,
        *,
        outputs: tuple[Output, Output],
        stdin: bytes,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()
        self._news = asyncio.Event()
        self._process = process
        self._family = family
        self._sentry = sentry
        self._outputs = outputs
        self._pipes = Pipes(process, outputs, stdin=stdin, closed=self._news.set, failed=self.stop)
        self._departure = Departure(process.pid, self._left)
        self._reason: BaseException | None = None
        self._peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    async def run(self, *, limit: float, grace: float) -> CommandResult:
        """Wait for the end, or bring it about after *limit* seconds, and tell how it was.

        Asked to end, everything has *grace* seconds to do so, and is killed then. Cancelled, it
        does the same before it raises; cancelled again, it kills at once.
        """
        in_time = False
        try:
            self._sentry.watch(self._process.pid)
            self._pipes.begin()
            self._departure.begin()
            in_time = await self._until(self._is_done, limit)
            if self._departure.at is not None:
                await self._until(lambda: not self._pipes.is_read, LINGER_SECONDS)
        finally:
            await self._end(grace)
        return self._result(timed_out=not in_time)

    def stop(self, reason: BaseException) -> None:
        """End the program; `run` raises *reason*, or an earlier one."""
        self._reason = self._reason or reason
        self._news.set()

    def _is_done(self) -> bool:
        return self._departure.at is not None or self._reason is not None

    def _left(self) -> None:
        if not hasattr(os, "pidfd_open") and not hasattr(os, "waitid"):
            self._family.signal((), signal.SIGKILL)  # its number may soon be somebody else's
        self._news.set()

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, at most *seconds*, and tell whether it is."""
        deadline = self._loop.time() + seconds
        while not is_so():
            if (left := deadline - self._loop.time()) <= 0:
                return False
            await self._wait(left)
        return True

    async def _wait(self, seconds: float) -> None:
        """Wait for news, at most *seconds*."""
        self._news.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    async def _end(self, grace: float) -> None:
        """End everything, however often somebody cancels it, and reap it."""
        cancelled: asyncio.CancelledError | None = None
        is_over = False
        while not is_over:
            try:
                await self._kill(await self._ask(grace))
                is_over = True
            except asyncio.CancelledError as error:
                cancelled, grace = error, 0.0
        if not self._departure.is_reaped:  # whoever cannot be seen
            self._family.signal((), signal.SIGKILL)
        self._pipes.end()
        self._sentry.forget(self._process.pid)
        farewell = self._departure.reap()
        if farewell is not None or self._departure.at is not None:  # else it cannot be killed
            code = os.waitstatus_to_exitcode(farewell[0]) if farewell else _UNKNOWN
            self._process.returncode = code
        if cancelled is not None:
            raise cancelled

    async def _ask(self, grace: float) -> tuple[Member, ...]:
        """Ask everything to end, and return what did not in time."""
        deadline, pace, members = self._loop.time() + grace, _PACE_SECONDS[0], await self._living()
        if members and grace:
            self._family.signal(members, signal.SIGTERM, signal.SIGCONT)
        while members and self._loop.time() < deadline:
            await self._wait(pace)
            pace, members = min(2 * pace, _PACE_SECONDS[1]), await self._living()
        return members

    async def _kill(self, members: tuple[Member, ...]) -> None:
        """Kill everything, again until nothing lives: meanwhile it may have had children."""
        deadline, pace = self._loop.time() + _DEATH_SECONDS, _PACE_SECONDS[0]
        while members:
            self._family.signal(members, signal.SIGKILL)
            if self._loop.time() > deadline:
                pids = [member.pid for member in members]
                _log.error("processes-left", pids=pids)
                return
            await self._wait(pace)
            pace, members = min(2 * pace, _PACE_SECONDS[1]), await self._living()

    async def _living(self) -> tuple[Member, ...]:
        """Return who lives; where nobody can be seen, the program until it has ended."""
        members = await asyncio.to_thread(self._family.living)
        return members or ((Member(self._process.pid),) if self._departure.at is None else ())

    def _result(self, *, timed_out: bool) -> CommandResult:
        if self._reason is not None:
            raise self._reason
        farewell = self._departure.reap()
        if farewell is None:
            raise UnavailableError(BACKEND, "how the program ended is not known")
        code, usage = os.waitstatus_to_exitcode(farewell[0]), farewell[1]
        (stdout, stdout_dropped), (stderr, stderr_dropped) = (each.kept() for each in self._outputs)
        return CommandResult(
            exit_code=code if code >= 0 else None,
            signal=_signal_name(-code) if code < 0 else None,
            timed_out=timed_out,
            duration_ms=((self._departure.at or self._loop.time()) - self._begun) * 1000,
            stdout=stdout,
            stderr=stderr,
            stdout_dropped=stdout_dropped,
            stderr_dropped=stderr_dropped,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_memory_bytes=usage.ru_maxrss * _UNIT if usage.ru_maxrss > self._peak else None,
        )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"
