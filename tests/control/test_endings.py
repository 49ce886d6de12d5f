"""What a command does when the orchestrator that it asks is gone, dead, stopped or slow."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from oneiric.errors import JSONValue, LockedError, UnavailableError
from tests.cli.calls import Call, document
from tests.control.house import House

SLOW: dict[str, JSONValue] = {"action": "slow", "payload": {"seconds": 2.5}}
PATIENCE_SECONDS = 60.0


def test_promise_c1_after_kill_9_verbs_act_on_what_is_stored(house: House, here: Call) -> None:
    """The socket lies there still, and nobody listens; the next orchestrator takes its place."""
    house.start()
    assert document(here("swap", "status", "--provider", "counting", "--json"))["applied"] == "live"
    house.kill()
    assert house.path.is_socket()
    told = document(here("--demo", "swap", "status", "--clear", "--json"))
    assert told["applied"] == "stored"
    assert document(here("list", "--json"))["applied"] == "local"
    assert document(here("activity", "--json"))["applied"] == "stored"
    house.start()
    assert document(here("list", "--json"))["applied"] == "live"


def test_promise_c1_one_that_is_stopped_is_no_reason_to_store(house: House, here: Call) -> None:
    """It is asked and does not answer: exit code 5, and nothing is done here instead."""
    house.start()
    assert house.child is not None
    house.child.signal(signal.SIGSTOP)
    code, out, err = here("pause", "payment")
    assert (code, out) == (5, "")
    assert err.startswith("error[unavailable]: the orchestrator at ")
    assert err.endswith("hint: it may be stopped or hang; nothing was done here instead\n")
    house.child.signal(signal.SIGCONT)


def test_what_takes_long_is_waited_for_while_there_is_a_sign_of_life(house: House) -> None:
    """An answer may take longer than nothing may be heard; one that dies meanwhile is noticed."""
    house.start("--beat", "0.2")
    assert house.child is not None
    assert house.asked(limit=1.5).ask("action-invoke", SLOW).document["result"] == "done"
    command = [sys.executable, "-c", _ASK, str(house.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "asking\n"
        time.sleep(0.5)
        house.child.signal(signal.SIGSTOP)
        assert "was not heard for 1.5 s" in asking.communicate(timeout=60)[0]
    house.child.signal(signal.SIGCONT)


_ASK = """
import sys
from pathlib import Path
from oneiric.errors import UnavailableError
from oneiric.web.control.client import ControlClient
print("asking", flush=True)
asked = {"action": "slow", "payload": {"seconds": 600}}
try:
    client = ControlClient(Path(sys.argv[1]), limit=1.5)
    client.ask("/v1/action-invoke", asked, reads=False, headers={})
except UnavailableError as error:
    print(error.message)
"""


def test_a_run_goes_on_when_its_client_goes_away(house: House, here: Call) -> None:
    """Who asked for it is interrupted and ends; the orchestrator finishes it, and has it stored."""
    house.start()
    context = json.dumps({"text": "a b c", "seconds": 1.5})
    words = ["workflow", "run", "word-report", "--context", context]
    with subprocess.Popen(
        [sys.executable, "-m", "oneiric.cli", *words],
        cwd=house.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]},
    ) as client:
        _until(lambda: _states(here) == ["running"])
        client.send_signal(signal.SIGINT)
        assert client.wait(60) == 130
    _until(lambda: _states(here) == ["succeeded"])


def test_one_that_is_killed_while_it_is_asked_is_told_so(house: House) -> None:
    """What was asked may have been done, so nothing is done here instead."""
    house.start()
    command = [sys.executable, "-c", _ASK.replace("limit=1.5", "limit=60"), str(house.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stdout.readline() == "asking\n"
        time.sleep(1.0)
        house.kill()
        assert "went away before it answered" in asking.communicate(timeout=60)[0]


def test_the_end_that_is_asked_for_is_a_good_one(house: House, here: Call) -> None:
    """The verb answers first; then everything is closed, and the socket is gone."""
    house.start()
    assert house.child is not None
    assert house.asked().ask("stop", {}).document["pid"] == house.child.process.pid
    assert house.child.process.wait(60) == 0
    assert not house.path.exists()
    house.kill()


def test_a_second_one_in_the_same_folder_is_refused(house: House) -> None:
    """The first keeps its socket, and answers on."""
    house.start()
    done = subprocess.run(
        [sys.executable, "-m", "tests.control.orchestrator", str(house.folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert LockedError.__name__ in done.stderr
    assert house.asked().ask("ping", {}).exit_code == 0


def test_what_cannot_be_reached_is_not_taken_for_gone(house: House, here: Call) -> None:
    """A socket that its owner keeps from us is an error, not a reason to store."""
    house.path.parent.mkdir()
    house.path.mkdir()  # connecting to a folder is refused, as is what is not listened at
    assert document(here("--demo", "list", "--json"))["applied"] == "local"
    with pytest.raises(UnavailableError, match="no orchestrator"):
        _liar(house)


def _liar(house: House) -> None:
    """Ask somebody who listens, and is no orchestrator."""
    house.path.rmdir()
    liar = subprocess.Popen(
        [sys.executable, "-c", _LIE, str(house.path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert liar.stdout is not None
        assert liar.stdout.readline() == "ready\n"
        house.asked().ask("list", {})
    finally:
        liar.kill()
        liar.communicate()


_LIE = """
import socket, sys
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[1])
listening.listen()
print("ready", flush=True)
asked, _ = listening.accept()
asked.recv(65536)
asked.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
asked.recv(1)
"""


def _states(here: Call) -> list[str]:
    code, out, _ = here("--demo", "workflow", "runs", "word-report", "--json")
    return [run["state"] for run in json.loads(out)["runs"]] if code == 0 else []


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)
