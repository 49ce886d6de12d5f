"""`oneiric recipe run --watch`: it is run again when what it is made of changes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import environment
from tests.recipes.commands import recipe
from tests.recipes.conftest import Desk

TEXT = """
    version: 2
    inputs: {src: {type: path, default: numbers.txt}}
    steps:
      - {name: one, module: mine, function: Mine, args: {src: "${{ inputs.src }}"}}
      - {name: two, type: shell, run: [touch, made.txt], stdout: none, depends_on: [one]}
    """
MINE = """
    import json

    from more import WHAT
    from oneiric.recipes import BaseScriptlet


    class Mine(BaseScriptlet):
        def run(self, ctx, params):
            with open(params["src"]) as file:
                ctx.set("mine.text_v1", WHAT + file.read(), who="mine")
            print(json.dumps({"status": "ok", "outputs": []}))
            return 0
    """


class Watching:
    """A command that watches, and what it prints."""

    def __init__(self, process: subprocess.Popen[str], out: Path) -> None:
        self.process = process
        self.out = out

    def line(self) -> Mapping[str, Any]:
        """Return the next line, once there is one and the command waits for a change."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        found: Mapping[str, Any] = json.loads(self.process.stdout.readline())
        for said in self.process.stderr:
            if said.startswith("waiting for a change of"):
                return found
        raise AssertionError("it does not wait")

    def text(self) -> str:
        """Return what the last run has written."""
        return str(json.loads(self.out.read_text()).get("mine.text_v1"))


@contextmanager
def watching(path: Path) -> Iterator[Watching]:
    out = path.parent / "out.json"
    words = [sys.executable, "-m", "oneiric.cli", "recipe", "run", str(path), "--watch"]
    with subprocess.Popen(
        [*words, "--context-out", str(out)],
        cwd=path.parent,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Watching(process, out)
        finally:
            process.kill()


@pytest.fixture
def path(desk: Desk) -> Path:
    """A recipe of several files."""
    desk.write("numbers.txt", "1")
    desk.write("more.py", "WHAT = 'a'\n")
    desk.write("mine.py", MINE)
    return desk.write("r.yaml", TEXT)


def test_a_change_of_anything_that_it_is_made_of_runs_it_again(desk: Desk, path: Path) -> None:
    """The recipe, what its scriptlets import, files of inputs; with the new code each time."""
    with watching(path) as command:
        assert (command.line()["status"], command.text()) == ("ok", "a1")
        desk.write("more.py", "WHAT = 'other'\n")
        assert (command.line()["status"], command.text()) == ("ok", "other1")
        desk.write("numbers.txt", "2")
        assert (command.line()["status"], command.text()) == ("ok", "other2")
        desk.write("r.yaml", TEXT.replace("one, module", "first, module"))
        assert command.line()["code"] == "invalid-recipe"
        desk.write("r.yaml", TEXT)
        assert command.line()["status"] == "ok"
        command.process.send_signal(signal.SIGINT)
        assert command.process.wait(60) == 0


def test_what_it_writes_itself_is_no_change(desk: Desk, path: Path) -> None:
    """Else it would never come to rest."""
    with watching(path) as command:
        command.line()
        desk.write("made.txt", "new")
        os.utime(path)
        desk.write("numbers.txt", "3")
        command.line()
        assert command.text() == "a3"
        command.process.send_signal(signal.SIGTERM)
        assert command.process.wait(60) == 0


def test_a_run_that_is_gone_on_with_is_not_watched(path: Path) -> None:
    """There is only one of it."""
    done = recipe("run", path, "--watch", "--resume", "x", folder=path.parent)
    assert (done.code, "--watch begins new runs" in done.err) == (2, True)
