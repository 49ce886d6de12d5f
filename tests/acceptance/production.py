"""A small production on loopback, and the programs that the brief's users have on their PATH."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.acceptance.commands import ROOT, Finished, run

GOOD: Mapping[tuple[str, str], object] = {
    ("GET", "/"): {"name": "shop"},
    ("GET", "/health"): {"status": "ok"},
    ("GET", "/api/users"): [],
    ("GET", "/api/auth"): {},
    ("GET", "/api/auth/session"): {"user": None},
    ("POST", "/api/auth/login"): {"token": "t-1"},
}
PROGRAM = '#!/bin/sh\necho "$0 $*"\n'


@dataclass
class Production:
    """What answers, and what was asked: `answers` can be changed at will."""

    url: str = ""
    answers: dict[tuple[str, str], object] = field(default_factory=lambda: dict(GOOD))
    heard: list[tuple[str, str]] = field(default_factory=list)
    waits: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, production: Production, *given: object) -> None:
        self._production = production
        super().__init__(*given)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer by method and path; `/slow` only when it is told to go on."""
        production = self._production
        self.rfile.read(int(self.headers.get("content-length") or 0))
        production.heard.append((self.command, self.path))
        if self.path == "/slow":
            production.waits.set()
            production.goes_on.wait(60)
        found = production.answers.get((self.command, self.path))
        body = json.dumps(found).encode()
        self.send_response(404 if found is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_OPTIONS = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of callers that were killed."""


@contextmanager
def serving() -> Iterator[Production]:
    """Serve a production that is well, on a port of its own."""
    production = Production()
    server = _Server(("127.0.0.1", 0), partial(_Answers, production))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    production.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield production
    finally:
        production.goes_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def programs(folder: Path) -> dict[str, str]:
    """Put a small `pnpm` into *folder*, and return the variables with which it is found."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "pnpm"
    file.write_text(PROGRAM)
    file.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


def validation(
    *arguments: str, folder: Path, variables: Mapping[str, str] | None = None
) -> Finished:
    """Run `oneiric validation` in *folder*."""
    return run("-m", "oneiric.cli", "validation", *arguments, folder=folder, variables=variables)


def oneiric_validate(
    *arguments: str, folder: Path, variables: Mapping[str, str] | None = None
) -> Finished:
    """Run the console script `oneiric-validate` in *folder*."""
    script = Path(sys.executable).parent / "oneiric-validate"
    return run(str(script), *arguments, folder=folder, variables=variables)
