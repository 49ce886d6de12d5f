"""The command line under SIGKILL and SIGTERM: runs that outlive their process."""

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing

import pytest

from tests.distributions import install
from tests.faults.work_folder import LONG_SECONDS, PATIENCE_SECONDS, Folder

SLOW = """
import time
from pathlib import Path
from oneiric.core.plugin import Plugin

Path("loading").touch()
while not Path("go").exists():
    time.sleep(0.01)
PLUGIN = Plugin([])
"""


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
    """`--resume-checkpoint` goes on at once; what was recorded is not done again."""
    folder.configure(lease=600)
    context = json.dumps({"seconds": LONG_SECONDS})
    first = folder.start("workflow", "run", "word-report", "--context", context)
    folder.until_paused()
    kill(first)
    second = folder.start(
        "workflow", "run", "--workflow", "word-report", "--workflow-checkpoints",
        "--resume-checkpoint", "--json",
    )  # fmt: skip
    out, err = second.communicate(timeout=PATIENCE_SECONDS)
    again = folder.call("workflow", "run", "word-report", "--resume-checkpoint", "--json")
    answer, other = json.loads(out), json.loads(again[1])

    assert (second.returncode, answer["state"], answer["resumed"]) == (0, "succeeded", True)
    assert "waits until nobody holds" not in err
    assert counted(folder.events(answer["run_id"])) == FINISHED
    assert (again[0], other["resumed"]) == (0, False)
    assert other["run_id"] != answer["run_id"]
    assert "a new one was begun" in again[2]


def test_promise_w2_a_killed_workers_run_is_finished_by_another(folder: Folder) -> None:
    """The message comes back, or the run is taken up; its recorded steps are not done again."""
    run_id = folder.enqueue(LONG_SECONDS)
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
    run_id, left = folder.enqueue(LONG_SECONDS), folder.enqueue(0)
    worker = folder.start("worker", "--concurrency", "1", "--json")
    folder.until_paused(run_id)
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=PATIENCE_SECONDS)

    assert (worker.returncode, json.loads(out)["done"]) == (0, 1)
    assert ("run-ended", "") in folder.events(run_id)
    assert (folder.messages(), folder.events(left)) == (1, [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_promise_c4_a_signal_before_the_worker_is_ready_is_heeded(
    folder: Folder, number: signal.Signals
) -> None:
    """It ends with 0 and has taken nothing, however far it was: here a plugin still loads."""
    folder.enqueue(0)
    slow = install(
        folder.path / "site", "slow", entry_points={"oneiric.adapters": "slow:PLUGIN"}, module=SLOW
    )
    worker = folder.start("worker", "--json", path=slow)
    folder.until((folder.path / "loading").exists)
    worker.send_signal(number)
    (folder.path / "go").touch()
    out, err = worker.communicate(timeout=PATIENCE_SECONDS)

    assert worker.returncode == 0, err
    assert (json.loads(out)["done"], "takes messages" in err) == (0, False)
    assert folder.messages() == 1


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
    """A run that was left is taken up at once by any worker, also without a message."""
    folder.configure(lease=600)
    context = json.dumps({"seconds": LONG_SECONDS})
    first = folder.start("workflow", "run", "word-report", "--context", context)
    folder.until_paused()
    kill(first)
    worker = folder.start("worker")
    folder.until(lambda: ("run-ended", "") in folder.events())
    worker.send_signal(signal.SIGTERM)
    worker.communicate(timeout=PATIENCE_SECONDS)

    assert worker.returncode == 0
    assert counted(folder.events()) == FINISHED
