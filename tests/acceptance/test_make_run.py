"""`main.py`, which `make run` runs: the demonstration, at a pipe, as JSON, at a terminal."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.acceptance.commands import ROOT, environment, run

MAIN = str(ROOT / "main.py")
SECONDS = 10.0


def test_the_demonstration_holds_wherever_it_is_started(tmp_path: Path) -> None:
    """In ten seconds: three sources, a decision, two swaps, two bad providers, 0 failed calls."""
    started = time.monotonic()

    finished = run(MAIN, folder=tmp_path)

    assert (finished.code, finished.err) == (0, "")
    assert time.monotonic() - started < SECONDS
    assert list(tmp_path.iterdir()) == []
    assert re.search(r"^\d+ offers from \d+ sources$", finished.out, re.MULTILINE)
    assert "  selected  memory" in finished.out
    assert finished.out.count("bad swap  adapter:cache  ") == 2
    assert re.search(r"^[\d,]+ calls \(.+\), 0 failed$", finished.out, re.MULTILINE)
    assert "\x1b" not in finished.out
    assert re.fullmatch(r"all of it held, in \d\.\d s", finished.out.splitlines()[-1])


def test_the_demonstration_as_json_is_one_document(tmp_path: Path) -> None:
    """Counts, swaps and faults are those of the story; stdout is nothing but JSON."""
    finished = run(MAIN, "--json", folder=tmp_path)

    report = finished.document
    assert (finished.code, finished.err) == (0, "")
    assert next(iter(report)) == "schema"
    assert (report["schema"], report["ok"], report["closed"]) == ("oneiric.demo/1", True, True)
    assert (report["failed"], report["failures"]) == (0, [])
    assert [(fault["ok"], fault["failed_phase"]) for fault in report["faults"]] == [
        (False, "init"),
        (False, "post_swap"),
    ]
    assert [swap["ok"] for swap in report["swaps"]] == [True, True]
    assert min(*report["calls"].values(), report["words"]) > 0
    assert len(report["sources"]) >= 3
    assert report["decision"]["winner"] == "memory"


def test_the_demonstration_logs_as_the_profile_says(tmp_path: Path) -> None:
    """With `serverless` each turn is a line of JSON on stderr; without, it is quiet."""
    finished = run(MAIN, "--json", folder=tmp_path, variables={"ONEIRIC_PROFILE": "serverless"})

    events = [json.loads(line)["event"] for line in finished.err.splitlines()]
    assert (finished.code, finished.document["ok"]) == (0, True)
    assert events.count("component-swapped") == 2
    assert {"component-activated", "swap-failed", "swap-rolled-back"} < set(events)
    assert events[-1] == "component-closed"


def test_the_demonstration_at_a_terminal_moves(tmp_path: Path) -> None:
    """Calls are counted while they are made, and the last lines are those of the story."""
    outer, inner = pty.openpty()
    with subprocess.Popen(
        [sys.executable, MAIN],
        cwd=tmp_path,
        env=environment({"TERM": "xterm", "COLUMNS": "60"}),
        stdin=inner,
        stdout=inner,
        stderr=inner,
    ) as process:
        os.close(inner)
        shown = b""
        while chunk := _read(outer):
            shown += chunk
    os.close(outer)

    text = shown.decode()
    assert process.returncode == 0
    assert re.search(r"[\d,]+ calls +0 failed +served by ", text)
    assert len(set(re.findall(r"([\d,]+) calls", text))) > 5
    assert "Traceback" not in text
    assert re.search(r"all of it held, in \d\.\d s\r\n\Z", text)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux tells that the other end was closed
        return b""


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_an_unknown_profile_ends_it_with_2(arguments: list[str], tmp_path: Path) -> None:
    """One line says what there is; with `--json` it is an envelope on stdout."""
    finished = run(MAIN, *arguments, folder=tmp_path, variables={"ONEIRIC_PROFILE": "serverles"})

    assert finished.code == 2
    what = "there is no profile serverles; did you mean serverless?"
    if arguments:
        error = finished.document["error"]
        assert finished.err == ""
        assert error["details"]["problems"] == [
            {"key": "profile", "what": what, "origin": "ONEIRIC_PROFILE"}
        ]
    else:
        assert finished.out == ""
        assert finished.err.splitlines() == [
            "error[invalid-config]: the configuration of oneiric.toml is wrong",
            f"  profile: {what} (ONEIRIC_PROFILE)",
        ]


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_demonstration_whose_calls_fail_counts_them(arguments: list[str], tmp_path: Path) -> None:
    """It goes on to its end, tells the first failures and what did not hold, and ends with 1."""
    refusing = {"ONEIRIC_ADAPTERS__PROVIDER_SETTINGS": '{"files": {"max_value_bytes": 1}}'}

    finished = run(MAIN, *arguments, folder=tmp_path, variables=refusing)

    assert (finished.code, finished.err) == (1, "")
    if arguments:
        report = finished.document
        assert (report["ok"], report["problems"]) == (False, ["no call failed"])
        assert report["failed"] > len(report["failures"]) == 10
        assert "a value has at most 1 bytes" in report["failures"][0]
    else:
        assert re.search(r" calls \(.+\), [1-9][\d,]* failed\n  a call for caller-", finished.out)
        assert "\ndid not hold: no call failed\nNOT all of it held" in finished.out


def test_an_unknown_option_ends_it_with_2(tmp_path: Path) -> None:
    """Before anything is done."""
    finished = run(MAIN, "--bogus", folder=tmp_path)

    assert (finished.code, finished.out) == (2, "")


def started(folder: Path) -> subprocess.Popen[bytes]:
    """Start the demonstration and wait for its first line.

    It hears interrupts even where the suite does not, put aside by a shell.
    """
    process = subprocess.Popen(
        [sys.executable, MAIN],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    assert b"offers from" in process.stdout.readline()
    return process


def test_lines_come_as_they_are_told_and_a_reader_may_leave(tmp_path: Path) -> None:
    """The first line is there before the end; a pipe closed after it is no traceback."""
    with started(tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (1, b"")


def test_an_interrupted_demonstration_closes_and_ends_with_130(tmp_path: Path) -> None:
    """Ctrl-C is no traceback either."""
    with started(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()

    assert (process.returncode, said) == (130, b"")
