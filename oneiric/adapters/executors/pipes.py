"""The pipes to and from a program, served by the loop as they become ready."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from functools import partial
from typing import IO

from oneiric.adapters.executors.output import Output
from oneiric.core.guard import attempt

_CHUNK = 64 * 1024
_LAST_READS = 16  # what a pipe can hold is a megabyte at most


class Pipes:
    """Hand a program what it reads, and take what it says; *failed* hears of a bad listener."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        outputs: tuple[Output, Output],
        *,
        stdin: bytes,
        closed: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        files = zip((process.stdout, process.stderr), outputs, strict=True)
        self._reading = [(file, output) for file, output in files if file is not None]
        self._writing = process.stdin
        self._input = memoryview(stdin)
        self._closed = closed
        self._failed = failed

    @property
    def is_read(self) -> bool:
        """Whether somebody may still say something."""
        return bool(self._reading)

    def begin(self) -> None:
        """Read and write from now on."""
        for file, output in self._reading:
            os.set_blocking(file.fileno(), False)
            self._loop.add_reader(file.fileno(), self._read, file, output)
        if self._writing is not None:
            os.set_blocking(self._writing.fileno(), False)
            self._loop.add_writer(self._writing.fileno(), self._write, self._writing)

    def end(self) -> None:
        """Take what is there already, and close everything, whoever holds the other ends."""
        for file, output in tuple(self._reading):
            for _ in range(_LAST_READS):
                if not self._read(file, output):
                    break
            self._end_reading(file, output)
        if self._writing is not None:
            self._end_writing(self._writing)

    def _read(self, file: IO[bytes], output: Output) -> bool:
        if (file, output) not in self._reading:
            return False
        try:
            data = os.read(file.fileno(), _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._listen(partial(output.feed, data))
        else:
            self._end_reading(file, output)
        return bool(data)

    def _end_reading(self, file: IO[bytes], output: Output) -> None:
        if (file, output) in self._reading:
            self._reading.remove((file, output))
            self._loop.remove_reader(file.fileno())
            file.close()
            self._listen(output.end, output)
            self._closed()

    def _listen(self, take: Callable[[], None], *more: Output) -> None:
        if (error := attempt(take).error) is not None:
            for output in (*more, *(each for _, each in self._reading)):
                output.mute()
            self._failed(error)

    def _write(self, file: IO[bytes]) -> None:
        try:
            self._input = self._input[os.write(file.fileno(), self._input[:_CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:  # nobody reads it any more
            self._input = self._input[:0]
        if not self._input:
            self._end_writing(file)

    def _end_writing(self, file: IO[bytes]) -> None:
        self._writing = None
        self._loop.remove_writer(file.fileno())
        file.close()
