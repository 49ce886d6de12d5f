"""A real orchestrator in a process of its own: signals, kills, the lock, the background."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import UnavailableError
from oneiric.runtime import Operator
from oneiric.runtime.process import is_alive
from tests.acceptance.commands import ROOT, environment
from tests.distributions import install
from tests.faults.test_work_kills import FINISHED, SLOW, counted, kill
from tests.faults.work_folder import LONG_SECONDS, PATIENCE_SECONDS, Folder

ENDS = [signal.SIGTERM, signal.SIGINT]


def health(folder: Folder) -> Any:
    path = folder.path / ".oneiric_cache" / "runtime_health.json"
    return json.loads(path.read_bytes()) if path.exists() else {}


def ready(child: subprocess.Popen[str]) -> str:
    """Return the line by which an orchestrator says that it is ready."""
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("orchestrator ready: "):
            return line
    pytest.fail(f"it ended with {child.wait()}")


def ended(child: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the exit code, and what was said at last."""
    _, err = child.communicate(timeout=PATIENCE_SECONDS)
    return child.returncode, err


@pytest.mark.parametrize("number", ENDS)
def test_defect_oneiric_o3_a_signal_ends_it_in_order(
    folder: Folder, number: signal.Signals
) -> None:
    """It ends with 0, and the health file no longer claims that anything runs."""
    child = folder.start("orchestrate")
    line = ready(child)
    during = health(folder)
    child.send_signal(number)
    code, err = ended(child)
    after = health(folder)

    assert f"pid {child.pid}" in line
    assert (during["state"], during["orchestrator_pid"]) == ("ready", child.pid)
    assert (code, err) == (0, "orchestrator stopped\n")
    assert (after["state"], after["watchers_running"]) == ("stopped", False)


@pytest.mark.parametrize(
    ("words", "profile"),
    [
        (["--manifest", "docs/sample_remote_manifest.yaml", "--refresh-interval", "120"], ""),
        (["--no-remote", "--health-path", "health.json"], "serverless"),
        (["--profile", "serverless", "--no-remote"], ""),
    ],
    ids=["quick-start", "serverless", "procfile"],
)
def test_the_commands_of_the_brief_are_ready_and_end_with_0(
    words: list[str], profile: str, folder: Folder
) -> None:
    """As they are written there, beside our own configuration and sample."""
    for name in ("oneiric.toml", "docs/sample_remote_manifest.yaml"):
        (folder.path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder.path / name)
    variables = {"ONEIRIC_PROFILE": profile} if profile else {}
    child = subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", "orchestrate", *words],
        cwd=folder.path,
        env=environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    folder.started.append(child)
    ready(child)
    child.send_signal(signal.SIGTERM)

    assert ended(child)[0] == 0
    assert (folder.path / "health.json").exists() is ("--health-path" in words)


def test_promise_c4_work_under_way_is_finished_within_the_grace(folder: Folder) -> None:
    """SIGTERM: no more messages are taken, and what is under way is done first."""
    run_id = folder.enqueue(LONG_SECONDS)
    child = folder.start("orchestrate")
    ready(child)
    folder.until_paused(run_id)
    child.send_signal(signal.SIGTERM)

    assert ended(child)[0] == 0
    assert ("run-ended", "") in folder.events(run_id)
    assert folder.messages() == 0


def test_promise_c4_a_second_signal_hurries(folder: Folder) -> None:
    """What is under way is given back at once; others go on with it."""
    folder.configure(grace=600)
    run_id = folder.enqueue(600)
    child = folder.start("orchestrate")
    ready(child)
    folder.until_paused(run_id)
    child.send_signal(signal.SIGTERM)
    folder.until(lambda: health(folder)["state"] == "stopping")
    child.send_signal(signal.SIGTERM)

    assert ended(child)[0] == 0
    assert ("run-ended", "") not in folder.events(run_id)
    assert folder.messages() == 1
    assert health(folder)["state"] == "stopped"


WAITS = """
import os, sys, time
from pathlib import Path
from oneiric.core.plugin import Plugin

if "orchestrate" in sys.argv:
    Path("half").write_text(str(os.getpid()))
    Path("half").rename("loading")
    while not Path("go").exists():
        time.sleep(0.01)
PLUGIN = Plugin([])
"""
STUCK = """
import asyncio, time
from pathlib import Path
from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin

class Deaf:
    async def cleanup(self):
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass

class Busy:
    def init(self):
        Path("busy").touch()
        time.sleep(600)

PLUGIN = Plugin([Candidate("service:one", "one", {factory})])
"""


def stuck(folder: Folder, factory: str) -> Path:
    """Install a service whose code does not do what it is told, and limit its cleanup."""
    file = folder.path / "oneiric.toml"
    limits = "[lifecycle]\ncleanup_timeout = 0.5\n[services.selections]\none = 'one'\n"
    file.write_text(f"{file.read_text()}{limits}")
    module = STUCK.replace("{factory}", factory)
    points = {"oneiric.services": "stuck:PLUGIN"}
    return install(folder.path / "site", "stuck", entry_points=points, module=module)


def test_promise_c4_a_component_that_ignores_its_end_does_not_keep_the_process(
    folder: Folder,
) -> None:
    """Its cleanup swallows every cancellation: that is told, and the process ends all the same."""
    child = folder.start("orchestrate", path=stuck(folder, "Deaf"))
    ready(child)
    folder.until(lambda: "one" in health(folder).get("lifecycle_state", {}).get("service", {}))
    child.send_signal(signal.SIGTERM)
    code, err = ended(child)

    assert (code, health(folder)["state"]) == (1, "failed")
    assert "error[end-failed]: not everything ended in order" in err
    assert "Task was destroyed" not in err


def test_promise_c4_a_probe_of_what_ignores_its_end_ends_too(folder: Folder) -> None:
    """With 1, and no word of a mistake of our own."""
    child = folder.start("health", "--probe", path=stuck(folder, "Deaf"))
    code, err = ended(child)

    assert code == 1
    assert "error[end-failed]" in err


@pytest.mark.parametrize("number", ENDS)
def test_promise_c4_a_third_signal_ends_what_hears_nothing(
    folder: Folder, number: signal.Signals
) -> None:
    """Here a component blocks the loop; the lock is free thereafter."""
    child = folder.start("orchestrate", path=stuck(folder, "Busy"))
    folder.until((folder.path / "busy").exists)
    child.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.5)
    child.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.5)
    child.send_signal(number)

    assert ended(child)[0] == -number
    assert folder.call("process-status")[0] == 6


@pytest.mark.parametrize("number", ENDS)
def test_promise_c4_a_signal_while_it_still_starts_is_heeded(
    folder: Folder, number: signal.Signals
) -> None:
    """It ends with 0, however far it was: here a plugin still loads."""
    slow = install(
        folder.path / "site", "slow", entry_points={"oneiric.adapters": "slow:PLUGIN"}, module=SLOW
    )
    child = folder.start("orchestrate", path=slow)
    folder.until((folder.path / "loading").exists)
    child.send_signal(number)
    (folder.path / "go").touch()
    code, err = ended(child)

    assert code == 0, err
    assert "ready" not in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_promise_c3_a_check_that_is_cut_short_says_so(
    folder: Folder, number: signal.Signals, code: int
) -> None:
    """It never was ready, so it tells nothing, ends in order, and then as any command does."""
    slow = install(
        folder.path / "site", "slow", entry_points={"oneiric.adapters": "slow:PLUGIN"}, module=SLOW
    )
    child = folder.start("orchestrate", "--check", path=slow)
    folder.until((folder.path / "loading").exists)
    child.send_signal(number)
    (folder.path / "go").touch()
    out, err = child.communicate(timeout=PATIENCE_SECONDS)

    assert (child.returncode, out) == (code, "")
    assert "error[" not in err
    assert not (folder.path / ".oneiric_cache" / "control.sock").exists()


def test_a_hangup_reads_everything_anew(folder: Folder) -> None:
    """Also one that comes before it is ready; a wrong file is told, and it goes on."""
    file = folder.path / "oneiric.toml"
    text = f"{file.read_text()}[watch]\nenabled = false\n[logging]\nlevel = 'info'\n"
    file.write_text(text)
    slow = install(
        folder.path / "site", "slow", entry_points={"oneiric.adapters": "slow:PLUGIN"}, module=SLOW
    )
    child = folder.start("orchestrate", path=slow)
    folder.until((folder.path / "loading").exists)
    child.send_signal(signal.SIGHUP)
    (folder.path / "go").touch()
    ready(child)
    assert child.stderr is not None
    reloads = (line for line in child.stderr if "event=orchestrator-reloaded" in line)
    said = [next(reloads)]
    for content in ("[app\n", text):
        file.write_text(content)
        child.send_signal(signal.SIGHUP)
        said.append(next(reloads))
    child.send_signal(signal.SIGTERM)

    assert ended(child)[0] == 0
    assert [
        f"configuration_is_well={well}" in line
        for line, well in zip(said, (True, False, True), strict=True)
    ] == [True] * 3


def test_after_a_kill_the_lock_is_free_and_the_left_run_is_finished(folder: Folder) -> None:
    """The health is told to be stale until the next one starts; steps are not done again."""
    run_id = folder.enqueue(LONG_SECONDS)
    first = folder.start("orchestrate")
    ready(first)
    folder.until_paused(run_id)
    kill(first)
    status, told = folder.json("process-status"), folder.json("health")
    shown = folder.call("health")[1]
    second = folder.start("orchestrate")
    ready(second)
    folder.until(lambda: ("run-ended", "") in folder.events(run_id))
    now = folder.json("health")
    second.send_signal(signal.SIGTERM)

    assert ended(second)[0] == 0
    assert counted(folder.events(run_id)) == FINISHED
    assert (status["running"], told["healthy"]) == (False, False)
    reason = f"the process {first.pid} that wrote it has ended, and said nothing"
    assert (status["stale"], told["runtime"]["stale"]) == (reason, reason)
    assert shown.startswith(f"orchestrator: stale, it was ready, process {first.pid}, ")
    assert (now["healthy"], now["applied"], now["runtime"]["stale"]) == (True, "stored", None)


def test_a_second_one_is_refused_and_names_the_first(folder: Folder) -> None:
    """Exit code 3; the first goes on."""
    first = folder.start("orchestrate")
    ready(first)
    code, out, err = folder.call("orchestrate")
    again = folder.json("start")
    first.send_signal(signal.SIGTERM)

    assert (code, out) == (3, "")
    assert err.startswith("error[orchestrator-runs]: ")
    assert f"process {first.pid}" in err
    assert again["error"]["details"]["pid"] == first.pid
    assert ended(first)[0] == 0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Listen as a service manager does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(PATIENCE_SECONDS)
        yield listener


def heard(listener: socket.socket, wanted: str) -> dict[str, str]:
    """Return the next message that tells *wanted*."""
    while True:
        lines = listener.recv(4_096).decode().splitlines()
        if wanted in lines:
            return dict(line.split("=", 1) for line in lines)


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_the_service_manager_is_told(
    folder: Folder,
    manager: socket.socket,
    abstract: bool,
) -> None:
    """READY, signs of life, RELOADING with the time, READY again, STOPPING."""
    address = str(folder.path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        if abstract:
            address = f"@oneiric-test-{os.getpid()}"
            other.bind(f"\0{address[1:]}")
            other.settimeout(PATIENCE_SECONDS)
        listener = other if abstract else manager
        variables = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}
        child = subprocess.Popen(
            [sys.executable, "-m", "oneiric.cli", "orchestrate"],
            cwd=folder.path,
            env=environment(variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        folder.started.append(child)
        first = heard(listener, "READY=1")
        heard(listener, "WATCHDOG=1")
        before = time.monotonic()
        child.send_signal(signal.SIGHUP)
        reload = heard(listener, "RELOADING=1")
        heard(listener, "READY=1")
        child.send_signal(signal.SIGTERM)
        heard(listener, "STOPPING=1")
        code, _ = ended(child)

    assert (code, first["MAINPID"]) == (0, str(child.pid))
    assert before * 1_000_000 <= int(reload["MONOTONIC_USEC"]) <= time.monotonic() * 1_000_000


def test_start_returns_when_it_is_ready_and_stop_when_it_has_ended(folder: Folder) -> None:
    """As `start`, `process-status`, `stop`; what it says is in a log of its owner's."""
    begun = folder.json("start", "--no-http")
    status = folder.json("process-status")
    log = folder.path / ".oneiric_cache" / "orchestrator.log"
    stopped = folder.json("stop")
    after = folder.call("process-status")
    nothing = folder.call("stop")

    assert (begun["schema"], begun["ready"]) == ("oneiric.start/1", True)
    assert (status["running"], status["ready"], status["pid"]) == (True, True, begun["pid"])
    assert stopped["pid"] == begun["pid"]
    assert not is_alive(begun["pid"])
    assert (after[0], after[1]) == (6, "no orchestrator runs in this folder\n")
    assert (nothing[0], nothing[1]) == (0, "no orchestrator runs in this folder\n")
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.read_text().endswith("orchestrator stopped\n")
    assert health(folder)["state"] == "stopped"


def test_start_finds_the_health_wherever_it_is_written(folder: Folder, tmp_path: Path) -> None:
    """And so do the others, which were not told where."""
    begun = folder.json("start", "--health-path", "elsewhere.json", "--profile", "serverless")
    status, told = folder.json("process-status"), folder.json("health")
    folder.json("stop")

    assert (status["ready"], status["pid"]) == (True, begun["pid"])
    assert told["runtime"]["profile"] == "serverless"
    assert not (tmp_path / ".oneiric_cache" / "runtime_health.json").exists()


def test_defect_oneiric_o5_start_tells_why_it_ended(folder: Folder) -> None:
    """The last words of the child, and its exit code as its own; nothing claims to run."""
    code, out, err = folder.call("start", "--manifest", "missing.yaml", "--no-remote")
    status = folder.call("process-status")

    assert (code, out) == (6, "")
    assert err.startswith("error[start-failed]: the orchestrator ended with exit code 6 before")
    assert "missing.yaml" in err
    assert "hint: see" in err
    assert status[0] == 6


def test_start_that_is_not_ready_in_time_leaves_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child is ended again, and told as unavailable."""
    monkeypatch.chdir(folder.path)
    file = folder.path / "pid"
    code = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    processes = Operator(folder=folder.path).processes

    with pytest.raises(UnavailableError, match="was not ready after 3 s, and was ended"):
        processes.start([sys.executable, "-c", code], patience=3)

    assert not is_alive(int(file.read_text()))


@pytest.mark.parametrize("number", ENDS)
def test_promise_c3_start_that_is_cut_short_leaves_nothing(
    folder: Folder, number: signal.Signals
) -> None:
    """What it began would otherwise come up later, and nobody would know."""
    slow = install(
        folder.path / "site", "slow", entry_points={"oneiric.adapters": "slow:PLUGIN"}, module=WAITS
    )
    child = folder.start("start", path=slow)
    folder.until((folder.path / "loading").exists)
    pid = int((folder.path / "loading").read_text())
    child.send_signal(number)
    (folder.path / "go").touch()

    assert ended(child)[0] == 128 + number
    assert not is_alive(pid)
    assert folder.call("process-status")[0] == 6


def test_start_believes_no_earlier_process_of_the_same_number(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was killed left a health that says ready, and its number is in use again."""
    monkeypatch.chdir(folder.path)
    file = folder.path / "health.json"
    code = f"""
import json, os, time
told = {{"schema": "oneiric.runtime-health/1", "ready": True, "orchestrator_pid": os.getpid()}}
open({str(file)!r}, "w").write(json.dumps({{**told, "born": "1"}}))
time.sleep(600)
"""
    with pytest.raises(UnavailableError, match="was not ready after 3 s"):
        Operator(folder=folder.path).processes.start(
            [sys.executable, "-c", code], health=file, patience=3
        )


def test_defect_oneiric_o4_stop_ends_no_stranger(folder: Folder) -> None:
    """A process that has the number of an orchestrator that was killed is left alone."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        child = folder.start("orchestrate")
        ready(child)
        lock = folder.path / ".oneiric_cache" / "orchestrator.lock"
        told = json.loads(lock.read_bytes())
        kill(child)
        for born in (told["born"], ""):
            lock.write_text(json.dumps({**told, "pid": stranger.pid, "born": born}))
            assert folder.call("stop")[:2] == (0, "no orchestrator runs in this folder\n")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("command", ["orchestrate", "worker"])
def test_promise_c2_what_serves_logs_to_stdout_where_it_is_told_to(
    folder: Folder, command: str
) -> None:
    """One JSON document a line from its start; stderr has what is said to people."""
    config = folder.path / "oneiric.toml"
    kept = config.read_text() if config.exists() else ""
    sinks = "[logging]\nlevel = 'info'\nemit_json = true\nsinks = [{ target = 'stdout' }]\n"
    config.write_text(f"{kept}\n{sinks}")
    child = folder.start(command)
    assert child.stderr is not None
    said = child.stderr.readline()
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=PATIENCE_SECONDS)
    lines = [line for line in out.splitlines() if line.startswith("{")]

    assert child.returncode == 0
    assert said.startswith(("orchestrator ready", "worker takes"))
    assert "event" not in said + err
    assert {json.loads(line)["level"] for line in lines} >= {"info"}
