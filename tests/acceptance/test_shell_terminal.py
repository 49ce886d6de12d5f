"""`oneiric shell` at a terminal, as a person has it."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.commands import environment

PATIENCE_SECONDS = 60.0
_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|\r")


class Seat:
    """A terminal of 100 columns in which `oneiric shell` runs."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._outer, inner = pty.openpty()
        more = {"COLUMNS": "100", "LINES": "40", "TERM": "xterm", "HOME": str(folder)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "oneiric.cli", "shell", *arguments],
            cwd=folder,
            env=environment({**more, "PROMPT_TOOLKIT_NO_CPR": "1"}),
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self._seen = ""

    def until(self, text: str) -> str:
        """Return what was shown up to *text*, which must come."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in (plain := _STYLE.sub("", self._seen)):
            assert time.monotonic() < deadline, plain
            if select.select([self._outer], [], [], 0.2)[0]:
                self._seen += self._read()
        self._seen = plain.partition(text)[2]
        return plain.partition(text)[0]

    def type(self, text: str) -> None:
        os.write(self._outer, text.encode())

    def ended(self) -> int:
        """Return the exit code; what is still shown is read, or the process would wait."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < deadline, self._seen
            if select.select([self._outer], [], [], 0.1)[0]:
                self._seen += self._read()
        return self.process.returncode

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._outer)

    def _read(self) -> str:
        try:
            return os.read(self._outer, 65536).decode(errors="replace")
        except OSError:
            return ""


@pytest.fixture
def seat(tmp_path: Path) -> Iterator[Seat]:
    found = Seat(tmp_path)
    yield found
    found.close()


def test_a_person_looks_swaps_and_leaves(seat: Seat) -> None:
    """The banner says where they are; Tab completes; what was swapped serves in the next line."""
    banner = seat.until("In [1]:")
    seat.type("%swap adapter:ca\t")
    seat.until("adapter:cache")
    seat.type(" multitier\r")
    swapped = seat.until("In [2]:")
    seat.type("async with use('adapter:cache') as c: print(type(c).__name__, 6 * 7)\r")
    seat.until("Cache 42")
    seat.until("In [3]:")
    seat.type("%explain adapter:nope\r")
    failed = seat.until("In [4]:")
    seat.type("\x04")

    assert "in-process" in banner
    assert "%swap" in banner
    assert "-> multitier" in swapped
    assert "error[no-candidate]" in failed
    assert "Traceback" not in failed
    assert seat.ended() == 0


def test_the_runtime_works_on_while_a_person_thinks(seat: Seat) -> None:
    """Its loop is not that of the prompt: what was begun in one line is done by the next."""
    seat.until("In [1]:")
    seat.type(
        "import asyncio; done = []; loop = asyncio.get_running_loop(); "
        "later = loop.call_later(0.2, done.append, 'yes'); await asyncio.sleep(0)\r"
    )
    seat.until("In [2]:")
    deadline, number = time.monotonic() + PATIENCE_SECONDS, 2
    while True:
        seat.type("print('done:', *done, ':')\r")
        shown = seat.until(f"In [{number + 1}]:")
        number += 1
        if "done: yes :" in shown:
            break
        assert time.monotonic() < deadline
    seat.type("exit\r")

    assert seat.ended() == 0


@pytest.mark.parametrize("busy", [False, True])
def test_promise_c4_sigterm_ends_a_shell_in_order(busy: bool, seat: Seat) -> None:
    """At the prompt, and while something is awaited."""
    seat.until("In [1]:")
    if busy:
        seat.type("import asyncio; print('go' + 'ing', flush=True); await asyncio.sleep(600)\r")
        seat.until("going")
    seat.process.send_signal(signal.SIGTERM)

    assert seat.ended() == 0


def test_ctrl_c_ends_a_line_and_not_the_shell(seat: Seat) -> None:
    """What was awaited is cancelled."""
    seat.until("In [1]:")
    seat.type("import asyncio; print('go' + 'ing', flush=True); await asyncio.sleep(600)\r")
    seat.until("going")
    os.killpg(seat.process.pid, signal.SIGINT)
    seat.until("In [2]:")
    seat.type("\x04")

    assert seat.ended() == 0
