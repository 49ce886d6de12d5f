"""Real processes that are killed, stopped and continued, and what they said until then."""

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.architecture.source import ROOT


class Child:
    """A running process and the lines it wrote; the last may be cut short and is left out."""

    def __init__(self, module: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._text = bytearray()
        self._said = threading.Condition()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def lines(self) -> Sequence[str]:
        """Return the lines written so far."""
        with self._said:
            return self._text[: self._text.rfind(b"\n") + 1].decode().splitlines()

    def wait_for(self, start: str, count: int = 1, *, seconds: float = 30) -> None:
        """Wait until so many lines begin with *start*."""

        def is_there() -> bool:
            lines = self._text[: self._text.rfind(b"\n") + 1].decode().splitlines()
            return sum(line.startswith(start) for line in lines) >= count

        with self._said:
            assert self._said.wait_for(is_there, seconds), self.process.stderr

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> Sequence[str]:
        """Kill it at once, and return what it had written."""
        self.process.kill()
        self.process.wait()
        self._reading.join()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        assert not errors, errors.decode()
        return self.lines()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while chunk := self.process.stdout.read1():  # type: ignore[attr-defined]
            with self._said:
                self._text += chunk
                self._said.notify_all()


def appender(path: Path, durability: str, runs: int, pause: float = 0.0) -> Child:
    """Start a process that appends to so many runs, with pauses in seconds."""
    return Child("tests.faults.appender", path, durability, runs, pause)
