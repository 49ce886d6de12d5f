"""The command lines of the product's brief, word for word, and fresh checkouts to run them in."""

import fcntl
import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import IO, Any

from tests.acceptance.commands import ROOT, Finished, environment, run

PATIENCE_SECONDS = 60.0
LEFT_BEHIND = shutil.ignore_patterns(
    *(".git", ".venv*", ".oneiric_cache", "build", "dist", "tests"),
    *(".*_cache", ".hypothesis", ".coverage*", "*.egg-info"),
)  # what was compiled is taken along, since that only saves time
READY = "orchestrator ready: "

QUICK_START = r"""
# Demo runner (adapters/events/workflows wired with defaults)
uv run python main.py

# Inspect demo metadata
uv run python -m oneiric.cli --demo list --domain adapter
uv run python -m oneiric.cli --demo explain status --domain service --key status

# Orchestrator inspectors (no long-running loop)
uv run python -m oneiric.cli orchestrate --print-dag --workflow fastblocks.workflows.fulfillment --inspect-json
uv run python -m oneiric.cli orchestrate --events --inspect-json

# Inspect workflow DAG plan (topology + metadata)
uv run python -m oneiric.cli workflow plan \
  --workflow fastblocks.workflows.fulfillment \
  --json

# Remote sync (file or HTTPS manifest)
uv run python -m oneiric.cli remote-sync --manifest docs/sample_remote_manifest.yaml --watch --refresh-interval 120

# Emit events (fan-out/filters/retry proof)
uv run python -m oneiric.cli event emit \
  --topic fastblocks.order.created \
  --payload '{"order_id":"demo-123","region":"us"}' \
  --json

# Run workflows/DAGs once (without enqueueing)
uv run python -m oneiric.cli workflow run \
  --workflow fastblocks.workflows.fulfillment \
  --context '{"order_id":"demo-123"}' \
  --json

# Use stored checkpoints (or disable them) for workflow runs
uv run python -m oneiric.cli workflow run \
  --workflow fastblocks.workflows.fulfillment \
  --workflow-checkpoints \
  --resume-checkpoint \
  --json

# Inspect DAG plan/topology without executing
uv run python -m oneiric.cli orchestrate \
  --print-dag \
  --workflow fastblocks.workflows.fulfillment \
  --inspect-json

# Replay workflow.notify payloads through ChatOps adapters
uv run python -m oneiric.cli action-invoke workflow.notify \
  --workflow fastblocks.workflows.fulfillment \
  --payload '{"message":"Deploy ready","channel":"deploys"}' \
  --send-notification --json

# Long-running orchestrator (with remote refresh + scheduler HTTP server)
uv run python -m oneiric.cli orchestrate \
  --manifest docs/sample_remote_manifest.yaml \
  --refresh-interval 120 \
  --http-port 8080
"""  # noqa: E501  as it is written

SERVERLESS = r"""
# Package the manifest that will be baked into the Cloud Run build
uv run python -m oneiric.cli manifest pack \
  --input docs/sample_remote_manifest.yaml \
  --output build/serverless_manifest.json

# Capture supervisor + health proofs before deploying
ONEIRIC_PROFILE=serverless \
  uv run python -m oneiric.cli supervisor-info --json

ONEIRIC_PROFILE=serverless \
  uv run python -m oneiric.cli health --probe --json \
    --manifest build/serverless_manifest.json

# Run the orchestrator locally with serverless defaults
ONEIRIC_PROFILE=serverless \
  uv run python -m oneiric.cli orchestrate \
    --no-remote \
    --health-path /tmp/runtime_health.json
"""


@dataclass(frozen=True, slots=True)
class Command:
    """One command line: what it says, and what it sets before."""

    words: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """What is set, and what follows the program's name, on one line."""
        words = (f"{name}={value}" for name, value in self.variables.items())
        return " ".join((*words, *self.words)).replace("-m oneiric.cli ", "", 1)


def commands(text: str) -> list[Command]:
    """Return the commands of a block of shell, our own Python in place of `uv run python`."""
    found = []
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        words = shlex.split(line, comments=True)
        count = next((n for n, word in enumerate(words) if "=" not in word), 0)
        variables = dict(word.split("=", 1) for word in words[:count])
        if words:
            assert words[count : count + 3] == ["uv", "run", "python"], line
            found.append(Command(tuple(words[count + 3 :]), variables))
    return found


def ours(line: str, **variables: str) -> Command:
    """Return the command that follows `oneiric.cli` in *line*."""
    return Command(("-m", "oneiric.cli", *shlex.split(line)), variables)


class Checkout:
    """A fresh copy of the repository, as a clone would be, and what was said in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: dict[str, Finished] = {}
        self.noted: dict[str, Any] = {}
        shutil.copytree(ROOT, folder, ignore=LEFT_BEHIND)

    @property
    def cache(self) -> Path:
        """Where state is kept."""
        return self.folder / ".oneiric_cache"

    def do(self, command: Command) -> Finished:
        """Run a command to its end."""
        done = run(*command.words, folder=self.folder, variables=command.variables)
        self.said[command.line] = done
        return done

    def oneiric(self, line: str, **variables: str) -> Finished:
        """Run what follows `oneiric.cli` in *line* to its end."""
        return self.do(ours(line, **variables))

    def kept(self, name: str) -> Any:
        """Return the snapshot *name*, as it is now."""
        return json.loads((self.cache / name).read_bytes())

    @contextmanager
    def served(self, command: Command) -> Iterator[subprocess.Popen[str]]:
        """Have a command go on for as long as the block; then SIGTERM, and it ends."""
        child = subprocess.Popen(
            [sys.executable, *command.words],
            cwd=self.folder,
            env=environment(command.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        watch = Timer(2 * PATIENCE_SECONDS, child.kill)  # no test waits for ever
        watch.daemon = True
        watch.start()
        try:
            yield child
            child.send_signal(signal.SIGTERM)
            out, err = child.communicate(timeout=PATIENCE_SECONDS)
            self.said[command.line] = Finished(child.returncode, out, err)
        finally:
            watch.cancel()
            child.kill()
            child.wait()
            for pipe in (child.stdout, child.stderr):
                if pipe:
                    pipe.close()


def fine(checkout: Checkout, command: Command | str) -> Finished:
    """Return what a command said, which ended with 0 and without a traceback."""
    command = ours(command) if isinstance(command, str) else command
    said = checkout.said[command.line]
    assert said.code == 0, said
    assert "Traceback" not in said.err
    return said


def plain(checkout: Checkout, command: Command | str) -> Any:
    """Return the document that a command printed, and that was all it said."""
    said = fine(checkout, command)
    assert said.err == ""
    assert next(iter(said.document)) == "schema"
    return said.document


def until(pipe: IO[str] | None, sign: str) -> str:
    """Return all lines up to the one that has *sign*; fail where none does."""
    assert pipe is not None
    read = []
    for line in pipe:
        read.append(line)
        if sign in line:
            return "".join(read)
    raise AssertionError("".join(read))


@contextmanager
def alone() -> Iterator[None]:
    """Have port 8080 and /tmp/runtime_health.json, of which a machine has one, to oneself."""
    path = Path(tempfile.gettempdir()) / "oneiric-brief.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def usual_port() -> int:
    """Return 8080 as soon as nobody listens there; another where somebody stays."""
    deadline = time.monotonic() + PATIENCE_SECONDS / 2
    while time.monotonic() < deadline:
        with socket.socket() as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                door.bind(("127.0.0.1", 8080))
            except OSError:
                time.sleep(0.2)
                continue
            return 8080
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port
