"""A process that runs an orchestrator and does what it is told, a line each: a child of tests."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

from oneiric.demo.plugin import PLUGIN
from oneiric.errors import OneiricError
from oneiric.runtime import RuntimeOrchestrator
from tests.acceptance.commands import ROOT, environment

REF = "service:payment"
DATABASE = ".oneiric_cache/domain_activity.sqlite"


class Child:
    """The process, seen from the test."""

    def __init__(self, folder: Path, *, module: str = "tests.runtime.followed") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert self._read() == "up"

    def do(self, word: str) -> str:
        """Have it do something, and return what it says."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        return self._read()

    def end(self) -> int:
        """Have it leave in order, and return its exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(30)

    def kill(self) -> None:
        """Kill it, if it still runs, and let go of it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def say(word: str) -> None:
    """Answer the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def attempt(runtime: RuntimeOrchestrator) -> str:
    """Tell whether a call is let in."""
    try:
        async with runtime.lifecycle.use(REF):
            return "accepted"
    except OneiricError as error:
        return f"refused {error.message}"


async def hold(runtime: RuntimeOrchestrator, entered: asyncio.Event, go: asyncio.Event) -> None:
    """Be in flight until told to go."""
    async with runtime.lifecycle.use(REF):
        entered.set()
        await go.wait()


async def obey(folder: Path) -> None:
    """Run the orchestrator, and do what each line of stdin says, to its end."""
    go, locks = asyncio.Event(), []
    async with (
        RuntimeOrchestrator.open(folder=folder, plugins=(PLUGIN,)) as runtime,
        asyncio.TaskGroup() as group,
    ):
        say("up")
        while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
            said = "done"
            match word:
                case "try":
                    said = await attempt(runtime)
                case "hold":
                    entered = asyncio.Event()
                    group.create_task(hold(runtime, entered, go))
                    await entered.wait()
                case "go":
                    go.set()
                    await asyncio.sleep(0)
                case "lock":
                    locks.append(sqlite3.connect(folder / DATABASE, isolation_level=None))
                    locks[-1].execute("BEGIN EXCLUSIVE")
            say(said)
        go.set()


if __name__ == "__main__":
    asyncio.run(obey(Path(sys.argv[1])))
