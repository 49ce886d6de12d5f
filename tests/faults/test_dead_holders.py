"""Kill -9 of whoever holds a run: it is gone on with at once, by exactly one; a pause is no end."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.commands import environment
from tests.acceptance.production import serving
from tests.faults.children import Child
from tests.faults.test_work_kills import FINISHED, counted, kill
from tests.faults.work_folder import LONG_SECONDS, PATIENCE_SECONDS, Folder

WAITS = "waits until nobody holds the run"
LEASE_SECONDS = 10 * PATIENCE_SECONDS  # whoever waited for it would fail the test
RECIPE = """
steps:
  - {name: one, type: shell, run: [sh, -c, "echo one >> log"]}
  - {name: two, type: shell, run: [sh, -c, "echo two >> log; test -e go || sleep 600"]}
"""
SETTINGS = f"[runs]\nlease_seconds = {LEASE_SECONDS}\n"


def begun(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(folder: Path, *words: str) -> tuple[int, str, str]:
    """Run a command, and return its exit code, what it printed and what it told."""
    child = begun(folder, *words)
    try:
        out, err = child.communicate(timeout=PATIENCE_SECONDS)
    finally:
        child.kill()
    return child.returncode, out, err


def test_a_killed_recipe_is_gone_on_with_at_once(folder: Folder) -> None:
    """Nothing is waited for, and only the step that was under way is done again."""
    (folder.path / "oneiric.toml").write_text(SETTINGS)
    (folder.path / "r.yaml").write_text(RECIPE)
    log = folder.path / "log"
    first = begun(folder.path, "recipe", "run", "r.yaml")
    folder.until(lambda: log.exists() and "two" in log.read_text())
    kill(first)
    first.communicate()
    (folder.path / "go").touch()
    (left,) = folder.json("run", "list")["runs"]
    code, out, err = ended(folder.path, "recipe", "run", "r.yaml", "--resume", left["run_id"])

    assert (left["state"], left["held"]) == ("running", False)
    assert (code, json.loads(out)["run_id"]) == (0, left["run_id"]), err
    assert WAITS not in err
    assert log.read_text().split() == ["one", "two", "two"]


def test_a_killed_validation_is_gone_on_with_at_once(folder: Folder) -> None:
    """Nothing is waited for, and its test is not run again."""
    (folder.path / "oneiric.toml").write_text(SETTINGS)
    with serving() as production:
        production.answers["GET", "/slow"] = {}
        (folder.path / ".snipara-orchestrator.json").write_text(
            json.dumps({"prod_url": production.url})
        )
        words = ["slow", "-e", "/slow", "-t", "sh -c 'echo once >> tested'", "-r", "2"]
        first = begun(folder.path, "validation", "run", *words)
        assert production.waits.wait(PATIENCE_SECONDS)
        kill(first)
        first.communicate()
        production.goes_on.set()
        (left,) = folder.json("run", "list")["runs"]
        words = ["validation", "run", "--resume", left["run_id"], "--quiet"]
        code, out, err = ended(folder.path, *words)

    assert (left["state"], left["held"]) == ("running", False)
    assert (code, out) == (0, "slow: DONE, 2 of 2 proofs (2 required), 2 of 2 standard checks\n"), (
        err
    )
    assert WAITS not in err
    assert (folder.path / "tested").read_text() == "once\n"


def test_promise_w8_the_run_of_a_stopped_process_is_left_to_it_until_it_is_killed(
    folder: Folder,
) -> None:
    """SIGSTOP is no end: its lease counts, and whoever waits goes on as soon as it is killed."""
    folder.configure(lease=LEASE_SECONDS)
    context = json.dumps({"seconds": LONG_SECONDS})
    first = folder.start("workflow", "run", "word-report", "--context", context)
    folder.until_paused()
    first.send_signal(signal.SIGSTOP)
    (stopped,) = folder.json("run", "list")["runs"]
    second = folder.start("workflow", "run", "word-report", "--resume-checkpoint", "--json")
    assert second.stderr is not None
    told = second.stderr.readline()
    kill(first)
    out, _ = second.communicate(timeout=PATIENCE_SECONDS)

    assert stopped["held"] is True
    assert f"{WAITS} {stopped['run_id']}" in told
    assert (second.returncode, json.loads(out)["state"]) == (0, "succeeded")
    assert counted(folder.events(stopped["run_id"])) == FINISHED


def test_promise_w8_of_two_who_want_a_dead_holders_run_exactly_one_gets_it(tmp_path: Path) -> None:
    """Each of 20 runs, for which two processes race."""
    path, runs = tmp_path / "oneiric.sqlite", [f"r{number:02}" for number in range(20)]
    dead = Child("tests.faults.claimer", path, LEASE_SECONDS, "create", *runs)
    dead.wait_for("done")
    dead.kill()
    racing = [Child("tests.faults.claimer", path, LEASE_SECONDS, *runs) for _ in range(2)]
    for each in racing:
        each.wait_for("ready")
    (tmp_path / "go").touch()
    for each in racing:
        each.wait_for("done")
    said: Sequence[str] = [line for each in racing for line in each.kill()]

    assert sorted(line for line in said if line.startswith("got")) == [
        f"got {run_id} 2" for run_id in runs
    ]
    assert Counter(line.split()[0] for line in said)["held"] == len(runs)
