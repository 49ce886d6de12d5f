"""An executor of the test's own, and programs for it that say what they are told to."""

import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from oneiric.adapters.executors.process import ProcessExecutor, ProcessExecutorSettings
from oneiric.core.candidate import Candidate
from oneiric.core.handle import Link
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.ports.executor import EXECUTOR, Executor

PROGRAM = """#!{python}
import json, os, pathlib, sys, time
here = pathlib.Path({folder!r})
heard = here / "heard.jsonl"
call = {{"args": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}}
with heard.open("a") as file:
    file.write(json.dumps(call) + "\\n")
answers = json.loads((here / "answers.json").read_text())
number = len(heard.read_text().splitlines()) - 1
answer = answers[min(number, len(answers) - 1)]
sys.stdout.write(answer.get("stdout", ""))
sys.stderr.write(answer.get("stderr", ""))
sys.stdout.flush()
time.sleep(answer.get("seconds", 0))
sys.exit(answer.get("exit", 0))
"""


class Program:
    """A program such as `npx` that gives the answers it was given, one after the other."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / name
        file.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
        file.chmod(0o755)
        self.answers({})

    def answers(self, *answers: Mapping[str, Any]) -> None:
        """Set what it says and does, call by call; the last answer stays."""
        (self.folder / "heard.jsonl").unlink(missing_ok=True)
        (self.folder / "answers.json").write_text(json.dumps(answers))

    def heard(self) -> list[dict[str, Any]]:
        """Return how it was called."""
        file = self.folder / "heard.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]


@asynccontextmanager
async def executing(root: Path, *, path: str) -> AsyncIterator[Link[Executor]]:
    """Bring up an executor of processes below *root*, whose programs have *path* as PATH."""
    settings = ProcessExecutorSettings(root=root, environment={"PATH": path})  # type: ignore[dict-item]
    resolver = Resolver()
    resolver.register(Candidate(EXECUTOR, "process", lambda: ProcessExecutor(settings)))
    async with LifecycleManager(resolver) as lifecycle:
        yield lifecycle.link(EXECUTOR)
