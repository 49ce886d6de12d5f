"""What the executor of processes promises beyond its port."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oneiric.adapters.executors import family
from oneiric.adapters.executors.family import MARK
from oneiric.adapters.executors.output import Output
from oneiric.adapters.executors.process import ProcessExecutor, ProcessExecutorSettings
from oneiric.ports import Command, InvalidRequestError, NotFoundError, PermissionDeniedError
from oneiric.text.masking import Masking
from tests.contract.cases import CASES, Find, Surroundings
from tests.contract.test_executor import Heard, children, is_alive, numbers, run, script

PROCESS = "adapter:executor@process"
HERE = Path(__file__).parents[2]
pytestmark = pytest.mark.parametrize(
    "case", [CASES[PROCESS]], ids=["executor@process"], indirect=True
)
RUNS = """
import asyncio, sys
from oneiric.adapters.executors.process import ProcessExecutor, ProcessExecutorSettings
from oneiric.ports import Command

def tell(_, line):
    print(line.decode(), end="", flush=True)

async def main():
    executor = ProcessExecutor(ProcessExecutorSettings(root="/"))
    await executor.init()
    await executor.run(Command(["sh", "-c", sys.argv[1]]), on_output=tell)

asyncio.run(main())
"""


@pytest.fixture(params=["polling", "nothing but polling", "no proc"])
def poor_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A system that lacks what Linux has: descriptors of processes, `waitid`, `/proc`."""
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    if request.param != "polling":
        monkeypatch.delattr(os, "waitid", raising=False)
    if request.param == "no proc":
        monkeypatch.setattr(family, "_PROC", Path("/absent"))
    return str(request.param)


async def test_a_shell_is_refused_unless_it_is_allowed(here: Surroundings) -> None:
    """Which it is not by itself; the refusal says how."""
    executor = ProcessExecutor(ProcessExecutorSettings(root=here.folder))
    await executor.init()
    with pytest.raises(PermissionDeniedError) as caught:
        await executor.run(Command(["touch a"], shell=True))
    await executor.cleanup()

    assert (caught.value.exit_code, "allow_shell" in caught.value.hint) == (3, True)
    assert list(here.folder.iterdir()) == []


async def test_a_root_that_is_gone_or_no_folder_is_no_health(here: Surroundings) -> None:
    """And comes back when the folder does; a program fails meanwhile with what is wrong."""
    root = here.folder / "root"
    executor = ProcessExecutor(ProcessExecutorSettings(root=root))
    await executor.init()
    gone = await executor.health()
    with pytest.raises(NotFoundError):
        await executor.run(Command(["true"]))
    root.symlink_to(root)
    endless = await executor.health()
    root.unlink()
    root.touch()
    file = await executor.health()
    root.unlink()
    root.mkdir()

    assert [bool(each) for each in (gone, endless, file)] == [False] * 3
    assert await executor.health()
    assert (await executor.run(Command(["true"]))).ok
    await executor.cleanup()


async def test_what_it_reads_is_bounded(here: Surroundings, component: Find) -> None:
    """More than that is refused before anything runs."""
    here.changes[PROCESS] = {"max_stdin_bytes": 3}
    executor = await component(PROCESS)

    assert (await run(executor, "cat", stdin=b"abc")).stdout == b"abc"
    with pytest.raises(InvalidRequestError):
        await run(executor, "cat", stdin=b"abcd")


async def test_a_command_cannot_keep_more_than_the_settings_do(
    here: Surroundings, component: Find
) -> None:
    """Though it may keep less."""
    here.changes[PROCESS] = {"max_output_bytes": 3}
    executor = await component(PROCESS)

    assert (await run(executor, "echo", "abcd", max_output_bytes=99)).stdout == b"cd\n"
    assert (await run(executor, "echo", "abcd", max_output_bytes=1)).stdout == b"\n"


async def test_what_is_inherited_and_given_is_set(
    here: Surroundings, component: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name, and values are shown nowhere; a program finds itself by PATH as it is given."""
    monkeypatch.setenv("SEEN", "1")
    monkeypatch.delenv("ABSENT", raising=False)
    here.changes[PROCESS] = {
        "inherit": ["SEEN", "ABSENT"],
        "environment": {"TOKEN": "hunter2"},
    }
    executor = await component(PROCESS)
    path = {"PATH": "/usr/bin:/bin"}
    seen = dict(
        line.split("=", 1)
        for line in (await run(executor, "env", env=path)).stdout.decode().splitlines()
    )

    assert len(seen.pop(MARK)) == 16
    assert seen == {"SEEN": "1", "TOKEN": "hunter2", **path}
    assert "hunter2" not in repr(executor._settings)


async def test_so_many_programs_run_at_once_and_no_more(
    here: Surroundings, component: Find
) -> None:
    """The others wait their turn, and their time begins with it."""
    here.changes[PROCESS] = {"max_processes": 3}
    executor = await component(PROCESS)
    text = "mkdir run.$$; ls -d run.* | wc -l; sleep 0.1; rmdir run.$$"
    results = await asyncio.gather(*(script(executor, text, timeout=30) for _ in range(12)))

    assert all(result.ok for result in results)
    assert max(numbers(result)[0] for result in results) <= 3


async def test_a_daemon_that_left_everything_but_its_mark_is_ended(
    case: object, component: Find
) -> None:
    """Forked twice, in a session of its own, with no pipe of its program's open."""
    executor = await component(PROCESS)
    text = """if True:
        import os, sys, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                with open("pid.new", "w") as file:
                    file.write(str(os.getpid()))
                os.rename("pid.new", "pid")
                os.closerange(0, 3)
                time.sleep(600)
            os._exit(0)
        while not os.path.exists("pid"):
            time.sleep(0.01)
        print(open("pid").read())
    """
    result = await run(executor, sys.executable, "-I", "-c", text)

    assert result.ok, result.stderr
    [pid] = numbers(result)
    assert not is_alive(pid)


async def test_two_hundred_children_are_all_ended(component: Find) -> None:
    """Each in a session of its own, and none listens."""
    executor = await component(PROCESS)
    heard = Heard()
    text = "trap '' TERM; for i in $(seq 200); do setsid sleep 600 & echo $!; done; wait"
    result = await script(executor, text, timeout=3.0, on_output=heard)

    assert result.timed_out
    assert [pid for pid in numbers(result) if is_alive(pid)] == []


async def test_whoever_did_not_start_here_is_left_alone(component: Find) -> None:
    """Neither our own children nor a stranger is a member of a program's family."""
    own = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        executor = await component(PROCESS)
        await script(executor, "setsid sleep 600 & sleep 600", timeout=0.2)
        assert is_alive(own.pid)
    finally:
        own.kill()
        await own.wait()


async def test_programs_within_programs_are_ended_with_the_outer(component: Find) -> None:
    """What an inner executor runs carries both marks, so the outer one knows it too."""
    executor = await component(PROCESS)
    heard = Heard()
    words = [sys.executable, "-c", RUNS, "setsid sh -c 'echo $$; sleep 600' & wait"]
    call = asyncio.create_task(
        run(executor, *words, env={"PYTHONPATH": str(HERE)}, on_output=heard)
    )
    pid = await heard.number()
    assert is_alive(pid)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert not is_alive(pid)


def test_programs_die_with_a_caller_that_is_killed(case: object) -> None:
    """By SIGKILL, of which nobody is told: the small shell beside it sees to that."""
    words = [sys.executable, "-c", RUNS, "sleep 600 & echo $!; echo $$; wait"]
    with subprocess.Popen(words, cwd=HERE, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        pids = [int(caller.stdout.readline()) for _ in range(2)]
        assert all(map(is_alive, pids))
        caller.send_signal(signal.SIGKILL)
        caller.wait()
        _wait_for_the_end(pids)


def _wait_for_the_end(pids: list[int]) -> None:
    deadline = time.monotonic() + 30
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline, "a program outlived its caller"
        time.sleep(0.02)


async def test_the_shell_that_watches_is_replaced_when_it_is_killed(component: Find) -> None:
    """And ended with the executor."""
    executor = await component(PROCESS)
    before = children()
    assert (await run(executor, "true")).ok
    [first] = [line for line in children() if line not in before]
    os.kill(int(first.split()[0]), signal.SIGKILL)
    assert (await run(executor, "true")).ok
    assert (await run(executor, "true")).ok
    assert len(children()) == len(before) + 1
    await executor.cleanup()

    assert children() == before


async def test_a_poor_system_tells_the_end_too(poor_system: str, component: Find) -> None:
    """By looking now and then."""
    executor = await component(PROCESS)
    result = await script(executor, "echo a; exit 3")

    assert (result.exit_code, result.stdout) == (3, b"a\n")
    assert (await script(executor, "kill -9 $$")).signal == "SIGKILL"


async def test_a_poor_system_ends_the_group_too(poor_system: str, component: Find) -> None:
    """At the end of its time, when it is cancelled, and what it left behind."""
    executor = await component(PROCESS)
    left = await script(executor, "sleep 600 & echo $!")
    late = await script(
        executor, "trap '' TERM; sleep 600 & echo $!; echo $$; sleep 600", timeout=0.3
    )
    heard = Heard()
    call = asyncio.create_task(script(executor, "echo $$; exec sleep 600", on_output=heard))
    pid = await heard.number()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert late.timed_out
    _wait_for_the_end([*numbers(left), *numbers(late), pid])


async def test_a_system_that_reaps_by_itself_is_told_apart(component: Find) -> None:
    """Where somebody else takes note of the end, it is an error, and nothing hangs."""
    executor = await component(PROCESS)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with pytest.raises(Exception, match="how the program ended is not known"):
            await run(executor, "true")
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_lines_are_the_same_however_they_come(case: object) -> None:
    """In one piece, or byte by byte."""
    said: list[bytes] = []
    data = b"one\n\ntwo long\r\nthree and more\n\n\nend"
    for size in (1, 2, 3, 7, 99):
        output = Output(
            "stdout", Masking([]), keep=9, line=5, tell=lambda _, line: said.append(line)
        )
        for at in range(0, len(data), size):
            output.feed(data[at : at + size])
        output.end()
        output.end()
        assert b"".join(said) == data
        assert max(map(len, said)) == 5
        assert all(line.endswith(b"\n") or len(line) == 5 for line in said[:-1])
        assert output.kept() == (data[-9:], len(data) - 9)
        said.clear()
