"""Tell the service manager that started this process how it stands."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from oneiric.runtime.serving_log import log_notify_failed

if TYPE_CHECKING:
    from oneiric.clock import Clock

_LONGEST = 200


class ServiceManager:
    """Send what systemd understands to the socket that it named; without one send nothing.

    What cannot be sent is logged once and stops nothing.

    Source: sd_notify(3), "Standalone Implementations".

    Args:
        process: the variables by which the service manager talks to this process.
        clock: tells when a reload began.
    """

    def __init__(self, process: Mapping[str, str], clock: Clock) -> None:
        self._address = process.get("NOTIFY_SOCKET", "")
        self._clock = clock
        self._troubled = False
        self.watchdog_seconds = _watchdog(process)
        """Seconds between two signs of life, or 0 where nobody waits for any."""

    def ready(self, status: str) -> None:
        """Tell that everything is up."""
        self._send("READY=1", f"STATUS={_line(status)}", f"MAINPID={os.getpid()}")

    def reloading(self) -> None:
        """Tell that everything is being read anew; `ready` ends that."""
        microseconds = int(self._clock.monotonic() * 1_000_000)
        self._send("RELOADING=1", f"MONOTONIC_USEC={microseconds}", "STATUS=reloading")

    def stopping(self) -> None:
        """Tell that the end has begun."""
        self._send("STOPPING=1", "STATUS=stopping")

    def status(self, text: str) -> None:
        """Tell in words how it stands."""
        self._send(f"STATUS={_line(text)}")

    def alive(self) -> None:
        """Give a sign of life."""
        self._send("WATCHDOG=1")

    async def keep_alive(self) -> None:
        """Give a sign of life at half of the time after which one is missed, without end."""
        while True:
            self.alive()
            await self._clock.sleep(self.watchdog_seconds)

    def _send(self, *lines: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(0)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            if not self._troubled:
                log_notify_failed(error.strerror or type(error).__name__)
            self._troubled = True
        else:
            self._troubled = False


def _line(text: str) -> str:
    return text.replace("\n", " ")[:_LONGEST]


def _watchdog(process: Mapping[str, str]) -> float:
    """Return half of what the service manager waits, where it waits for this process."""
    wanted, pid = process.get("WATCHDOG_USEC", ""), process.get("WATCHDOG_PID", "")
    if not (wanted.isascii() and wanted.isdigit()) or pid not in ("", str(os.getpid())):
        return 0.0
    return int(wanted) / 2_000_000
