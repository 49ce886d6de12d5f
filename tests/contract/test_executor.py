"""Every executor keeps what the port `Executor` promises."""

import asyncio
import base64
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from oneiric.ports import (
    Command,
    CommandResult,
    Executor,
    InvalidRequestError,
    NotFoundError,
    OutputCallback,
    PermissionDeniedError,
    UnavailableError,
    check_command,
)
from oneiric.ports.executor import StreamName
from oneiric.text.redaction import MASK
from tests.contract.cases import Find, ProviderCase, Surroundings, for_each

SECRET = "hunter2/horse battery"
PATIENCE_SECONDS = 60.0
"""More than any of these may take, and less than what they would wait for when broken."""

Line = tuple[StreamName, bytes]


@pytest.fixture
async def executor(case: ProviderCase, component: Find) -> Executor:
    """The executor of the case; `root` is the test's folder."""
    found: Executor = await component(case.offer)
    return found


async def run(
    executor: Executor, *args: str, on_output: OutputCallback | None = None, **limits: Any
) -> CommandResult:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await executor.run(Command(args, **limits), on_output=on_output)


async def script(executor: Executor, text: str, **limits: Any) -> CommandResult:
    return await run(executor, "sh", "-c", text, **limits)


async def python(executor: Executor, text: str, **limits: Any) -> CommandResult:
    return await run(executor, sys.executable, "-I", "-c", text, **limits)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet reaped does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state not in b"ZX"


def numbers(result: CommandResult) -> list[int]:
    return [int(word) for word in result.stdout.split()]


class Heard:
    """Listen, and tell when a line begins with some text."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._news = asyncio.Event()

    def __call__(self, stream: StreamName, line: bytes) -> None:
        self.lines.append((stream, line))
        self._news.set()

    async def number(self) -> int:
        """Return the number in the first line."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.lines:
                self._news.clear()
                await self._news.wait()
        return int(self.lines[0][1])


@for_each("executor")
async def test_a_program_is_run_to_its_end(executor: Executor) -> None:
    """Both streams come back apart, and how it ended is told."""
    result = await script(executor, "echo out; echo err >&2; exit 3")

    assert (result.stdout, result.stderr) == (b"out\n", b"err\n")
    assert (result.exit_code, result.signal, result.timed_out) == (3, None, False)
    assert (result.ok, result.reason) == (False, "ended with exit code 3")
    assert (result.stdout_dropped, result.stderr_dropped) == (0, 0)
    assert result.duration_ms > 0
    assert (await run(executor, "true")).ok


@for_each("executor")
async def test_defect_validation_c1_arguments_are_handed_over_as_they_are(
    executor: Executor,
) -> None:
    """No shell reads them, so nothing in them means anything."""
    words = ["; touch escaped #", "$(id)", "*", "", "--", "two words", "äöü", "\udcff", "\n"]
    text = "import os, sys; sys.stdout.buffer.write(b'|'.join(map(os.fsencode, sys.argv[1:])))"
    result = await run(executor, sys.executable, "-I", "-c", text, *words)

    assert result.stdout == b"|".join(os.fsencode(word) for word in words)


@for_each("executor")
async def test_the_signal_that_ended_it_is_named(executor: Executor) -> None:
    """And there is no exit code then."""
    result = await script(executor, "kill -9 $$")

    assert (result.exit_code, result.signal) == (None, "SIGKILL")
    assert result.reason == "was ended by SIGKILL"


@for_each("executor")
async def test_what_it_used_is_told(executor: Executor) -> None:
    """Seconds of a processor, and memory where it is more than the caller's."""
    text = "x = bytearray(1 << 30); sum(range(1_000_000))"
    result = await python(executor, text)

    assert result.ok, result.stderr
    assert result.cpu_seconds > 0
    assert (result.peak_memory_bytes or 0) > 1 << 29
    small = await run(executor, "true")
    assert small.peak_memory_bytes is None or small.peak_memory_bytes < 1 << 29


@for_each("executor")
async def test_defect_validation_b4_it_reads_what_it_is_given_and_then_the_end(
    executor: Executor,
) -> None:
    """However much that is; without anything the end comes at once, and no terminal is there."""
    data = os.urandom(3_000_000)

    assert (await run(executor, "cat", stdin=data)).stdout == data
    assert (await run(executor, "cat")).stdout == b""
    assert (await run(executor, "true", stdin=data)).ok
    assert not (await script(executor, "exec 3</dev/tty")).ok


@for_each("executor")
async def test_defect_validation_c4_it_sees_the_variables_it_was_given_and_no_others(
    executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PATH and the like aside, nothing of this process's environment is inherited."""
    monkeypatch.setenv("SOME_API_KEY", "k")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    result = await run(executor, "env", env={"GIVEN": "a=b c", "LANG": "over"})

    seen = dict(line.split("=", 1) for line in result.stdout.decode().splitlines())
    assert (seen["GIVEN"], seen["LANG"], seen["LC_ALL"]) == ("a=b c", "over", "C.UTF-8")
    assert "PATH" in seen
    assert "SOME_API_KEY" not in seen


@for_each("executor")
async def test_it_starts_in_its_folder(executor: Executor, here: Surroundings) -> None:
    """Below the root, named by its path from there or from the top."""
    inner = here.folder / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "tool").write_text("#!/bin/sh\npwd -P\n")
    (inner / "tool").chmod(0o755)

    for cwd in ("a/b", str(inner)):
        assert (await run(executor, "./tool", cwd=cwd)).stdout.decode() == f"{inner.resolve()}\n"
    assert (await run(executor, "pwd")).stdout.decode() == f"{here.folder.resolve()}\n"


@for_each("executor")
async def test_no_folder_outside_of_the_root(executor: Executor, here: Surroundings) -> None:
    """Not by its path, nor by a link; and what is none at all is told apart."""
    (here.folder / "out").symlink_to("/")
    (here.folder / "file").touch()
    (here.folder / "loop").symlink_to("loop")

    for cwd in ("..", "/", "/etc", "a/../..", "out", "out/etc", "loop", "file", "a\0"):
        with pytest.raises(InvalidRequestError):
            await run(executor, "true", cwd=cwd)
    with pytest.raises(NotFoundError, match="no folder absent"):
        await run(executor, "true", cwd="absent")


@for_each("executor")
async def test_what_cannot_be_run_says_why(executor: Executor, here: Surroundings) -> None:
    """Each with its own error, and with what to do about it."""
    for name, text, mode in [
        ("plain", "echo", 0o644),
        ("headless", "\x7fELF", 0o755),
        ("orphan", "#!/absent/interpreter\n", 0o755),
    ]:
        (here.folder / name).write_text(text)
        (here.folder / name).chmod(mode)
    wrong: list[tuple[type[Exception], tuple[str, ...]]] = [
        (NotFoundError, ("absent-program",)),
        (NotFoundError, ("./orphan",)),
        (PermissionDeniedError, ("./plain",)),
        (InvalidRequestError, ("./headless",)),
        (InvalidRequestError, ("true", "x" * 5_000_000)),
    ]

    for kind, args in wrong:
        with pytest.raises(kind) as caught:
            await run(executor, *args)
        assert getattr(caught.value, "hint", ""), args
    for name in ("./absent", "x" * 5000, "/" + "x" * 5000, "a/" * 3000):
        with pytest.raises(NotFoundError, match="no program"):
            await run(executor, name)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Command([]), "name no program"),
        (Command([""]), "name no program"),
        (Command("ls -l"), "no list of texts"),
        (Command(["ls", "a\0b"]), "argument 1 holds a NUL"),
        (Command(["ls", "\ud800"]), "argument 1 is no Unicode text"),
        (Command(["ls", 7]), "argument 1 is no text"),  # type: ignore[list-item]
        (Command(["ls", "-l"], shell=True), "one text"),
        (Command(["ls"], env={"A=B": ""}), "a name that no variable can have"),
        (Command(["ls"], env={"A": "\0"}), "the variable A holds a NUL"),
        (Command(["ls"], stdin="text"), "no bytes"),  # type: ignore[arg-type]
        (Command(["ls"], timeout=0), "above zero"),
        (Command(["ls"], timeout=float("nan")), "above zero"),
        (Command(["ls"], max_output_bytes=-1), "below zero"),
    ],
)
def test_defect_validation_b2_a_command_that_nobody_could_mean_is_refused(
    command: Command, reason: str
) -> None:
    """Whatever the provider; a limit of zero seconds is no default in disguise."""
    with pytest.raises(InvalidRequestError, match=reason):
        check_command(command)


@for_each("executor")
async def test_a_shell_reads_text_where_that_is_allowed(
    executor: Executor, here: Surroundings
) -> None:
    """The whole text, and nothing besides."""
    result = await run(executor, "echo $((1 + 1)) | cat; echo $0", shell=True)

    assert result.stdout.splitlines()[0] == b"2"


@for_each("executor")
async def test_defect_validation_b3_of_long_output_the_last_is_kept_and_the_rest_counted(
    executor: Executor,
) -> None:
    """Of each stream, and no program waits for its reader."""
    text = "import os; os.write(2, b'e' * 5); [os.write(1, b'%9d\\n' % n) for n in range(100_000)]"
    result = await python(executor, text, max_output_bytes=20)

    assert result.ok
    assert result.stdout == b"    99998\n    99999\n"
    assert result.stdout_dropped == 999_980
    assert (result.stderr, result.stderr_dropped) == (b"eeeee", 0)
    nothing = await script(executor, "echo abc", max_output_bytes=0)
    assert (nothing.stdout, nothing.stdout_dropped) == (b"", 4)


@for_each("executor")
async def test_lines_are_told_as_they_come(executor: Executor) -> None:
    """Before the end of the program, which goes on only once its line was heard."""
    heard = Heard()

    async def answer() -> None:
        await heard.number()
        await run(executor, "touch", "flag")

    text = "echo 7; until test -e flag; do sleep 0.01; done; echo err >&2; printf end"
    result, _ = await asyncio.gather(script(executor, text, on_output=heard), answer())

    assert result.ok
    assert sorted(heard.lines) == [("stderr", b"err\n"), ("stdout", b"7\n"), ("stdout", b"end")]


@for_each("executor")
async def test_a_line_without_end_comes_in_pieces(executor: Executor) -> None:
    """So it is bounded, as everything is."""
    heard = Heard()
    result = await python(executor, "print('x' * 1_000_000)", on_output=heard)

    pieces = [piece for _, piece in heard.lines]
    assert b"".join(pieces) == result.stdout
    assert max(map(len, pieces)) < 200_000
    assert len(pieces) > 1


@for_each("executor")
async def test_a_listener_that_fails_ends_the_program(executor: Executor) -> None:
    """And its error is the caller's."""
    pids: list[int] = []

    def listen(_: StreamName, line: bytes) -> None:
        pids.append(int(line))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await script(executor, "echo $$; exec sleep 600", on_output=listen)
    assert not is_alive(pids[0])


@for_each("executor")
async def test_secrets_are_masked_in_every_form_and_between_pieces(executor: Executor) -> None:
    """Neither the listener nor the result has them."""
    forms = [SECRET, base64.b64encode(SECRET.encode()).decode(), quote(SECRET, safe="")]
    text = """if True:
        import os, sys, time
        for word in sys.stdin.read().splitlines():
            for byte in word.encode() + b"|":
                os.write(1, bytes([byte])); os.write(2, bytes([byte])); time.sleep(0.0002)
            os.write(1, b"\\n")
    """
    heard = Heard()
    stdin = "\n".join(forms).encode()
    result = await python(executor, text, stdin=stdin, mask=[SECRET], on_output=heard)

    assert result.stdout.decode() == f"{MASK}|\n" * 3
    assert result.stderr.decode() == f"{MASK}|" * 3
    told = b"".join(line for stream, line in heard.lines if stream == "stdout")
    assert told == result.stdout


@for_each("executor")
async def test_at_the_end_of_its_time_it_is_ended_and_what_it_said_is_kept(
    executor: Executor,
) -> None:
    """By itself, when it is asked."""
    text = "trap 'echo bye; exit 0' TERM; echo hello; while :; do sleep 0.01; done"
    result = await script(executor, text, timeout=2.0)

    assert (result.timed_out, result.ok, result.exit_code) == (True, False, 0)
    assert result.stdout == b"hello\nbye\n"
    assert result.reason.startswith("took too long")


@for_each("executor")
@pytest.mark.parametrize(
    "text",
    [
        "trap '' TERM; sleep 600 & echo $!; echo $$; sleep 600",
        "kill -STOP $$",
        "for i in 1 2 3 4 5 6 7 8; do sleep 600 & echo $!; done; wait",
        "(trap '' TERM; sleep 600 & echo $!; wait) & echo $!; sleep 600",
        "setsid sh -c 'trap \"\" TERM; echo $$; sleep 600' & wait",
    ],
    ids=["deaf", "stopped", "many", "deaf child", "other session"],
)
async def test_defect_validation_b1_a_time_limit_ends_the_whole_family(
    executor: Executor, text: str
) -> None:
    """Whatever it does about signals, and whoever holds the pipes."""
    result = await script(executor, text, timeout=0.5)

    assert result.timed_out
    assert [pid for pid in numbers(result) if is_alive(pid)] == []


@for_each("executor")
@pytest.mark.parametrize(
    "text",
    [
        "sleep 600 & echo $!",
        "(sleep 600 & echo $!) & exit 0",
        "setsid sh -c 'echo $$; exec sleep 600' & until test -s pid; do sleep 0.01; done",
        "sh -c 'trap \"\" TERM HUP; echo $$; sleep 600 & wait' & sleep 0.1",
    ],
    ids=["child", "grandchild", "other session", "deaf"],
)
async def test_nothing_outlives_its_program(executor: Executor, text: str) -> None:
    """Nobody waits for what it left behind, either: that is ended with it."""
    text = text.replace("until test -s pid; do sleep 0.01; done", "sleep 0.2")
    result = await script(executor, text)

    assert result.ok
    assert numbers(result)
    assert [pid for pid in numbers(result) if is_alive(pid)] == []


@for_each("executor")
async def test_a_last_word_from_the_background_is_heard(executor: Executor) -> None:
    """As from `tee`, which ends a moment after the program."""
    result = await script(executor, "(sleep 0.02; echo late) & echo early")

    assert result.ok
    assert result.stdout == b"early\nlate\n"


@for_each("executor")
@pytest.mark.parametrize("times", [1, 2])
async def test_a_cancelled_call_is_over_when_the_program_is_dead(
    executor: Executor, times: int
) -> None:
    """However often it is cancelled."""
    heard = Heard()
    text = "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 600' & wait; sleep 600"
    call = asyncio.create_task(script(executor, text, on_output=heard))
    pid = await heard.number()
    for _ in range(times):
        call.cancel()
        await asyncio.sleep(0.01)

    with pytest.raises(asyncio.CancelledError):
        await call
    assert not is_alive(pid)


@for_each("executor")
async def test_when_the_executor_is_closed_all_programs_end(
    case: ProviderCase, executor: Any
) -> None:
    """Their calls fail as unavailable, and so do those that come later."""
    heard = Heard()
    call = asyncio.create_task(script(executor, "echo $$; exec sleep 600", on_output=heard))
    pid = await heard.number()
    await executor.cleanup()

    assert not is_alive(pid)
    for late in (call, run(executor, "true")):
        with pytest.raises(UnavailableError):
            await late
    await executor.init()
    assert (await run(executor, "true")).ok


@for_each("executor")
async def test_the_loop_goes_on_while_a_program_talks_without_pause(executor: Executor) -> None:
    """It is read piece by piece, and memory stays bounded."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    counting = asyncio.create_task(count())
    result = await run(executor, "yes", timeout=1.0, max_output_bytes=100)
    counting.cancel()

    assert result.stdout == b"y\n" * 50
    assert result.stdout_dropped > 1_000_000
    assert turns > 10


def descriptors() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def children() -> list[str]:
    """This process's children, living and dead."""
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == os.getpid():
            found.append(f"{place.parent.name} {'dead' if fields[0] in b'ZX' else 'alive'}")
    return sorted(found)


@for_each("executor")
async def test_two_hundred_programs_leave_nothing(executor: Executor) -> None:
    """No descriptor, no zombie, no process: of those that ended, were cancelled or killed."""
    heard = Heard()

    async def one(number: int) -> None:
        kinds: list[Callable[[], Any]] = [
            lambda: run(executor, "true"),
            lambda: run(executor, "cat", stdin=b"x" * 100_000),
            lambda: run(executor, "sleep", "600", timeout=0.05),
            lambda: asyncio.wait_for(run(executor, "sleep", "600"), number / 1000),
            lambda: script(executor, "sleep 600 & exit 1"),
            lambda: run(executor, "absent-program"),
            lambda: script(executor, "echo x; sleep 600", on_output=_fails),
            lambda: run(executor, "yes", timeout=0.02, max_output_bytes=10),
        ]
        await asyncio.gather(kinds[number % len(kinds)](), return_exceptions=True)

    await run(executor, "true", on_output=heard)
    before = descriptors(), children()
    await asyncio.gather(*(one(number) for number in range(200)))

    assert (descriptors(), children()) == before


def _fails(_: StreamName, line: bytes) -> None:
    raise ZeroDivisionError(time.monotonic())
