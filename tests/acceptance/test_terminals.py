"""`oneiric` at a terminal and at broken ends: completion, narrow windows, closed streams."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from oneiric.cli.app import COMMANDS
from oneiric.clock import SystemClock
from tests.acceptance.commands import environment, oneiric, run
from tests.remote.sites import configure, entry, publisher, signed

COMPLETIONS = [
    (
        "oneiric ",
        1,
        set(COMMANDS),
    ),
    ("oneiric remote-status --", 2, {"--json", "--help"}),
    ("oneiric ex", 1, {"explain"}),
    ("oneiric swap --", 2, {"--provider", "--clear", "--dry-run", "--json", "--help"}),
    ("oneiric --demo config ", 3, {"show"}),
    ("oneiric config show --", 3, {"--sources", "--json", "--help"}),
]


@pytest.mark.parametrize(("line", "word", "expected"), COMPLETIONS)
def test_the_shell_completes_commands_and_their_options(
    line: str, word: int, expected: set[str], tmp_path: Path
) -> None:
    """A command is imported only to complete what is its own."""
    variables = {
        "_ONEIRIC_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(word),
    }

    finished = oneiric(folder=tmp_path, variables=variables)

    assert (finished.code, finished.err) == (0, "")
    assert set(finished.out.split()) == expected


def test_the_completion_script_can_be_shown(tmp_path: Path) -> None:
    """It calls the program by its name and speaks the protocol above."""
    command = f"{sys.executable} -m oneiric.cli --show-completion; exit $?"
    finished = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert "_ONEIRIC_COMPLETE=complete_bash" in finished.stdout


def test_a_reader_that_leaves_early_is_no_traceback(tmp_path: Path) -> None:
    """A pipe closed before or while the command prints ends it quietly."""
    command = [sys.executable, "-m", "oneiric.cli", "--demo", "list", "--json"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
@pytest.mark.parametrize("arguments", ["list", "list --json", "config show --json"])
def test_promise_c3_a_full_disk_is_unavailable_and_no_bug(arguments: str, tmp_path: Path) -> None:
    """What the system refuses ends with 5; it is no mistake of the program.

    The envelope of `--json` cannot be written there either, so the line is told on stderr.
    """
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "oneiric.cli", *arguments.split()],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 5
    assert done.stderr == "error[unavailable]: no space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_promise_c3_an_error_that_finds_the_disk_full_is_told_on_stderr(tmp_path: Path) -> None:
    """What was wrong, and its exit code, are not lost with the envelope."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "oneiric.cli", "explain", "adapter:nope", "--json"],
            cwd=tmp_path,
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 6
    assert done.stderr.startswith("error[no-candidate]: no candidate is registered for")


COMMAND = f"{sys.executable} -m oneiric.cli"


@pytest.mark.parametrize("arguments", ["list", "--demo list --json", "--version", "--help"])
def test_promise_c3_a_closed_stdout_is_unavailable_and_no_bug(
    arguments: str, tmp_path: Path
) -> None:
    """Before anything is done, in one line on stderr, also with `--json`."""
    done = subprocess.run(
        ["bash", "-c", f"{COMMAND} {arguments} >&-"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (5, "error[unavailable]: stdout is closed\n")


def test_a_closed_stderr_stops_nothing(tmp_path: Path) -> None:
    """Warnings have nowhere to go; the data and the exit code are there all the same."""
    (tmp_path / "oneiric.toml").write_text("[adapters.provider_settings.nobody]\na = 1\n")
    for arguments, code in (("list", 0), ("explain nobody", 6)):
        done = subprocess.run(
            ["bash", "-c", f"{COMMAND} {arguments} 2>&-"],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, bool(done.stdout)) == (code, code == 0)


def test_promise_c3_a_deleted_folder_is_unavailable_and_no_bug(tmp_path: Path) -> None:
    """The line says what is missing; nothing named it."""
    gone = tmp_path / "gone"
    gone.mkdir()
    program = f"import os; os.rmdir({str(gone)!r}); from oneiric.cli.app import main; "
    for arguments in (["list"], ["explain", "cache"], ["config", "show"]):
        gone.mkdir(exist_ok=True)
        line = f"import sys; sys.argv = {['oneiric', *arguments]!r}; {program} main()"

        assert tuple(run("-P", "-c", line, folder=gone)) == (
            5,
            "",
            "error[unavailable]: the working directory: no such file or directory\n",
        )


def at_terminal(*arguments: str, folder: Path, columns: int) -> tuple[int, str]:
    """Run `oneiric` at a terminal of *columns* and return exit code and what it showed."""
    outer, inner = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", *arguments],
        cwd=folder,
        env=environment({"COLUMNS": str(columns), "TERM": "xterm"}),
        stdin=inner,
        stdout=inner,
        stderr=inner,
    ) as process:
        os.close(inner)
        shown = b""
        while chunk := read_terminal(outer):
            shown += chunk
    os.close(outer)
    return process.returncode, shown.decode()


def read_terminal(descriptor: int) -> bytes:
    """Return what is there to read; a terminal whose other end closed has nothing."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("command", ["list --shadowed", "explain payment", "plugins"])
def test_a_narrow_terminal_loses_no_text(command: str, columns: int, tmp_path: Path) -> None:
    """No line is wider than the terminal and no word is cut away."""
    code, shown = at_terminal("--demo", *command.split(), folder=tmp_path, columns=columns)

    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown.splitlines()]
    assert code == 0
    assert max(map(len, lines)) <= columns
    assert "…" not in shown


def test_a_download_shows_its_progress_by_a_plain_name(tmp_path: Path) -> None:
    """What the publisher named it steers no terminal, and no secret of an address is shown."""
    with publisher(SystemClock()) as site:
        configure(tmp_path, signed(tmp_path, site))
        path = "/[bold]data.bin?token=s3cret/x"
        artifact = site.artifact(path, bytes(200_000), kind="file")
        site.publish(entry("a", "acme", artifact=artifact))

        code, shown = at_terminal("remote-sync", folder=tmp_path, columns=100)

    assert (code, "s3cret" in shown) == (0, False)
    assert "[bold]data.bin" in shown
    assert "200.0/200.0 kB" in re.sub(r"\x1b\[[0-9;]*m", "", shown)


def test_logs_and_data_take_separate_ways(tmp_path: Path) -> None:
    """A configuration that logs JSON changes stderr only."""
    variables = {"ONEIRIC_LOGGING__EMIT_JSON": "true", "ONEIRIC_LOGGING__LEVEL": "debug"}
    finished = oneiric("list", "--json", folder=tmp_path, variables=variables)

    assert finished.code == 0
    assert finished.document["schema"] == "oneiric.list/1"
    for line in finished.err.splitlines():
        json.loads(line)
