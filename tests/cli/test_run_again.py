"""`oneiric run resume` and `retry`: runs that are gone on with in the process of the command."""

import json
from pathlib import Path

import pytest

from oneiric.runs.engine import RunEngine
from oneiric.runs.plan import Plan, Step
from oneiric.runtime.work import Work
from tests.acceptance.commands import listing
from tests.cli.calls import Call, answer, left, with_work

BEFORE = ("--demo",)
NAME = "workflow:word-report"
BEGUN = Plan("other", (Step("count", "task:demo-words", {"text": "a b"}),))
FOREIGN = Plan("import", (Step("fetch", "mirror"),))


def failed(call: Call) -> str:
    """Run the workflow so that its second step fails, and return the run's id."""
    context = ("--context", '{"text": "a b c", "seconds": "soon"}')
    run_id: str = answer(call("workflow", "run", "word-report", *context, "--json"), 1)["run_id"]
    return run_id


def begun(call: Call, run_id: str, step: str) -> int:
    """Return how often a step of the run was begun."""
    lines = call("run", "follow", run_id, "--json")[1].splitlines()
    events = [json.loads(line) for line in lines]
    return sum((each["kind"], each["step"]) == ("step-started", step) for each in events)


def test_promise_c1_resume_goes_on_with_a_run_in_this_process(call: Call, tmp_path: Path) -> None:
    """Its steps are told as they happen, on stderr; its results and the exit code are its own."""
    left(tmp_path, "run-1")
    code, out, err = call("run", "resume", "run")

    assert code == 0
    first, _, rest = out.partition("\n")
    assert first == f"local: run-1, {NAME}, succeeded"
    assert json.loads(rest)["report"] == "3 words"
    assert [line.split()[2] for line in err.splitlines()][:2] == ["run-started", "step-started"]
    assert err.splitlines()[-1].split()[2:] == ["run-ended", "state", "succeeded"]


def test_resume_as_json_is_one_document(call: Call, tmp_path: Path) -> None:
    """And nothing beside it."""
    left(tmp_path, "run-1")
    done = call("run", "resume", "run-1", "--json")

    assert done[2] == ""
    found = answer(done)
    assert {key: found[key] for key in ("schema", "run_id", "verb", "applied", "name")} == {
        "schema": "oneiric.run-carried/1", "run_id": "run-1", "verb": "resume",
        "applied": "local", "name": NAME,
    }  # fmt: skip
    assert (found["state"], found["results"]["count"], found["error"]) == (
        "succeeded", {"words": 3}, None,
    )  # fmt: skip


def test_promise_w2_retry_does_again_only_what_did_not_succeed(call: Call) -> None:
    """A step that succeeded keeps its result; the one that failed is done by who serves now."""
    run_id = failed(call)
    assert call("swap", "task:demo-pause", "--provider", "skip")[0] == 0
    found = answer(call("run", "retry", run_id, "--json"))

    assert (found["verb"], found["applied"], found["state"]) == ("retry", "local", "succeeded")
    assert found["results"]["report"] == "3 words"
    assert [begun(call, run_id, step) for step in ("count", "pause", "report")] == [1, 2, 1]


def test_a_retry_that_fails_again_ends_with_1(call: Call) -> None:
    """The error is told as the run's own."""
    run_id = failed(call)
    code, out, _ = call("run", "retry", run_id)

    assert (code, out.splitlines()[0]) == (1, f"local: {run_id}, {NAME}, failed")
    assert "pause" in out.splitlines()[1]


def test_promise_c1_retry_can_leave_the_run_to_a_worker(call: Call) -> None:
    """It is opened and nothing is done; whoever takes it up finishes it."""
    run_id = failed(call)
    assert call("swap", "task:demo-pause", "--provider", "skip")[0] == 0
    found = answer(call("run", "retry", run_id, "--leave", "--json"))
    rows = answer(call("run", "list", "--open", "--json"))["runs"]

    assert (found["applied"], found["state"], found["error"]) == ("stored", "running", None)
    assert [(row["run_id"], row["held"]) for row in rows] == [(run_id, False)]
    assert answer(call("run", "resume", run_id, "--json"))["state"] == "succeeded"


def test_a_run_that_waits_for_somebody_outside_ends_the_command_with_4(
    call: Call, tmp_path: Path
) -> None:
    """It is let go of at once, and a signal and another resume finish it."""
    left(tmp_path, "run-1", plan=Plan("asks", (Step("a", signal="go"),)))
    assert answer(call("run", "resume", "run-1", "--json"), 4)["state"] == "waiting"
    assert call("run", "signal", "run-1", "go", "--value", "7")[0] == 0
    assert answer(call("run", "resume", "run-1", "--json"))["results"] == {"a": 7}


def test_promise_w3_a_changed_plan_is_refused_with_a_diff_unless_forced(
    call: Call, tmp_path: Path
) -> None:
    """The run stands as it stood; with `--force` it goes on with the plan of now."""
    old = Plan(NAME, (Step("count", "task:demo-words", {"text": "a"}), Step("gone", signal="x")))
    left(tmp_path, "run-1", plan=old)
    code, out, err = call("run", "resume", "run-1")

    assert (code, out) == (3, "")
    assert err.startswith("error[plan-changed]: ")
    assert {"  - gone", "  + report"} <= set(err.splitlines())
    assert answer(call("run", "resume", "run-1", "--force", "--json"))["state"] == "succeeded"


def test_a_run_of_another_name_goes_on_as_it_was_begun(call: Call, tmp_path: Path) -> None:
    """Where components can do its steps; nobody here knows another plan for it."""
    left(tmp_path, "run-1", plan=BEGUN)
    assert answer(call("run", "resume", "run-1", "--json"))["results"] == {"count": {"words": 2}}


def test_a_run_whose_work_nobody_here_does_is_left_as_it_is(call: Call, tmp_path: Path) -> None:
    """Its steps would fail here, and are those of the program that began it."""
    left_by_a_program(tmp_path)
    before = listing(tmp_path)
    code, out, err = call("run", "resume", "run-1")

    assert (code, out) == (2, "")
    assert "steps.fetch.target: 'mirror' is not a reference" in err
    assert {k: v[1] for k, v in listing(tmp_path).items() if k.endswith(".sqlite")} == {
        k: v[1] for k, v in before.items() if k.endswith(".sqlite")
    }


def left_by_a_program(folder: Path) -> None:
    """Leave a run whose steps are functions of a program that has ended."""

    async def store(work: Work) -> None:
        engine = RunEngine({"mirror": lambda _context, value: value}, journal=work.journal)
        await engine.enqueue(FOREIGN, run_id="run-1")
        await engine.close()

    with_work(folder, store)


def test_promise_w8_a_run_that_somebody_holds_is_refused_with_3(call: Call, tmp_path: Path) -> None:
    """Both verbs: nothing is done or stored, and the hint says when the claim ends."""
    left(tmp_path, "run-1")

    async def held(work: Work) -> None:
        await work.journal.claim("run-1", holder="somebody", seconds=60)

    with_work(tmp_path, held)
    code, _, err = call("run", "resume", "run-1")

    assert (code, err.splitlines()[0]) == (3, "error[locked]: somebody holds the run run-1")
    assert "hint: it is at work, or else its claim ends within 30 s" in err


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["resume", "nope"], 6, "no run nope"),
        (["retry", "nope"], 6, "no run nope"),
        (["resume", "done"], 2, "is over: succeeded"),
        (["retry", "done"], 2, "there is nothing to do again"),
        (["retry", "open"], 2, "oneiric run resume open"),
        (["resume", "bad"], 2, "oneiric run retry bad"),
        (["retry", "bad", "--leave", "--force"], 2, "--leave"),
    ],
)
def test_what_cannot_be_gone_on_with_is_told(
    call: Call, tmp_path: Path, words: list[str], code: int, what: str
) -> None:
    """With what to call instead, and nothing is begun."""

    async def stored(work: Work) -> None:
        await work.engine.run(BEGUN, run_id="done")
        await work.engine.enqueue(BEGUN, run_id="open")
        seconds = {"seconds": "soon"}
        await work.engine.run(Plan("b", (Step("p", "task:demo-pause", seconds),)), run_id="bad")

    with_work(tmp_path, stored)
    found, out, err = call("run", *words)
    assert (found, out) == (code, "")
    assert what in err


def test_looking_for_a_run_to_go_on_with_makes_no_database(call: Call, tmp_path: Path) -> None:
    """Where there are no runs, none is found."""
    assert call("run", "resume", "x")[0] == 6
    assert listing(tmp_path) == {}


def test_a_paused_workflow_is_not_gone_on_with(call: Call, tmp_path: Path) -> None:
    """Refused with 3, as new work is, and the note is told."""
    left(tmp_path, "run-1")
    assert call("pause", NAME, "--note", "audit")[0] == 0
    code, _, err = call("run", "resume", "run-1")
    assert (code, "audit" in err) == (3, True)


def test_promise_c2_what_is_named_like_a_secret_is_not_printed(call: Call, tmp_path: Path) -> None:
    """In the results, in both forms."""
    step = Step("say", "task:demo-say", {"line": "x"})
    keep = Step("keep", signal="go", depends_on=("say",))
    left(tmp_path, "run-1", plan=Plan("quiet", (step, keep)))
    call("run", "signal", "run-1", "go", "--value", '{"password": "hunter2", "rows": 3}')
    code, out, err = call("run", "resume", "run-1")

    assert (code, "hunter2" in out + err, '"rows": 3' in out) == (0, False, True)
