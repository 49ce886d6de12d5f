"""`oneiric orchestrate`, and the commands that find it."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneiric.runtime.answer import View
from oneiric.runtime.live import Live
from oneiric.web.control.client import ControlClient
from tests.acceptance.commands import environment, oneiric

PATIENCE_SECONDS = 60


class Orchestrate:
    """A process of `oneiric orchestrate` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "oneiric.cli", "orchestrate", "--no-http"],
            cwd=folder,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self._ready = threading.Event()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()
        assert self._ready.wait(60), self.said

    @property
    def asked(self) -> Live:
        """Who asks it."""
        return Live(ControlClient(self.folder / ".oneiric_cache" / "control.sock"), View)

    def ended(self) -> int:
        """Return its exit code, once it has ended."""
        code = self.process.wait(60)
        self._reading.join(60)
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if "ready" in line:
                self._ready.set()
        self._ready.set()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Orchestrate]:
    """Return one that runs."""
    made = Orchestrate(tmp_path)
    yield made
    if made.process.poll() is None:
        made.process.terminate()
    made.ended()


def told(running: Orchestrate, *words: str) -> Any:
    """Return what a command prints there as JSON."""
    done = oneiric(*words, "--json", folder=running.folder)
    assert (done.code, done.err) == (0, ""), done
    return done.document


def test_promise_c1_commands_find_the_orchestrator_of_their_folder(running: Orchestrate) -> None:
    """It says where it can be asked, is asked, and ends in order when that is asked for."""
    assert any("control.sock" in line for line in running.said), running.said
    assert told(running, "list")["applied"] == "live"
    swapped = told(running, "swap", "adapter:cache", "--provider", "multitier")
    assert (swapped["applied"], swapped["report"]["ok"]) == ("live", True)
    status = {row["ref"]: row for row in told(running, "status", "--domain", "adapter")["status"]}
    cache = status["adapter:cache"]
    assert (cache["provider"], cache["state"]) == ("multitier", "ready")
    assert told(running, "secrets", "rotate", "--all")["applied"] == "live"
    ping = running.asked.ask("ping", {}).document
    assert (ping["pid"], ping["ready"]) == (running.process.pid, True)
    running.asked.ask("stop", {})
    assert running.ended() == 0
    assert told(running, "list")["applied"] == "local"


def test_defect_one_that_runs_is_seen_and_ended_whatever_the_configuration_says(
    running: Orchestrate,
) -> None:
    """A file that went wrong meanwhile keeps nobody from ending it."""
    (running.folder / "oneiric.toml").write_text("[app]\nnam = 'x'\n")

    status = told(running, "process-status")
    assert (status["running"], status["pid"]) == (True, running.process.pid)
    assert told(running, "stop")["pid"] == running.process.pid
    assert running.ended() == 0


def test_defect_health_tells_of_a_change_that_does_not_come_up(running: Orchestrate) -> None:
    """The one before serves on, and whoever changed the file learns that."""
    told(running, "swap", "adapter:storage", "--provider", "local")
    (running.folder / "plain").touch()
    (running.folder / "oneiric.toml").write_text(
        "[adapters.provider_settings.local]\nbase_path = 'plain'\n"
    )
    end = time.monotonic() + PATIENCE_SECONDS
    while (found := oneiric("health", folder=running.folder)).code == 0:
        assert time.monotonic() < end

    assert found.code == 1
    assert "problem: adapter:storage does not follow the configuration: " in found.out
