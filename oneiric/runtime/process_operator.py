"""What a person can ask of the orchestrator as a process: begin it, end it, look at it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from oneiric.clock import SystemClock
from oneiric.config import CachePaths
from oneiric.errors import JSONValue, OneiricError, UnavailableError
from oneiric.runtime.health import HealthFile, stale
from oneiric.runtime.lock import FolderLock, OrchestratorRunsError
from oneiric.runtime.own_log import OwnLog
from oneiric.runtime.process import born
from oneiric.runtime.process_answers import ProcessStatus, StartAnswer, StopAnswer
from oneiric.runtime.serving import health_path
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from oneiric.runtime.lock import Holder
    from oneiric.runtime.operator import Operator

_PACE_SECONDS = 0.05
_GRACE_SECONDS = 10.0
_LAST_BYTES = 4_096
_LAST_LINES = 20
_SIGNALLED = 128


class StartFailedError(OneiricError):
    """An orchestrator in the background that ended before it was ready; its last words.

    The exit code is that of the orchestrator, and 1 where it ended by a signal.
    """

    code = "start-failed"

    def __init__(self, status: int, words: Sequence[str], log: Path) -> None:
        how = f"by signal {-status}" if status < 0 else f"with exit code {status}"
        super().__init__(f"the orchestrator ended {how} before it was ready", hint=f"see {log}")
        vars(self).update(exit_code=max(status, 1) if status < _SIGNALLED else 1)
        self.status = status
        self.words = tuple(words)

    def details(self) -> Mapping[str, JSONValue]:
        return {"exit_code": self.status, "last_words": list(self.words)}

    def lines(self) -> Sequence[str]:
        return self.words


class ProcessOperator:
    """Answer for `start`, `stop` and `process-status`.

    Only `start`, and who asks of a folder in which none runs, need a configuration that is right.
    """

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def start(
        self, command: Sequence[str], *, health: Path | None = None, patience: float = 60.0
    ) -> StartAnswer:
        """Run *command* in the background, and return when the orchestrator that it is, is ready.

        Args:
            command: the program and its words.
            health: the file in which it tells its health; None for what is configured.
            patience: seconds that it may take; then it is ended again.

        Raises:
            OrchestratorRunsError: there is one in the folder already.
            StartFailedError: it ended before it was ready.
            UnavailableError: it was not ready in time.
        """
        runtime = self._operator.orchestrator
        if found := self._lock.holder():
            raise OrchestratorRunsError(runtime.paths.root, found.pid)
        log, begun = runtime.paths.log, time.monotonic()
        file = HealthFile(health or health_path(runtime))
        with _log(log) as said:
            child = subprocess.Popen(  # noqa: S603  the program itself
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
            )
        try:
            while time.monotonic() - begun < patience:
                if (status := child.poll()) is not None:
                    raise self._failed(status, log)
                if (told := file.read()) and _is_ready(told, child.pid):
                    addresses = told.get("addresses")
                    spent = (time.monotonic() - begun) * 1000
                    at = addresses if isinstance(addresses, Mapping) else {}
                    return StartAnswer(child.pid, spent, at, str(log))
                time.sleep(_PACE_SECONDS)
        except KeyboardInterrupt:  # whoever is told that nothing came of it has nothing to stop
            _end(child)
            raise
        _end(child)
        words = "; ".join(_last_words(log)[-1:])
        message = f"the orchestrator was not ready after {patience:g} s, and was ended"
        raise UnavailableError(f"{message}: {words}" if words else message, hint=f"see {log}")

    def stop(self, *, patience: float = 60.0) -> StopAnswer:
        """End the orchestrator of the folder, and return when it has ended.

        Only the very process that holds the lock is told, never a later one of its number.

        Raises:
            UnavailableError: it cannot be seen, may not be told, or has not ended in time and
                goes on ending.
        """
        found, begun = self._lock.holder(), time.monotonic()
        if found is None or not _told(found):
            return StopAnswer()
        while found.is_alive:
            if time.monotonic() - begun > patience:
                hint = "it finishes what is under way; call this again to hurry it"
                message = f"process {found.pid} has not ended after {patience:g} s"
                raise UnavailableError(message, hint=hint)
            time.sleep(_PACE_SECONDS)
        return StopAnswer(found.pid, (time.monotonic() - begun) * 1000)

    def status(self) -> ProcessStatus:
        """Return which process runs, and how it last said that it stands.

        Raises:
            UnavailableError: it cannot be told who holds the folder.
        """
        found = self._lock.holder()
        path = Path(found.health) if found else health_path(self._operator.orchestrator)
        told = HealthFile(path).read()
        reason = stale(told, SystemClock().now()) if told else ""
        return ProcessStatus(found, told, reason)

    def _failed(self, status: int, log: Path) -> OneiricError:
        """Return why it ended, which may be that another was begun at the same moment."""
        found = self._lock.holder() if status == OrchestratorRunsError.exit_code else None
        if found is not None:
            return OrchestratorRunsError(self._operator.orchestrator.paths.root, found.pid)
        return StartFailedError(status, _last_words(log), log)

    @property
    def _lock(self) -> FolderLock:
        return FolderLock(CachePaths.under(self._operator.folder or Path.cwd()).lock)


def _is_ready(told: Mapping[str, JSONValue], pid: int) -> bool:
    """Tell whether that very process wrote that it is ready, and no earlier one of its number."""
    is_own = told.get("orchestrator_pid") == pid and told.get("born") == born(pid)
    return is_own and bool(told.get("ready"))


def _told(found: Holder) -> bool:
    """Ask a process to end; tell whether it was still that very process."""
    try:
        if not hasattr(os, "pidfd_open"):
            os.kill(found.pid, signal.SIGTERM)
            return True
        descriptor = os.pidfd_open(found.pid)
        try:  # held, the number is nobody else's
            if not found.is_alive:
                return False
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        finally:
            os.close(descriptor)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise UnavailableError(f"process {found.pid} belongs to somebody else") from error
    return True


def _log(path: Path) -> IO[bytes]:
    """Return the log, begun anew.

    Raises:
        UnavailableError: it cannot be written.
    """
    try:
        return OwnLog(path).begin()
    except OSError as error:
        raise UnavailableError(f"{path}: {error.strerror}") from error


def _last_words(path: Path) -> list[str]:
    """Return the last lines of what was said."""
    try:
        with path.open("rb") as said:
            said.seek(max(0, path.stat().st_size - _LAST_BYTES))
            text = said.read().decode(errors="replace")
    except OSError:
        return []
    return [printable(line) for line in text.splitlines() if line.strip()][-_LAST_LINES:]


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
