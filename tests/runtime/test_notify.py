"""What the service manager is told."""

import logging
import os
import socket
from pathlib import Path

import pytest

from oneiric.runtime.notify import ServiceManager
from oneiric.testing import ManualClock


def test_everything_is_a_datagram_of_its_own(tmp_path: Path) -> None:
    """No line of a status can be taken for another assignment."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(10)
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")}, ManualClock())
        manager.ready("well\nSTOPPING=1")
        manager.status("busy")
        manager.alive()
        manager.reloading()
        manager.stopping()
        heard = [listener.recv(1_024).decode().splitlines() for _ in range(5)]

    assert heard[0] == ["READY=1", "STATUS=well STOPPING=1", f"MAINPID={os.getpid()}"]
    assert heard[1:3] == [["STATUS=busy"], ["WATCHDOG=1"]]
    assert heard[3][0] == "RELOADING=1"
    assert heard[3][1].startswith("MONOTONIC_USEC=")
    assert heard[4] == ["STOPPING=1", "STATUS=stopping"]


def test_a_manager_that_cannot_be_told_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing is raised; without a socket nothing is said at all."""
    with caplog.at_level(logging.WARNING):
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")}, ManualClock())
        manager.ready("well")
        manager.alive()
        ServiceManager({}, ManualClock()).ready("well")
        ServiceManager({"NOTIFY_SOCKET": "vsock:2:1234"}, ManualClock()).ready("well")

    assert [record.getMessage().split()[0] for record in caplog.records] == ["notify-failed"]


@pytest.mark.parametrize(
    ("process", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-1"}, 0.0),
    ],
)
def test_signs_of_life_come_at_half_of_what_is_waited(
    process: dict[str, str], seconds: float
) -> None:
    """None where nobody waits for this process."""
    assert ServiceManager(process, ManualClock()).watchdog_seconds == seconds
