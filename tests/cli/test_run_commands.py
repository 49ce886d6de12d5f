"""The commands about runs, on a journal that the engine has written."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from oneiric.clock import SystemClock
from oneiric.errors import JSONValue
from oneiric.runs.context import StepContext
from oneiric.runs.engine import RunEngine
from oneiric.runs.plan import Plan, Step
from oneiric.stores.journal import SqliteJournal
from tests.acceptance.commands import ROOT, environment, listing
from tests.cli.calls import Call, document

BEFORE = ("run",)
GOOD = Plan("good", (Step("a", "double", "${ input }"), Step("b", "double", depends_on=("a",))))
BAD = Plan("bad", (Step("a", "fail"), Step("b", "double", depends_on=("a",))))
ASKS = Plan("asks", (Step("a", signal="go"), Step("b", "double", depends_on=("a",))))
TIDY = Plan("tidy", (Step("a", signal="go"), Step("end", "double", is_final=True)))


@contextmanager
def child(command: list[str], *, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run *command* beside the block, and no longer, however the block ends."""
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def double(_context: StepContext, value: JSONValue) -> JSONValue:
    """Return twice the input, or nothing for none."""
    return value * 2 if isinstance(value, int) else None


def fail(_context: StepContext, _value: JSONValue) -> JSONValue:
    """Fail in the words of somebody who knows no better."""
    raise ValueError("no\x1b[2J luck")


def journal_of(folder: Path) -> SqliteJournal:
    """Return the journal of a working folder."""
    return SqliteJournal(folder / ".oneiric_cache" / "oneiric.sqlite", clock=SystemClock())


def engine(folder: Path, *plans: tuple[str, Plan]) -> None:
    """Run each plan under its id until it is over or waits for somebody outside."""

    async def done(engine: RunEngine) -> None:
        for run_id, plan in plans:
            handle = await engine.start(plan, 21, run_id=run_id)
            await asyncio.wait_for(handle.settled(), 20)

    within(folder, done)


def within(folder: Path, work: Callable[[RunEngine], Awaitable[None]]) -> None:
    """Do *work* with an engine on the folder's journal, and close both."""

    async def done() -> None:
        journal = journal_of(folder)
        engine = RunEngine({"double": double, "fail": fail}, journal=journal)
        try:
            await work(engine)
        finally:
            await engine.close()
            await journal.aclose()

    asyncio.run(done())


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every file with its time of change and content; SQLite shares memory meanwhile."""
    return {name: found for name, found in listing(folder).items() if (folder / name).is_file()}


def test_without_a_database_there_are_no_runs_and_none_is_made(call: Call, tmp_path: Path) -> None:
    """Looking is no reason to write: lists are empty, a run is not found."""
    assert call("list") == (0, "there are no runs\n", "")
    assert document(call("list", "--json"))["runs"] == []
    code, out, err = call("show", "x")
    assert (code, out) == (6, "")
    assert err.startswith("error[not-found]: ")
    assert call("check")[0] == 0
    assert call("prune", "--keep", "0")[:2] == (0, "runs deleted: 0\n")
    assert call("backup", "copy.sqlite")[0] == 6
    assert listing(tmp_path) == {}


def test_promise_c2_looking_at_runs_writes_nothing(call: Call, tmp_path: Path) -> None:
    """List, show in each form, follow, check and dry runs leave every byte as it was."""
    engine(tmp_path, ("r1", GOOD), ("r2", ASKS))
    before = files(tmp_path)

    for form in ("text", "json", "markdown", "mermaid", "junit", "html"):
        assert call("show", "r1", "--format", form)[0] == 0
    calls = [("list",), ("follow", "r1"), ("check",), ("prune", "--keep", "0", "--dry-run")]
    assert [call(*each)[0] for each in calls] == [0, 0, 0, 0]

    assert files(tmp_path) == before


def test_list_shows_the_newest_first_and_filters(call: Call, tmp_path: Path) -> None:
    """By name, by whether they have ended, and so many."""
    engine(tmp_path, ("r1", GOOD), ("r2", BAD), ("r3", ASKS), ("r4", GOOD))

    found = document(call("list", "--json"))
    assert found["schema"] == "oneiric.runs/1"
    assert [(each["run_id"], each["state"]) for each in found["runs"]] == [
        ("r4", "succeeded"),
        ("r3", "running"),
        ("r2", "failed"),
        ("r1", "succeeded"),
    ]
    assert [each["run_id"] for each in document(call("list", "--open", "--json"))["runs"]] == ["r3"]
    few = document(call("list", "--name", "good", "--limit", "1", "--json"))
    assert ([each["run_id"] for each in few["runs"]], few["has_more"]) == (["r4"], True)
    assert call("list", "--limit", "1")[1].endswith("there are more than 1; --limit shows them\n")


@pytest.mark.parametrize(
    ("plan", "code", "state"), [(GOOD, 0, "succeeded"), (BAD, 1, "failed"), (ASKS, 4, "running")]
)
def test_promise_c3_show_ends_as_the_run_stands(
    plan: Plan, code: int, state: str, call: Call, tmp_path: Path
) -> None:
    """0 for a good run, 1 for a failed one, 4 for one that waits for somebody outside."""
    engine(tmp_path, ("r1", plan))

    found = document(call("show", "r1", "--json"), code)

    assert (found["schema"], found["state"]) == ("oneiric.run/1", state)
    assert found["waiting"] is (code == 4)
    assert call("show", "r1")[0] == code


def test_show_takes_the_beginning_of_an_id_unless_several_share_it(
    call: Call, tmp_path: Path
) -> None:
    """A whole id is meant whatever else begins so; an ambiguous one lists whom it may mean."""
    engine(tmp_path, ("run-1", GOOD), ("run-12", GOOD), ("run-2", GOOD))

    assert document(call("show", "run-12", "--json"))["run_id"] == "run-12"
    assert document(call("show", "run-1", "--json"))["run_id"] == "run-1"
    code, out, err = call("show", "run-")
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        "error[ambiguous-run]: several runs begin with run-",
        "  run-2",
        "  run-12",
        "  run-1",
        "hint: write more of the id",
    ]
    assert call("show", "un-1")[0] == 6
    assert call("show", "")[0] == 6


def test_show_writes_each_form_to_a_file(call: Call, tmp_path: Path) -> None:
    """With --output nothing is printed, and the file is whole."""
    engine(tmp_path, ("r1", BAD))

    for form in ("text", "json", "markdown", "mermaid", "junit", "html"):
        assert call("show", "r1", "--format", form, "--output", form) == (1, "", "")
        assert (tmp_path / form).read_text(encoding="utf-8") == call(
            "show", "r1", "--format", form
        )[1]
    suite = ElementTree.fromstring((tmp_path / "junit").read_bytes())
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")
    assert (tmp_path / "html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_nothing_that_a_run_says_steers_the_terminal(call: Call, tmp_path: Path) -> None:
    """What a body put into its error is told as text."""
    engine(tmp_path, ("r1", BAD))

    for arguments in (["show", "r1"], ["follow", "r1"], ["follow", "r1", "--json"]):
        out = call(*arguments)[1]
        assert "\x1b" not in out
        assert "luck" in out


def test_follow_prints_a_document_a_line_and_ends_with_the_run(call: Call, tmp_path: Path) -> None:
    """Each event is one line of JSON, in order, numbered from 1."""
    engine(tmp_path, ("r1", BAD))

    code, out, err = call("follow", "r1", "--json")

    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (1, "")
    assert {each["schema"] for each in events} == {"oneiric.run-event/1"}
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    assert (events[0]["kind"], events[-1]["kind"]) == ("run-created", "run-ended")
    lines = call("follow", "r1")[1].splitlines()
    assert [line.split()[2] for line in lines] == [each["kind"] for each in events]


def test_follow_waits_for_what_others_do_and_is_cut_short_by_ctrl_c(tmp_path: Path) -> None:
    """A run that waits is followed on; SIGINT ends the command with 130, and changes nothing."""
    engine(tmp_path, ("r1", ASKS))
    command = [sys.executable, "-m", "oneiric.cli", "run", "follow", "r1", "--json"]
    with child(command, folder=tmp_path) as process:
        assert process.stdout is not None
        kinds = [json.loads(process.stdout.readline())["kind"] for _ in range(3)]

        async def signaled(engine: RunEngine) -> None:
            await engine.signal("r1", "other")

        within(tmp_path, signaled)
        kinds.append(json.loads(process.stdout.readline())["kind"])
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130

    assert kinds == ["run-created", "run-started", "step-assigned", "signaled"]


def test_promise_c1_signal_is_stored_for_whoever_takes_the_run_up(
    call: Call, tmp_path: Path
) -> None:
    """Nobody holds the run: the signal is stored, said to be, and heeded when it goes on."""
    engine(tmp_path, ("r1", ASKS))

    told = document(call("signal", "r1", "go", "--value", '{"ok": true}', "--json"))

    assert told == {
        "schema": "oneiric.run-told/1",
        "run_id": "r1",
        "verb": "signal",
        "applied": "stored",
        "signal": "go",
        "step": "",
        "awaited": True,
    }
    within(tmp_path, finished)
    found = document(call("show", "r1", "--json"))
    assert (found["state"], found["steps"][0]["result"]) == ("succeeded", {"ok": True})


def test_a_stored_signal_is_seen_with_who_gave_it(call: Call, tmp_path: Path) -> None:
    """Who looks at the run knows that it was approved, by whom, and what is missing now."""
    engine(tmp_path, ("r1", ASKS))
    assert call("signal", "r1", "go", "--actor", "ada")[0] == 0

    shown = call("show", "r1")

    assert "got the signal go; goes on when the run is taken up" in " ".join(shown[1].split())
    within(tmp_path, finished)
    assert "ada" in call("follow", "r1", "--json")[1]


def test_a_refusal_fails_the_step(call: Call, tmp_path: Path) -> None:
    """Its reason is the step's error, and the run fails as its plan says."""
    engine(tmp_path, ("r1", ASKS))
    assert call("signal", "r1", "go", "--error", "too expensive", "--actor", "ada")[0] == 0

    within(tmp_path, finished)

    found = document(call("show", "r1", "--json"), 1)
    assert found["state"] == "failed"
    assert found["steps"][0]["error"]["message"] == "too expensive"


async def finished(engine: RunEngine) -> None:
    """Take up what was left open, and wait until it is over."""
    for handle in await engine.recover():
        await asyncio.wait_for(handle, 20)


def test_promise_c1_signal_is_live_where_somebody_holds_the_run(call: Call, tmp_path: Path) -> None:
    """Another process carries the run on: it heeds the signal, and the run ends."""
    code = (
        "import asyncio, sys; from pathlib import Path;"
        "from tests.cli.test_run_commands import *;"
        "asyncio.run(carried_on(Path(sys.argv[1])))"
    )
    with child([sys.executable, "-c", code, str(tmp_path)], folder=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        assert document(call("list", "--json"))["runs"][0]["held"] is True
        told = document(call("signal", "r1", "go", "--json"))
        assert (told["applied"], told["awaited"]) == ("live", True)
        assert process.wait(30) == 0

    assert document(call("show", "r1", "--json"))["state"] == "succeeded"


async def carried_on(folder: Path) -> None:
    """Carry a run on that waits for a signal, until it is over; say when it waits."""
    journal = journal_of(folder)
    engine = RunEngine({"double": double}, journal=journal)
    handle = await engine.start(ASKS, run_id="r1")
    await handle.settled()
    sys.stdout.write("waiting\n")
    sys.stdout.flush()
    await handle
    await engine.close()
    await journal.aclose()


def test_a_signal_for_nobody_is_kept_and_said_to_be(call: Call, tmp_path: Path) -> None:
    """It may come before the step asks; a slip of the pen is seen at once."""
    engine(tmp_path, ("r1", ASKS), ("r2", GOOD))

    code, out, _ = call("signal", "r1", "goo")
    assert code == 0
    assert out.startswith("stored, for whoever takes the run up: goo was signaled to r1")
    assert out.endswith("; nobody waits for it yet, so it is kept\n")
    assert call("signal", "r1", "go", "--step", "c")[0] == 6
    assert call("signal", "r1", "go", "--value", "{")[0] == 2
    assert call("signal", "r2", "go")[0] == 2


def test_promise_c1_cancel_ends_a_run_here_that_nobody_holds(call: Call, tmp_path: Path) -> None:
    """There is nothing to do but to say so: it is ended in this process."""
    engine(tmp_path, ("r1", ASKS))

    assert call("cancel", "r1", "--reason", "wrong day", "--actor", "ada") == (
        0,
        "local: r1 was canceled\n",
        "",
    )

    found = document(call("show", "r1", "--json"), 1)
    assert (found["state"], found["problem"]) == ("canceled", "canceled by ada: wrong day")
    assert call("cancel", "r1")[0] == 2


def test_cancel_leaves_final_steps_to_somebody_who_can_do_them(call: Call, tmp_path: Path) -> None:
    """Their work is not skipped because the command cannot do it: the wish is stored."""
    engine(tmp_path, ("r1", TIDY))

    assert document(call("cancel", "r1", "--json"))["applied"] == "stored"

    assert document(call("show", "r1", "--json"), 4)["state"] == "running"
    within(tmp_path, finished)
    found = document(call("show", "r1", "--json"), 1)
    assert [(s["id"], s["state"]) for s in found["steps"]] == [
        ("a", "canceled"),
        ("end", "succeeded"),
    ]


def test_prune_deletes_what_ended_before_and_keeps_the_latest(call: Call, tmp_path: Path) -> None:
    """A dry run says how many, and deletes none; runs that have not ended stay."""
    engine(tmp_path, ("r1", GOOD), ("r2", GOOD), ("r3", ASKS))

    assert call("prune")[0] == 2
    assert call("prune", "--before", "yesterday")[0] == 2
    assert call("prune", "--before", "1h")[1] == "runs deleted: 0\n"
    dry = document(call("prune", "--keep", "1", "--dry-run", "--json"))
    assert (dry["schema"], dry["runs"], dry["dry_run"]) == ("oneiric.run-prune/1", 1, True)
    assert call("prune", "--keep", "1")[1] == "runs deleted: 1\n"
    assert [each["run_id"] for each in document(call("list", "--json"))["runs"]] == ["r3", "r2"]
    assert call("prune", "--before", "2100-01-01")[1] == "runs deleted: 1\n"


def test_backup_makes_a_copy_that_is_a_database(call: Call, tmp_path: Path) -> None:
    """The copy stands where it was asked for, and holds the same runs."""
    engine(tmp_path, ("r1", GOOD))

    found = document(call("backup", "copy.sqlite", "--json"))

    assert (found["schema"], found["path"]) == ("oneiric.run-backup/1", "copy.sqlite")
    assert found["bytes"] == (tmp_path / "copy.sqlite").stat().st_size
    Path("copy.sqlite").replace(Path(".oneiric_cache") / "oneiric.sqlite")
    assert document(call("list", "--json"))["runs"][0]["run_id"] == "r1"


def test_check_ends_with_1_when_a_run_is_not_whole(call: Call, tmp_path: Path) -> None:
    """A gap among the events of a run is told by name."""
    engine(tmp_path, ("r1", GOOD))
    assert call("check") == (0, "sound: 1 runs, 7 events\n", "")
    with closing(sqlite3.connect(tmp_path / ".oneiric_cache" / "oneiric.sqlite")) as database:
        database.execute("DELETE FROM events WHERE seq = 3")
        database.commit()

    found = document(call("check", "--json"), 1)

    assert (found["schema"], found["sound"]) == ("oneiric.run-check/1", False)
    assert found["problems"] == ["the run r1 has 6 events, numbered 1 to 7"]
