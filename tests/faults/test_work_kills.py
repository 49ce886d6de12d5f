"""The command line under SIGKILL and SIGTERM: runs that outlive their process."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

PATIENCE_SECONDS = 30.0
CONFIG = """
[runs]
lease_seconds = 1
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
        self.configure(grace=20)

    def configure(self, *, grace: float) -> None:
        (self.path / "oneiric.toml").write_text(CONFIG.format(grace=grace))

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "oneiric.cli", "--demo", *words]
        pipe = subprocess.PIPE
        child = subprocess.Popen(command, cwd=self.path, stdout=pipe, stderr=pipe, text=True)
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

    def messages(self) -> int:
        path = self.path / ".oneiric_cache" / "queue.sqlite"
        with closing(sqlite3.connect(path)) as connection:
            ((count,),) = connection.execute("SELECT count(*) FROM messages")
            return int(count)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder; what was started in it is ended with the test."""
    found = Folder(tmp_path)
    yield found
    for child in found.started:
        if child.poll() is None:
            child.kill()
        child.communicate()


def kill(child: subprocess.Popen[str]) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def counted(events: list[tuple[str, str]]) -> Mapping[str, int]:
    """Return how often each step was begun, and how often its result was recorded."""
    kinds = {"step-started": "begun", "step-succeeded": "done"}
    found: dict[str, int] = {}
    for kind, step in events:
        if kind in kinds:
            name = f"{step} {kinds[kind]}"
            found[name] = found.get(name, 0) + 1
    return found


FINISHED = {
    "count begun": 1, "count done": 1, "pause begun": 2, "pause done": 1,
    "report begun": 1, "report done": 1,
}  # fmt: skip


def test_promise_w2_a_killed_workflow_is_finished_from_the_command_line(folder: Folder) -> None:
    """`--resume-checkpoint` goes on with the run; what was recorded is not done again."""
    first = folder.start("workflow", "run", "word-report", "--context", '{"seconds": 1}')
    folder.until_paused()
    kill(first)
    code, out, err = folder.call(
        "workflow", "run", "--workflow", "word-report", "--workflow-checkpoints",
        "--resume-checkpoint", "--json",
    )  # fmt: skip
    again = folder.call("workflow", "run", "word-report", "--resume-checkpoint", "--json")
    answer, other = json.loads(out), json.loads(again[1])

    assert (code, answer["state"], answer["resumed"]) == (0, "succeeded", True)
    assert "waits until nobody holds the run" in err
    assert counted(folder.events(answer["run_id"])) == FINISHED
    assert (again[0], other["resumed"]) == (0, False)
    assert other["run_id"] != answer["run_id"]
    assert "a new one was begun" in again[2]


def test_promise_w2_a_killed_workers_run_is_finished_by_another(folder: Folder) -> None:
    """The message comes back, or the run is taken up; its recorded steps are not done again."""
    run_id = folder.enqueue(1)
    first = folder.start("worker")
    folder.until_paused(run_id)
    kill(first)
    assert folder.messages() == 1
    second = folder.start("worker")
    folder.until(lambda: ("run-ended", "") in folder.events(run_id))
    folder.until(lambda: folder.messages() == 0)
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=PATIENCE_SECONDS)

    assert second.returncode == 0
    assert counted(folder.events(run_id)) == FINISHED


def test_promise_c4_a_worker_that_is_told_to_stop_finishes_its_work(folder: Folder) -> None:
    """SIGTERM: no more messages are taken, what is under way is done, and it ends with 0."""
    run_id = folder.enqueue(1)
    worker = folder.start("worker", "--concurrency", "1", "--json")
    folder.until_paused(run_id)
    left = folder.enqueue(0)
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=PATIENCE_SECONDS)

    assert (worker.returncode, json.loads(out)["done"]) == (0, 1)
    assert ("run-ended", "") in folder.events(run_id)
    assert (folder.messages(), folder.events(left)) == (1, [])


def test_promise_c4_work_that_outlasts_the_grace_is_given_back(folder: Folder) -> None:
    """SIGINT: the run is let go and the message is there at once, for the next worker."""
    folder.configure(grace=0.2)
    run_id = folder.enqueue(3)
    worker = folder.start("worker", "--json")
    folder.until_paused(run_id)
    worker.send_signal(signal.SIGINT)
    out, _ = worker.communicate(timeout=PATIENCE_SECONDS)
    assert (worker.returncode, json.loads(out)["given_back"]) == (0, 1)
    code, out, _ = folder.call("worker", "--once", "--json")

    assert (code, json.loads(out)["done"]) == (0, 1)
    assert counted(folder.events(run_id)) == FINISHED


def test_promise_w8_two_workers_do_each_message_once(folder: Folder) -> None:
    """Of five messages, each twice in the queue, five runs come, each step recorded once."""
    runs = [folder.enqueue(0) for _ in range(5)]
    path = folder.path / ".oneiric_cache" / "queue.sqlite"
    copy = (
        "INSERT INTO messages (id, queue, body, headers, queued_at, unique_until, visible_at) "
        "SELECT id || '-again', queue, body, headers, queued_at, unique_until, visible_at "
        "FROM messages"
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(copy)
        connection.commit()
    workers = [folder.start("worker") for _ in range(2)]
    for worker in workers:
        assert worker.stderr is not None
        assert "takes messages" in worker.stderr.readline()
    folder.until(lambda: folder.messages() == 0)
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    for worker in workers:
        worker.communicate(timeout=PATIENCE_SECONDS)

    assert [worker.returncode for worker in workers] == [0, 0]
    once = dict.fromkeys(FINISHED, 1)
    assert [counted(folder.events(run_id)) for run_id in runs] == [once] * 5


def test_promise_w2_a_run_that_waits_outlives_its_worker(folder: Folder) -> None:
    """A run that was left is taken up by any worker, also without a message."""
    first = folder.start("workflow", "run", "word-report", "--context", '{"seconds": 1}')
    folder.until_paused()
    kill(first)
    worker = folder.start("worker")
    folder.until(lambda: ("run-ended", "") in folder.events())
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_SECONDS)

    assert worker.returncode == 0
    assert counted(folder.events()) == FINISHED
