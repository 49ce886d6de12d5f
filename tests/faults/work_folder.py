"""A working folder in which the command line works, is paused, told to stop, and killed."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.acceptance.commands import environment

PATIENCE_SECONDS = 60.0
LONG_SECONDS = 3  # to be met under way, on a busy machine too
CONFIG = """
[runs]
lease_seconds = {lease}
[worker]
back_seconds = 0.2
beat_seconds = 0.3
grace_seconds = {grace}
[adapters.provider_settings."queue@sqlite"]
visibility_timeout = 1
poll_interval = 0.05
"""


class Folder:
    """A working directory in which `oneiric --demo` is called and started."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[subprocess.Popen[str]] = []
        self.configure()

    def configure(self, *, grace: float = 20, lease: float = 1) -> None:
        (self.path / "oneiric.toml").write_text(CONFIG.format(grace=grace, lease=lease))

    def start(self, *words: str, path: Path | None = None) -> subprocess.Popen[str]:
        """Start a command, with what is installed in *path* too."""
        command = [sys.executable, "-m", "oneiric.cli", "--demo", *words]
        pipe, variables = subprocess.PIPE, environment({"PYTHONPATH": str(path or "")})
        child = subprocess.Popen(
            command, cwd=self.path, env=variables, stdout=pipe, stderr=pipe, text=True
        )
        self.started.append(child)
        return child

    def call(self, *words: str) -> tuple[int, str, str]:
        child = self.start(*words)
        out, err = child.communicate(timeout=PATIENCE_SECONDS)
        return child.returncode, out, err

    def json(self, *words: str) -> Any:
        return json.loads(self.call(*words, "--json")[1])

    def enqueue(self, seconds: float) -> str:
        context = json.dumps({"text": "a b", "seconds": seconds})
        run_id: str = self.json("workflow", "enqueue", "word-report", "--context", context)[
            "run_id"
        ]
        return run_id

    def events(self, run_id: str = "") -> list[tuple[str, str]]:
        """Return kind and step of every event so far, of one run or of all."""
        path = self.path / ".oneiric_cache" / "oneiric.sqlite"
        if not path.exists():
            return []
        query = "SELECT kind, step FROM events WHERE ? IN ('', run_id) ORDER BY run_id, seq"
        with closing(sqlite3.connect(path)) as connection:
            try:
                return list(connection.execute(query, (run_id,)))
            except sqlite3.OperationalError:  # it is being made
                return []

    def until(self, happens: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not happens():
            assert time.monotonic() < deadline, self.events()
            time.sleep(0.02)

    def until_paused(self, run_id: str = "") -> None:
        """Wait until the step in the middle of the workflow is under way."""
        self.until(lambda: ("step-started", "pause") in self.events(run_id))

    def working(self, *words: str) -> subprocess.Popen[str]:
        """Start a worker, and return it when it takes messages."""
        worker = self.start("worker", *words, "--json")
        assert worker.stderr is not None
        assert "takes messages" in worker.stderr.readline()
        return worker

    def stopped(self, worker: subprocess.Popen[str]) -> Any:
        """Tell a worker to stop, and return what it says it did; it ends with 0."""
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=PATIENCE_SECONDS)
        assert worker.returncode == 0, err
        return json.loads(out)

    def deliveries(self) -> list[int]:
        """Return how often each message that is there was delivered, the oldest first."""
        path = self.path / ".oneiric_cache" / "queue.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            query = "SELECT deliveries FROM messages ORDER BY place"
            return [count for (count,) in connection.execute(query)]

    def messages(self) -> int:
        path = self.path / ".oneiric_cache" / "queue.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            ((count,),) = connection.execute("SELECT count(*) FROM messages")
            return int(count)
