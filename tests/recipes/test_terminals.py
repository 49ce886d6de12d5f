"""`oneiric recipe run` on a terminal: progress for who watches, and Ctrl-C as often as it takes."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.commands import environment
from tests.recipes.conftest import Desk

CTRL_C = b"\x03"
LONG = """
    steps: [{name: wait, module: hanging, function: Hang}]
    finally: [{name: tidy, type: shell, run: [sleep, "600"], stdout: none}]
    """
HANGING = '''
import time

from oneiric.recipes import BaseScriptlet


class Hang(BaseScriptlet):
    """End by nothing."""

    def run(self, ctx, params):
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass
'''


@dataclass
class Terminal:
    """A command on a terminal of its own, and what it has shown there."""

    pid: int
    descriptor: int
    shown: str = ""
    status: int = field(default=0, init=False)

    def until(self, text: str) -> None:
        """Read until *text* was shown."""
        while text not in self.shown:
            read = self._read()
            assert read, f"it ended before it showed {text}: {self.shown}"

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.descriptor, keys)

    def end(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> str:
        try:
            read = os.read(self.descriptor, 4096).decode(errors="replace")
        except OSError:  # its last holder has ended
            read = ""
        self.shown += read
        return read


@contextmanager
def on_terminal(path: Path, *options: str) -> Iterator[Terminal]:
    """Run a recipe on a terminal."""
    words = [sys.executable, "-m", "oneiric.cli", "recipe", "run", str(path), *options]
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(path.parent)
        os.execve(words[0], words, environment())
    terminal = Terminal(pid, descriptor)
    try:
        yield terminal
    finally:
        if terminal.pid:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        os.close(descriptor)


def test_who_watches_sees_each_step_begin_and_end(desk: Desk) -> None:
    """Without codes that steer the terminal; the line comes last."""
    path = desk.write(
        "r.yaml", "steps: [{name: one, module: steps, function: Write, args: {key: a.n_v1}}]\n"
    )
    with on_terminal(path) as terminal:
        assert terminal.end() == 0
    *progress, line = terminal.shown.strip().splitlines()
    assert [[word in each for word in ("step-started", "one")] for each in progress[:1]] == [
        [True, True]
    ]
    assert "step-succeeded  one" in progress[-1]
    assert line.startswith('{"status":"ok"')
    assert "\x1b" not in terminal.shown


def test_the_second_ctrl_c_stops_the_final_steps_too(desk: Desk) -> None:
    """The first stops what runs, however it resists, and the final steps begin."""
    desk.write("hanging.py", HANGING)
    with on_terminal(desk.write("r.yaml", LONG)) as terminal:
        terminal.until("step-started  wait")
        terminal.press(CTRL_C)
        terminal.until("step-started  tidy")
        terminal.press(CTRL_C)
        assert terminal.end() == 130
    assert '"tidy":{"status":"cancelled"' in terminal.shown
