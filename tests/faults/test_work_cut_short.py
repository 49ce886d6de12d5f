"""A workflow in the foreground that is cut short, or that waits: what is let go of and said."""

import signal
import sqlite3
from contextlib import closing

import pytest

from tests.faults.work_folder import PATIENCE_SECONDS, Folder


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_promise_c3_a_run_that_is_cut_short_can_be_taken_up_at_once(
    folder: Folder, number: signal.Signals, code: int
) -> None:
    """Its claim is let go of, and the command says which run was left and what goes on with it."""
    child = folder.start("workflow", "run", "word-report", "--context", '{"seconds": 2}')
    folder.until_paused()
    child.send_signal(number)
    _, err = child.communicate(timeout=PATIENCE_SECONDS)
    (listed,) = folder.json("run", "list")["runs"]
    resumed = folder.call("workflow", "run", "word-report", "--resume-checkpoint")

    assert child.returncode == code
    assert f"the run {listed['run_id']} was left; --resume-checkpoint goes on" in err
    assert listed["held"] is False
    assert resumed[0] == 0
    assert "waits until nobody holds" not in resumed[2]


def test_a_run_that_another_finishes_meanwhile_is_shown(folder: Folder) -> None:
    """Who waits to go on with a run gets its outcome, when nothing is left to be done."""
    folder.configure(lease=PATIENCE_SECONDS)  # whoever waits has time for a slow machine
    first = folder.start("workflow", "run", "word-report", "--context", '{"seconds": 2.5}')
    folder.until_paused()
    second = folder.start("workflow", "run", "word-report", "--resume-checkpoint", "--json")
    out, err = second.communicate(timeout=PATIENCE_SECONDS)

    assert first.wait(PATIENCE_SECONDS) == 0
    assert (second.returncode, "waits until nobody holds the run" in err) == (0, True)
    assert '"state": "succeeded"' in out


def test_promise_a1_a_run_that_waits_for_a_paused_task_says_so(folder: Folder) -> None:
    """Once, with who paused it and why; it goes on when the task is resumed."""
    folder.call("pause", "task:demo-say", "--note", "new printer", "--actor", "ada")
    child = folder.start("workflow", "run", "word-report")
    assert child.stderr is not None
    told = child.stderr.readline()
    while "step-waits" not in told:
        told = child.stderr.readline()
    folder.call("resume", "task:demo-say")
    _, err = child.communicate(timeout=PATIENCE_SECONDS)

    assert "task:demo-say is paused by ada: new printer" in told
    assert (child.returncode, err.count("step-waits")) == (0, 0)


def test_promise_c3_a_queue_that_cannot_be_read_is_unavailable(folder: Folder) -> None:
    """The worker that empties it ends with 5 and one line, not with a bug."""
    folder.enqueue(0)
    with closing(sqlite3.connect(folder.path / ".oneiric_cache" / "queue.sqlite")) as other:
        other.execute("BEGIN EXCLUSIVE")
        code, out, err = folder.call("worker", "--once")

    assert (code, out) == (5, "")
    assert "error[unavailable]" in err
