"""Log events reach every sink that is configured, and no sink holds anybody up."""

import io
import json
import logging
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from oneiric.core.logging import ROOT, configure_logging, get_logger
from oneiric.runtime.log_sinks import FileSink, HTTPSink, Places, log_to
from oneiric.runtime.settings import LoggingSettings
from oneiric.text.tracing import Doing, at_work

SECRET = "hunter2"
RUN = "019b76da-a800-7000-8000-000000000001"


class Receiver:
    """A receiver of lines; `answer` gives the status of each post."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], list[dict[str, Any]]]] = []
        self.statuses: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        told = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.gate.wait(30)
                status = told.statuses.pop(0) if told.statuses else 204
                if status < 300:
                    lines = [json.loads(line) for line in body.splitlines()]
                    told.posts.append((dict(self.headers), lines))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/logs?tenant=a"

    @property
    def events(self) -> list[str]:
        return [line["event"] for _, lines in self.posts for line in lines]

    def stop(self) -> None:
        self.gate.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Leave the loggers as they were found."""
    root = logging.getLogger(ROOT)
    before = (root.handlers[:], root.level, root.propagate)
    yield
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level, root.propagate = before


class Sinks:
    """Sinks as configured, with streams of their own, and what they dropped."""

    def __init__(self, folder: Path, *sinks: dict[str, Any], serves: bool = False, **more: Any):
        self.stderr, self.stdout, self.lost = io.StringIO(), io.StringIO(), Counter[str]()
        self.known = set[str]()
        settings = LoggingSettings.model_validate({"sinks": sinks, **more})
        places = Places(folder, self.stderr, self.stdout if serves else None)
        self.handlers = log_to(settings, places, debug=False, dropped=self._dropped)
        self.log = get_logger("oneiric.tests")

    def _dropped(self, sink: str, count: int) -> None:
        self.lost += Counter({sink: count})  # which keeps no zeros
        self.known.add(sink)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_each_sink_has_its_level_and_its_form(tmp_path: Path) -> None:
    """What is below the level of a sink is written to others only."""
    sinks = Sinks(
        tmp_path,
        {"target": "stderr", "level": "warning"},
        {"target": "file", "path": "all.log", "level": "debug", "emit_json": True},
        level="info",
    )

    sinks.log.debug("small", n=1)
    sinks.log.warning("large", password=SECRET, url=f"redis://me:{SECRET}@h/0")

    lines = [json.loads(line) for line in (tmp_path / "all.log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["small", "large"]
    assert (lines[1]["password"], lines[1]["level"]) == ("**********", "warning")
    assert "event=large" in sinks.stderr.getvalue()
    assert "small" not in sinks.stderr.getvalue()
    assert SECRET not in sinks.stderr.getvalue() + (tmp_path / "all.log").read_text()


def test_defect_no_value_looks_like_another_key_or_another_event(tmp_path: Path) -> None:
    """In lines of text what could be read as anything else is quoted, as in JSON."""
    forged = "x\n2026-01-01T00:00:00Z level=error event=forged"
    sinks = Sinks(tmp_path, {"target": "stderr"}, level="info")

    sinks.log.info("said", plain="/tasks/a-1", two="a b", empty="", name="a=b", quoted='a"b')
    sinks.log.info("said", reason=forged, **{"a b": 1})
    logging.getLogger(f"{ROOT}.tests").info(forged)
    try:
        raise ValueError(forged)
    except ValueError:
        sinks.log.exception("failed", nested={"a": forged})

    lines = sinks.stderr.getvalue().splitlines()
    events = [line for line in lines if line.startswith("timestamp=")]
    said = 'plain=/tasks/a-1 two="a b" empty="" name="a=b" quoted="a\\"b"'
    assert len(events) == 4
    assert f"level=info event=said {said} logger=" in events[0]
    assert json.dumps(forged) in events[1]
    assert '"a b"=1' in events[1]
    assert f"event={json.dumps(forged)}" in events[2]
    assert all(line.startswith("    ") for line in lines if line not in events)
    assert "    2026-01-01T00:00:00Z level=error event=forged" in lines


@pytest.mark.parametrize("serves", [True, False])
def test_promise_c2_only_who_serves_logs_to_stdout(serves: bool, tmp_path: Path) -> None:
    """A command keeps stdout for its answer; its events go to stderr instead."""
    sinks = Sinks(tmp_path, {"target": "stdout"}, serves=serves)

    sinks.log.warning("told")

    assert ("told" in sinks.stdout.getvalue(), "told" in sinks.stderr.getvalue()) == (
        serves,
        not serves,
    )


def test_what_is_at_work_is_in_every_event() -> None:
    """Run, step, component and trace, for both kinds of loggers; an event's own keys come first."""
    stream = io.StringIO()
    configure_logging(stream, emit_json=True)
    with at_work(Doing("task", "t", "p", RUN, "a", words=(RUN, "a", "1"))):
        get_logger("oneiric.tests").warning("one")
        logging.getLogger("oneiric.other").warning("two", extra={"domain": "adapter"})
    get_logger("oneiric.tests").warning("three")

    one, two, three = map(json.loads, stream.getvalue().splitlines())
    assert {name: one[name] for name in ("domain", "key", "provider", "run", "step")} == {
        "domain": "task",
        "key": "t",
        "provider": "p",
        "run": RUN,
        "step": "a",
    }
    assert (one["trace_id"], len(one["span_id"])) == (RUN.replace("-", ""), 16)
    assert (two["domain"], two["run"], two["span_id"]) == ("adapter", RUN, one["span_id"])
    assert "trace_id" not in three


def test_files_are_rotated_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    """At most so many, none much larger than said; made with the first line only."""
    old = os.umask(0)
    try:
        sinks = Sinks(
            tmp_path, {"target": "file", "path": "a.log", "max_bytes": 2_000, "backup_count": 2}
        )
        assert list(tmp_path.iterdir()) == []
        for number in range(100):
            sinks.log.warning("said", number=number, text="x" * 100)
    finally:
        os.umask(old)

    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["a.log", "a.log.1", "a.log.2"]
    assert all(path.stat().st_size <= 2_000 for path in tmp_path.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert "number=99" in (tmp_path / "a.log").read_text()


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "nowhere"])
def test_a_file_that_cannot_be_written_stops_nobody(kind: str, tmp_path: Path) -> None:
    """Lines are dropped and counted; it is told once, where that can be read."""
    path = tmp_path / "below" / "a.log"
    if kind != "nowhere":
        path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif kind == "pipe":
        os.mkfifo(path)
    sinks = Sinks(tmp_path, {"target": "stderr"}, {"target": "file", "path": "below/a.log"})

    for _ in range(3):
        sinks.log.warning("said")

    assert sinks.lost == {"file-1": 3}
    assert sinks.stderr.getvalue().count("log-sink-failed") == 1
    assert sinks.stderr.getvalue().count("event=said") == 3
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("below/a.log", "no such file or directory"),
        (".", "is a directory"),
        ("/dev/null", "it is no regular file"),
    ],
)
def test_defect_it_is_told_why_a_file_is_not_written(
    path: str, reason: str, tmp_path: Path
) -> None:
    """As the system says, so that somebody can mend it."""
    sinks = Sinks(tmp_path, {"target": "stderr"}, {"target": "file", "path": path})

    sinks.log.warning("said")

    (told,) = [line for line in sinks.stderr.getvalue().splitlines() if "log-sink-failed" in line]
    assert f'reason="{reason}"' in told


def test_a_full_disk_is_told_once_and_writing_goes_on_when_it_can(tmp_path: Path) -> None:
    """`/dev/full` is refused as no regular file, so the stream is made to fail."""
    lost = Counter[str]()
    sink = FileSink(tmp_path / "a.log", most=10_000, kept=1, dropped=lambda n: lost.update(lost=n))
    sink.setFormatter(logging.Formatter("%(message)s"))
    record = logging.LogRecord("oneiric.x", logging.WARNING, "", 0, "said", (), None)
    sink.emit(record)
    good = sink.stream
    sink.stream = Path("/dev/full").open("w")  # noqa: SIM115

    sink.emit(record)
    sink.emit(record)
    with pytest.raises(OSError, match="No space"):
        sink.stream.close()
    sink.stream = good
    sink.emit(record)
    sink.close()

    assert lost["lost"] == 2
    assert (tmp_path / "a.log").read_text() == "said\nsaid\n"


def test_lines_are_posted_as_json_with_the_token(tmp_path: Path, receiver: Receiver) -> None:
    """Always JSON, in order, as many at a time as are there."""
    sinks = Sinks(tmp_path, {"target": "http", "endpoint": receiver.url, "token": SECRET})

    for number in range(250):
        sinks.log.warning("said", number=number)
    sinks.handlers[0].close()

    numbers = [line["number"] for _, lines in receiver.posts for line in lines]
    headers, first = receiver.posts[0]
    assert numbers == list(range(250))
    assert (headers["Authorization"], headers["Content-Type"]) == (
        f"Bearer {SECRET}",
        "application/x-ndjson",
    )
    assert max(len(lines) for _, lines in receiver.posts) <= 100
    assert {"timestamp", "level", "logger"} <= set(first[0])
    assert sinks.lost == {}


def test_a_receiver_that_hangs_costs_lines_and_no_time(tmp_path: Path, receiver: Receiver) -> None:
    """The buffer is bounded; what finds it full is dropped and counted."""
    receiver.gate.clear()
    sinks = Sinks(tmp_path, {"target": "http", "endpoint": receiver.url, "buffer": 10})

    for number in range(500):
        sinks.log.warning("said", number=number)
    assert sinks.lost["http-0"] == 490
    receiver.gate.set()
    until(lambda: len(receiver.events) == 10)
    sinks.handlers[0].close()

    assert sinks.lost["http-0"] == 490


def test_defect_an_alert_sees_the_first_line_that_a_sink_loses(tmp_path: Path) -> None:
    """What was lost is told from the start, as 0: an alert sees only what grows."""
    sinks = Sinks(tmp_path, {"target": "stderr"}, {"target": "file", "path": "a.log"})

    assert (sinks.known, sinks.lost) == ({"stderr-0", "file-1"}, {})


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_receiver_that_is_busy_gets_the_same_lines_again(
    status: int, tmp_path: Path, receiver: Receiver
) -> None:
    """Nothing is lost, and the trouble is told once, elsewhere."""
    receiver.statuses = [status, status]
    sinks = Sinks(tmp_path, {"target": "stderr"}, {"target": "http", "endpoint": receiver.url})

    sinks.log.warning("said")
    until(lambda: receiver.events == ["said"])
    sinks.handlers[1].close()

    assert sinks.stderr.getvalue().count("log-sink-failed") == 1
    assert sinks.lost == {}


def test_what_a_receiver_refuses_is_dropped_and_what_comes_later_is_not(
    tmp_path: Path, receiver: Receiver
) -> None:
    """A redirect is a refusal too: the token goes nowhere else."""
    receiver.statuses = [400, 302]
    sinks = Sinks(tmp_path, {"target": "http", "endpoint": receiver.url})

    def settled(lines: int) -> bool:
        return sinks.lost["http-0"] + len(receiver.events) == lines

    for number in range(3):
        sinks.log.warning("said", number=number)
        until(partial(settled, number + 1))
    sinks.handlers[0].close()

    ((_, (line,)),) = receiver.posts
    assert (sinks.lost["http-0"], line["number"]) == (2, 2)


def test_closing_ends_within_its_limit_whoever_hangs() -> None:
    """A receiver that accepts and never answers; what was not taken is counted."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        lost = Counter[str]()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        sink = HTTPSink(url, token="", limits=(100, 60.0), dropped=lambda n: lost.update(lost=n))
        sink.emit(logging.LogRecord("oneiric.x", logging.WARNING, "", 0, "said", (), None))
        began = time.monotonic()
        sink.close()

        assert time.monotonic() - began < 20
        assert lost["lost"] == 1


@pytest.mark.parametrize(
    "sink",
    [
        {"target": "file"},
        {"target": "stderr", "path": "x"},
        {"target": "http"},
        {"target": "file", "path": "x", "endpoint": "https://h/"},
        {"target": "http", "endpoint": "http://logs.example/"},
        {"target": "http", "endpoint": f"https://me:{SECRET}@logs.example/"},
        {"target": "http", "endpoint": "ftp://logs.example/"},
        {"target": "http", "endpoint": "https://h:port/"},
        {"target": "file", "path": "x", "backup_count": 0},
        {"target": "syslog"},
        {"target": "file", "pth": "x"},
    ],
)
def test_a_sink_that_makes_no_sense_is_refused(sink: dict[str, Any]) -> None:
    """And what was typed is not repeated where it may be a secret."""
    with pytest.raises(ValidationError) as caught:
        LoggingSettings.model_validate({"sinks": [sink]})

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": f"{SECRET}\n"},
        {"token": f"{SECRET}\u20ac"},
        {"endpoint": "http://127.0.0.1:1/l\u00f6g"},
        {"endpoint": "http://127.0.0.1:1/?tenant=\u00e9"},
        {"endpoint": "http://127.0.0.1:1/a b"},
        {"endpoint": "https://logs..example/"},
    ],
    ids=["token-line", "token-sign", "path", "query", "blank", "host"],
)
def test_defect_what_no_request_can_carry_ends_no_sink(wrong: dict[str, str]) -> None:
    """It is refused where it is configured; the thread of a sink would end with it, and tell it."""
    sink = {"target": "http", "endpoint": "http://127.0.0.1:1/", **wrong}

    with pytest.raises(ValidationError) as caught:
        LoggingSettings.model_validate({"sinks": [sink]})

    assert SECRET not in str(caught.value)


def test_defect_what_an_exception_says_is_masked_whoever_logs_it(tmp_path: Path) -> None:
    """Passwords in texts and addresses, from our loggers as from those of the library."""
    sinks = Sinks(tmp_path, {"target": "stderr"}, {"target": "file", "path": "a.log"})
    own, other = get_logger("oneiric.own"), logging.getLogger("oneiric.other")

    for log in (own, other):
        try:
            raise ValueError(f"password={SECRET} at redis://me:{SECRET}@host/0")
        except ValueError:
            log.exception("broken")

    for text in (sinks.stderr.getvalue(), (tmp_path / "a.log").read_text()):
        assert SECRET not in text
        assert text.count("ValueError: password=**********") == 2


def test_a_command_with_sinks_answers_on_stdout_alone(tmp_path: Path, receiver: Receiver) -> None:
    """A real process: its lines arrive before it has ended, and none is mixed into its answer."""
    (tmp_path / "oneiric.toml").write_text(
        "[logging]\nlevel = 'info'\nsinks = [\n"
        "  { target = 'stdout' },\n"
        "  { target = 'file', path = 'a.log', emit_json = true },\n"
        f"  {{ target = 'http', endpoint = '{receiver.url}', token = '{SECRET}' }},\n]\n"
    )

    done = subprocess.run(
        [
            *(sys.executable, "-m", "oneiric.cli", "action-invoke", "compression.hash"),
            *("--payload", '{"text": "abc"}', "--json"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout)["ref"] == "action:compression.hash"
    assert "event=component-activated" in done.stderr
    assert "component-activated" in (tmp_path / "a.log").read_text()
    assert "component-closed" in receiver.events
    shown = subprocess.run(
        [sys.executable, "-m", "oneiric.cli", "config", "show"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert SECRET not in shown.stdout + shown.stderr + done.stderr
