"""Pause, drain and resume from the command line, beside a real process that runs and follows."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oneiric.config import load_config
from oneiric.demo.plugin import PLUGIN
from oneiric.errors import StoreError
from oneiric.runtime import Operator, RuntimeOrchestrator
from oneiric.runtime.settings import SECTIONS, VARIABLES
from oneiric.stores.activity import DomainActivityStore
from oneiric.testing import ManualClock
from tests.acceptance.commands import ROOT, Finished, environment, error_of, oneiric
from tests.runtime.followed import DATABASE, REF, Child, attempt

Start = Callable[..., Child]
SOON_SECONDS = 10.0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a starter of processes that run in the test's folder; they are killed at the end."""
    children: list[Child] = []

    def begin(module: str = "tests.runtime.followed") -> Child:
        children.append(Child(tmp_path, module=module))
        return children[-1]

    yield begin
    for child in children:
        child.kill()


def told(folder: Path, *arguments: str) -> Finished:
    """Run a command about the demonstration's components in *folder*."""
    return oneiric("--demo", *arguments, folder=folder)


def soon(child: Child, answer: str, *, word: str = "try") -> str:
    """Have *child* try calls until it says *answer*, and return that; else the last it said."""
    deadline = time.monotonic() + SOON_SECONDS
    while not (said := child.do(word)).startswith(answer) and time.monotonic() < deadline:
        time.sleep(0.02)
    return said


def store_of(folder: Path) -> DomainActivityStore:
    return DomainActivityStore(folder / DATABASE)


def drain_in_background(folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "oneiric.cli", "--demo", "drain", REF, "--wait", *more]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment({"PYTHONPATH": str(ROOT)}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_draining(folder: Path) -> None:
    deadline = time.monotonic() + SOON_SECONDS
    while store_of(folder).get(REF).state != "draining" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert store_of(folder).get(REF).state == "draining"


def test_promise_a1_a_pause_from_the_command_line_stops_a_running_process(
    start: Start, tmp_path: Path
) -> None:
    """Within a poll it takes no new work, what is in flight goes on; a resume undoes it."""
    child = start()
    assert child.do("hold") == "done"

    paused = told(tmp_path, "pause", REF, "--note", "audit", "--actor", "ada")
    assert (paused.code, paused.err) == (0, "")
    assert paused.out == f"stored: {REF} is paused; running processes follow within 0.5 s\n"
    assert soon(child, "refused") == f"refused {REF} is paused by ada: audit"

    assert told(tmp_path, "resume", "payment").code == 0
    assert soon(child, "accepted") == "accepted"
    assert child.end() == 0


async def test_promise_a1_a_pause_elsewhere_holds_within_one_poll_interval(tmp_path: Path) -> None:
    """The clock of this process moves by one poll, and no further; so with the resume."""
    clock = ManualClock()
    config = load_config(SECTIONS, folder=tmp_path, variables=VARIABLES)
    async with RuntimeOrchestrator(config, plugins=(PLUGIN,), clock=clock) as runtime:
        interval = runtime.activity.interval
        for verb, answer in (("pause", "refused"), ("resume", "accepted")):
            await clock.until_waiting()
            assert (await asyncio.to_thread(told, tmp_path, verb, REF)).code == 0
            assert not (await attempt(runtime)).startswith(answer)
            clock.advance(interval)
            async with asyncio.timeout(SOON_SECONDS):
                while not (await attempt(runtime)).startswith(answer):  # noqa: ASYNC110  no event tells
                    await asyncio.sleep(0.01)
    assert interval == 0.5


def test_promise_a1_a_running_supervisor_leaves_alone_what_was_paused_elsewhere(
    start: Start, tmp_path: Path
) -> None:
    """What crashes meanwhile is restarted after the resume, and not before."""
    (tmp_path / "oneiric.toml").write_text(
        "[plugins]\nauto_load = false\n[activity]\npoll_interval = 0.1\n"
        "[runtime_supervisor]\npoll_interval = 0.05\nprobe_interval = 0.05\n"
        "unhealthy_after = 1\nbackoff_seconds = 0.05\n"
    )
    child = start("tests.runtime.supervised_child")
    assert soon(child, "serving", word="state") == "serving"
    assert told(tmp_path, "pause", REF).code == 0
    assert soon(child, "paused", word="state") == "paused"
    child.do("crash")
    time.sleep(1)
    assert child.do("made") == "1"

    assert told(tmp_path, "resume", REF).code == 0
    assert soon(child, "2", word="made") == "2"
    assert soon(child, "serving", word="state") == "serving"
    assert child.end() == 0


def test_promise_a1_drain_wait_returns_when_no_process_has_work_in_flight(
    start: Start, tmp_path: Path
) -> None:
    """Not while one of two processes still has a call, and then at once."""
    busy, idle = start(), start()
    busy.do("hold")
    draining = drain_in_background(tmp_path, "--json")
    wait_until_draining(tmp_path)
    assert soon(busy, "refused").startswith(f"refused {REF} is draining")
    assert soon(idle, "refused").startswith(f"refused {REF} is draining")
    with pytest.raises(subprocess.TimeoutExpired):
        draining.wait(1.5)

    busy.do("go")
    out, err = draining.communicate(timeout=30)
    answer = json.loads(out)
    pids = sorted((busy.process.pid, idle.process.pid))
    assert (draining.returncode, err) == (0, "")
    assert (answer["schema"], answer["applied"]) == ("oneiric.activity-change/1", "stored")
    assert answer["processes"] == [{"pid": pid, "in_flight": 0, "holders": []} for pid in pids]
    assert store_of(tmp_path).get(REF).state == "draining"


def test_a_drain_that_takes_too_long_names_who_holds_on(start: Start, tmp_path: Path) -> None:
    """Exit code 5, with the process, the count and the tasks; it stays draining."""
    child = start()
    child.do("hold")
    child.do("hold")

    finished = told(tmp_path, "drain", REF, "--wait", "--timeout", "1")

    assert error_of(finished) == (5, "not-drained")
    assert f"  process {child.process.pid}  2 in flight: task Task-" in finished.err
    assert "at hold:" in finished.err
    assert f"oneiric resume {REF} ends that" in finished.err
    listed = told(tmp_path, "activity", "--json").document
    (entry,) = listed["domains"]["service"]["entries"]
    assert (entry["draining"], entry["processes"][0]["in_flight"]) == (True, 2)
    assert listed["totals"] == {"paused": 0, "draining": 1, "note_only": 0}


def test_a_process_that_is_killed_during_a_drain_holds_nothing_up(
    start: Start, tmp_path: Path
) -> None:
    """Its calls ended with it; the drain is over, though it never answered that they had."""
    child = start()
    child.do("hold")
    draining = drain_in_background(tmp_path)
    wait_until_draining(tmp_path)
    soon(child, "refused")
    child.process.send_signal(signal.SIGKILL)

    out, err = draining.communicate(timeout=30)
    assert (draining.returncode, err) == (0, "")
    assert out == f"stored: {REF} is draining; no running process answered\n"


def test_a_drain_without_any_running_process_says_so(tmp_path: Path) -> None:
    """No verb pretends: it is stored, and nobody was there to answer."""
    finished = told(tmp_path, "drain", REF, "--wait")
    assert (finished.code, finished.err) == (0, "")
    assert finished.out == f"stored: {REF} is draining; no running process answered\n"


def test_a_second_drain_is_answered_anew(start: Start, tmp_path: Path) -> None:
    """What a process said of the first does not count, and it says it again."""
    child = start()
    for _ in range(2):
        finished = told(tmp_path, "drain", REF, "--wait", "--timeout", "20")
        assert finished.out == (
            f"stored: {REF} is drained; the running process has none in flight\n"
        )
    assert child.do("try").startswith("refused")


def test_a_drain_waits_for_a_process_that_was_stopped(start: Start, tmp_path: Path) -> None:
    """One that follows but cannot answer may have work in flight: that is no drain."""
    child = start()
    told(tmp_path, "drain", REF, "--wait")
    told(tmp_path, "resume", REF)
    assert soon(child, "accepted") == "accepted"
    child.do("hold")
    child.process.send_signal(signal.SIGSTOP)

    finished = told(tmp_path, "drain", REF, "--wait", "--timeout", "0.5")
    assert error_of(finished) == (5, "not-drained")
    assert f"  process {child.process.pid}  has not answered\n" in finished.err

    child.process.send_signal(signal.SIGCONT)
    assert soon(child, "refused").startswith("refused")


def test_a_cut_short_wait_leaves_it_draining_and_says_so(start: Start, tmp_path: Path) -> None:
    """Ctrl-C ends the waiting with 130, not the drain."""
    start().do("hold")
    draining = drain_in_background(tmp_path)
    wait_until_draining(tmp_path)
    time.sleep(0.3)
    draining.send_signal(signal.SIGINT)

    out, err = draining.communicate(timeout=30)
    assert (draining.returncode, out) == (130, "")
    assert err == f"\n{REF} stays draining; oneiric resume {REF} ends that\n"
    assert store_of(tmp_path).get(REF).state == "draining"


def test_a_resume_ends_the_waiting_of_a_drain(start: Start, tmp_path: Path) -> None:
    """Who waits learns that it drains no more, instead of waiting for what will not come."""
    child = start()
    child.do("hold")
    draining = drain_in_background(tmp_path)
    wait_until_draining(tmp_path)
    assert told(tmp_path, "resume", REF).code == 0

    _, err = draining.communicate(timeout=30)
    assert draining.returncode == 5
    assert err.startswith(f"error[not-drained]: {REF} is active, and drains no more\n")


def test_promise_a2_a_restart_keeps_what_is_paused(start: Start, tmp_path: Path) -> None:
    """A process that begins later lets nobody in, from its first call on."""
    told(tmp_path, "pause", REF, "--note", "audit", "--actor", "ada")
    assert start().do("try") == f"refused {REF} is paused by ada: audit"


def test_promise_a2_a_stopped_process_that_holds_the_lock_stops_nobody(
    start: Start, tmp_path: Path
) -> None:
    """Others keep what they know, writes end with 5, and all recovers when the lock goes."""
    told(tmp_path, "pause", REF)
    locking, other = start(), start()
    assert locking.do("lock") == "done"
    locking.process.send_signal(signal.SIGSTOP)

    begun = time.monotonic()
    assert other.do("try").startswith("refused")
    assert time.monotonic() - begun < 4.0
    finished = told(tmp_path, "resume", REF)
    assert error_of(Finished(finished.code, "", finished.err.partition("\n")[2])) == (5, "store")
    assert finished.err.startswith("warning: what is paused is left out: ")
    begun = time.monotonic()
    assert other.do("try").startswith("refused")
    assert time.monotonic() - begun < 4.0

    locking.kill()
    assert told(tmp_path, "resume", REF).code == 0
    assert soon(other, "accepted") == "accepted"


def test_promise_a2_a_damaged_database_stops_only_who_writes(start: Start, tmp_path: Path) -> None:
    """Who looks is warned, a running process keeps what it knows, and recovers by itself."""
    told(tmp_path, "pause", REF)
    child = start()
    good = (tmp_path / DATABASE).read_bytes()
    (tmp_path / DATABASE).write_bytes(b"no database" * 100)

    for command in (["pause", REF], ["resume", REF], ["drain", REF], ["activity"]):
        finished = told(tmp_path, *command)
        assert (finished.code, "error[store]: " in finished.err) == (5, True), command
    listed = told(tmp_path, "list", "--domain", "service")
    assert (listed.code, "service:payment" in listed.out) == (0, True)
    assert listed.err.startswith("warning: what is paused is left out: ")
    time.sleep(1.2)  # two polls
    assert child.do("try").startswith("refused")

    (tmp_path / DATABASE).write_bytes(good)
    told(tmp_path, "resume", REF)
    assert soon(child, "accepted") == "accepted"


def test_promise_a2_commands_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    """Each pauses another component; all are paused afterwards."""
    keys = ["payment", "notification", "status"]
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "oneiric.cli", "--demo", "pause", f"service:{key}"],
            cwd=tmp_path,
            env=environment({"PYTHONPATH": str(ROOT)}),
            stdout=subprocess.DEVNULL,
        )
        for key in keys
    ]
    assert [command.wait(60) for command in commands] == [0, 0, 0]
    assert sorted(store_of(tmp_path).snapshot()) == sorted(f"service:{key}" for key in keys)


def test_a_process_that_ends_in_order_is_waited_for_no_more(start: Start, tmp_path: Path) -> None:
    """It leaves the list of those who follow; one that was killed is struck off by the next."""
    told(tmp_path, "pause", "service:status")
    first, second = start(), start()
    for child in (first, second):
        told(tmp_path, "drain", REF, "--wait", "--timeout", "20")
        assert soon(child, "refused").startswith("refused")
    assert len(store_of(tmp_path).followers()) == 2
    assert first.end() == 0
    assert [each.pid for each in store_of(tmp_path).followers()] == [second.process.pid]

    second.kill()
    third = start()
    answer = told(tmp_path, "drain", REF, "--wait", "--json").document
    assert [each["pid"] for each in answer["processes"]] == [third.process.pid]
    assert [each.pid for each in store_of(tmp_path).followers()] == [third.process.pid]


def test_a_locked_database_fails_who_writes_in_time(tmp_path: Path) -> None:
    """It waits its patience out and gives up; nothing was changed."""
    operator = Operator(folder=tmp_path)
    cache = operator.ref("adapter:cache")
    operator.pause(cache)
    holder = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreError):
            operator.resume(cache)
    finally:
        holder.close()
    assert store_of(tmp_path).get("adapter:cache").state == "paused"
