"""What a recipe costs as a whole process, and what its steps cost beside each other."""

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from oneiric.domains.host import host
from oneiric.recipes.options import RunOptions
from oneiric.recipes.running import RecipeRunner
from tests.benchmarks.commands import BARE, LAUNCH
from tests.benchmarks.measure import Row, Size, child_ms

STEPS, READY = 100, 1_000
STEPS_PY = """\
import json

from oneiric.recipes import BaseScriptlet


class Nothing(BaseScriptlet):
    def run(self, ctx, params):
        print('{"status": "ok", "outputs": []}')
        return 0
"""
STEP = "  - {{name: s{}, module: nothing, function: Nothing}}\n"
JUST = "".join(f"s{n}:\n    @:\n" for n in range(STEPS))
TASK = "version: '3'\ntasks:\n" + "".join(
    f"  s{n}: {{cmds: [':'], silent: true}}\n" for n in range(STEPS)
)
DOIT = (
    "def task_s():\n"
    f"    for n in range({STEPS}):\n"
    "        yield {'name': str(n), 'actions': [lambda: None]}\n"
)


def recipes(size: Size) -> list[Row]:
    """Measure an empty recipe and 100 steps by turns with a bare app, and steps in memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bare_typer_app.py").write_text(BARE)
        (folder / "nothing.py").write_text(STEPS_PY)
        for count in (1, STEPS):
            (folder / f"r{count}.yaml").write_text(
                "steps:\n" + "".join(map(STEP.format, range(count)))
            )
        ready = "version: 2\nsteps:\n" + "".join(map(STEP.format, range(READY)))
        (folder / "ready.yaml").write_text(ready)
        return [*_commands(folder, size), _ready(folder, size), *_rivals(folder, size)]


def _commands(folder: Path, size: Size) -> list[Row]:
    def recipe(count: int, *more: str) -> list[str]:
        launch = LAUNCH.format(module="oneiric.cli.app", name="main")
        return [sys.executable, "-c", launch, "recipe", "run", f"r{count}.yaml", *more]

    bare = LAUNCH.format(module="bare_typer_app", name="app")
    subjects = {
        "floor": [sys.executable, "-c", bare, "--help"],
        "one": recipe(1),
        "many": recipe(STEPS),
        "one in memory": recipe(1, "--no-checkpoints"),
        "many in memory": recipe(STEPS, "--no-checkpoints"),
    }
    found = {name: _best(command, folder, size) for name, command in subjects.items()}
    stored = (found["many"] - found["one"]) / (STEPS - 1)
    kept = (found["many in memory"] - found["one in memory"]) / (STEPS - 1)
    return [
        Row("oneiric recipe run, one step", found["one"], "ms", found["floor"]),
        Row("oneiric recipe run, a further step", max(stored, 0.0), "ms"),
        Row("oneiric recipe run, a further step in memory", max(kept, 0.0), "ms"),
        Row(f"oneiric recipe run, {STEPS} steps", found["many"], "ms", found["floor"]),
    ]


def _best(command: list[str], folder: Path, size: Size) -> float:
    """Return the least CPU time of a command, after one round that writes the byte code."""
    return min(child_ms(command, str(folder), str(folder))[1] for _ in range(size.processes + 1))


def _ready(folder: Path, size: Size) -> Row:
    """Measure steps that wait for nobody, in memory, by the second of CPU time."""

    async def ran() -> float:
        async with host(folder=folder, checkpoints=False) as on:
            runner = RecipeRunner(on)
            compiled = runner.compile(folder / "ready.yaml", RunOptions(allow_modules=("nothing",)))
            began = time.process_time()
            run = await runner.run(compiled)
            assert run.state == "succeeded", run.error
            return time.process_time() - began

    path = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        least = min(asyncio.run(ran()) for _ in range(min(size.repeats, 5)))
    finally:
        sys.path[:] = path
        sys.modules.pop("nothing", None)
    return Row(f"{READY:,} ready steps of a recipe in memory, a second", READY / least, "")


def _rivals(folder: Path, size: Size) -> list[Row]:
    """Measure 100 no-op steps of whatever other runners are installed."""
    (folder / "justfile").write_text(JUST)
    (folder / "Taskfile.yml").write_text(TASK)
    (folder / "dodo.py").write_text(DOIT)
    names = [f"s{n}" for n in range(STEPS)]
    found = []
    for tool, arguments in (("just", names), ("task", names), ("doit", ["run"])):
        program = shutil.which(tool)
        if program is None:
            sys.stderr.write(f"{tool} is not installed: skipped\n")
            continue
        best = _best([program, *arguments], folder, size)
        found.append(Row(f"{tool}, {STEPS} steps", best, "ms"))
    return found
