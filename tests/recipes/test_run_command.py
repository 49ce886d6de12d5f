"""`oneiric recipe run`: one line on stdout, whatever steps print; exit codes; interruption."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.acceptance.commands import environment
from tests.recipes.commands import line_of, recipe
from tests.recipes.conftest import Desk

LOUD = '''
import json, os, subprocess, sys
from oneiric.recipes import BaseScriptlet

print("printed on import")


class Loud(BaseScriptlet):
    """Print in every way there is."""

    def run(self, ctx, params):
        os.write(1, b"written to descriptor 1\\n")
        subprocess.run([sys.executable, "-c", "print('said by a child')"], check=True)
        sys.stdout.flush()
        print("a stray line")
        ctx.set("loud.done_v1", True, who="loud")
        print(json.dumps({"status": "ok", "outputs": ["loud.done_v1"]}))
        return 0
'''
WAITING = '''
import json, pathlib, time
from oneiric.recipes import BaseScriptlet


class Wait(BaseScriptlet):
    """Say that it began, and end by no itself."""

    def run(self, ctx, params):
        pathlib.Path(params["file"]).touch()
        while True:
            time.sleep(0.05)


class Touch(BaseScriptlet):
    def run(self, ctx, params):
        pathlib.Path(params["file"]).touch()
        print(json.dumps({"status": "ok", "outputs": []}))
        return 0
'''
FAILING = """
    steps:
      - {idx: 1, name: first, module: steps, function: Write, args: {key: a.n_v1, value: 1}}
      - {idx: 2, name: fail, module: steps, function: Fail}
      - {idx: 3, name: later, module: steps, function: Write, args: {key: b.n_v1}}
    """


def test_defect_recipes_5_stdout_is_one_line_whatever_steps_print(desk: Desk) -> None:
    """Prints, writes to the descriptor and children of a step go to stderr."""
    desk.write("loud.py", LOUD)
    path = desk.write("r.yaml", "steps: [{name: loud, module: loud, function: Loud}]\n")

    done = recipe("run", path, folder=desk.folder)

    found = line_of(done)
    assert (done.code, found["status"], found["ctx_keys"]) == (0, "ok", ["loud.done_v1"])
    assert list(found)[:2] == ["status", "ctx_keys"]
    for text in ("written to descriptor 1", "said by a child", "loud: a stray line"):
        assert text in done.err


def test_defect_recipes_2_a_failing_step_ends_with_its_envelope(desk: Desk) -> None:
    """The line says why, with which code and which step; nothing is merged, nothing goes on."""
    path = desk.write("r.yaml", FAILING)

    done = recipe("run", path, folder=desk.folder)

    found = line_of(done)
    assert done.code == 1
    assert {key: found[key] for key in ("status", "reason", "exit_code", "step", "failed")} == {
        "status": "error",
        "reason": "no luck",
        "exit_code": 1,
        "step": "fail",
        "failed": ["fail"],
    }
    assert found["ctx_keys"] == ["a.n_v1"]
    states = {name: each["status"] for name, each in found["steps"].items()}
    assert states == {"first": "ok", "fail": "failed", "later": "cancelled"}
    assert "Traceback" not in done.out


def test_defect_recipes_6_what_is_no_recipe_ends_with_2_or_6_and_one_line(desk: Desk) -> None:
    """An empty file, a missing one and one with a missing field are told before any step."""
    empty = desk.write("empty.yaml", "")
    lacking = desk.write("lacking.yaml", "steps: [{idx: 1, module: steps, function: Write}]\n")

    for path, code in ((empty, 2), (lacking, 2), (desk.folder / "gone.yaml", 6)):
        done = recipe("run", path, folder=desk.folder)
        found = line_of(done)
        assert (done.code, found["exit_code"], found["status"]) == (code, code, "error"), path
        assert found["reason"]
        assert "error[" in done.err
        assert "Traceback" not in done.err


def test_an_answer_as_json_is_one_document(desk: Desk) -> None:
    """With --json the envelope comes as a document, and so does an error."""
    path = desk.write("r.yaml", FAILING)

    done = recipe("run", path, "--json", folder=desk.folder)
    gone = recipe("run", "gone.yaml", "--json", folder=desk.folder)

    assert (done.code, done.document["schema"], done.document["step"]) == (
        1,
        "oneiric.recipe-run/1",
        "fail",
    )
    assert (gone.code, list(gone.document)) == (6, ["error"])


def test_events_come_as_lines_and_the_envelope_last(desk: Desk) -> None:
    """--output ndjson gives each event once, in order, and then how the run ended."""
    path = desk.write("r.yaml", FAILING)

    done = recipe("run", path, "--output", "ndjson", folder=desk.folder)

    *events, last = map(json.loads, done.out.splitlines())
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert {event["schema"] for event in events} == {"oneiric.run-event/1"}
    assert (events[0]["kind"], events[-1]["kind"]) == ("run-created", "run-ended")
    assert last["status"] == "error"


def test_a_person_sees_the_run_drawn(desk: Desk) -> None:
    """--output human prints the steps on an axis of time."""
    path = desk.write("r.yaml", FAILING)

    done = recipe("run", path, "--output", "human", folder=desk.folder)

    assert done.code == 1
    assert "recipe:r" in done.out
    assert "no luck" in done.out


def test_nothing_is_stored_without_checkpoints(desk: Desk) -> None:
    """--no-checkpoints keeps the run in memory; else it is found by `runs` and `show`."""
    path = desk.write("r.yaml", FAILING)

    recipe("run", path, "--no-checkpoints", folder=desk.folder)
    without = recipe("runs", "--json", folder=desk.folder).document["runs"]
    run = line_of(recipe("run", path, folder=desk.folder))["run_id"]
    runs = recipe("runs", "r.yaml", "--json", folder=desk.folder).document["runs"]
    shown = recipe("show", run, folder=desk.folder)

    assert without == []
    assert [each["run_id"] for each in runs] == [run]
    assert shown.code == 1
    assert "no luck" in shown.out


def test_the_context_at_the_end_can_be_kept(desk: Desk) -> None:
    """--context-out writes the values as JSON."""
    path = desk.write("r.yaml", FAILING)

    recipe("run", path, "--context-out", "out.json", folder=desk.folder)

    assert json.loads((desk.folder / "out.json").read_text()) == {"a.n_v1": 1}


def interrupted(desk: Desk, recipe_text: str, number: signal.Signals) -> tuple[int, str]:
    """Run a recipe, send *number* when its step has begun, and return its end."""
    desk.write("waiting.py", WAITING)
    path = desk.write("r.yaml", recipe_text)
    begun = desk.folder / "begun"
    with subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", "recipe", "run", str(path)],
        cwd=desk.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            await_file(begun, process)
            process.send_signal(number)
            out, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, out


def await_file(path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until *path* is there, for as long as the process lives."""
    while not path.exists():
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"it ended with {process.returncode}")


INTERRUPTED = """
    steps: [{name: wait, module: waiting, function: Wait, args: {file: begun}}]
    finally: [{name: tidy, module: waiting, function: Touch, args: {file: tidied}}]
    """


def test_what_is_interrupted_is_tidied_up(desk: Desk) -> None:
    """At Ctrl-C the final steps are done, and the command ends with 130; at SIGTERM with 143."""
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        for name in ("begun", "tidied"):
            (desk.folder / name).unlink(missing_ok=True)
        status, out = interrupted(desk, INTERRUPTED, number)
        found = json.loads(out)
        assert (status, found["status"], found["exit_code"]) == (code, "error", code)
        assert found["steps"]["tidy"]["status"] == "ok"
        assert (desk.folder / "tidied").exists()


def test_a_run_imports_nothing_that_it_does_not_use(desk: Desk) -> None:
    """Neither reports nor what renders logs are paid for by a run that needs none."""
    path = desk.write("r.yaml", FAILING)
    words = [sys.executable, "-X", "importtime", "-m", "oneiric.cli", "recipe", "run", str(path)]

    done = subprocess.run(
        words, cwd=desk.folder, env=environment(), capture_output=True, text=True, check=False
    )

    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "oneiric.recipes.running" in imported
    heavy = {"structlog", "rich", "oneiric.reports.html", "oneiric.reports.junit"}
    assert imported & heavy == set()
