"""A folder, and the orchestrator that runs in it."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oneiric.runtime.answer import View
from oneiric.runtime.live import Live
from oneiric.web.control.client import ControlClient
from tests.faults.children import Child


class House:
    """Start an orchestrator in *folder*, ask it, and end it one way or another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.child: Child | None = None

    @property
    def path(self) -> Path:
        """Its socket."""
        return self.folder / ".oneiric_cache" / "control.sock"

    def start(self, *words: str) -> None:
        """Start it, and return once it can be asked."""
        self.child = Child("tests.control.orchestrator", self.folder, *words)
        self.child.wait_for("ready")

    def kill(self) -> None:
        """Kill it at once."""
        assert self.child is not None
        self.child.kill()
        self.child = None

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it as a person would, and see that it ended well."""
        if self.child is None:
            return
        self.child.signal(signal.SIGCONT)
        self.child.signal(number)
        code = self.child.process.wait(60)
        self.kill()
        assert code == 0
        assert not self.path.exists()

    def asked(self, limit: float = 30.0) -> Live:
        """Return who asks it, and hears nothing for so long at most."""
        return Live(ControlClient(self.path, limit=limit), View)

    def http(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], Any]:
        """Ask over plain HTTP; return status, header fields and body."""
        connection = http.client.HTTPConnection("x")
        connection.sock = self.connected()
        given = {} if body is None else {"Content-Type": "application/json"}
        try:
            connection.request(method, path, body, {**given, **(fields or {})})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_json = "json" in found.get("content-type", "")
        text = json.loads(data) if is_json and data else data.decode()
        return response.status, found, text

    def connected(self) -> socket.socket:
        """Return a connection to its socket."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(60)
        connection.connect(str(self.path))
        return connection
