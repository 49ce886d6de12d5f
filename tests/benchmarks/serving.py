"""How soon an orchestrator is ready, beside the imports that any server of its kind needs."""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.acceptance.commands import environment
from tests.benchmarks.commands import LAUNCH, SAMPLE
from tests.benchmarks.measure import Row, Size, child_ms

FLOOR = [sys.executable, "-c", "import aiohttp.web, pydantic, structlog, yaml"]
_READY = "orchestrator ready: "


def serving(size: Size) -> list[Row]:
    """Measure the time until the serverless profile is ready, by turns with the floor."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(SAMPLE, Path(folder) / SAMPLE.name)
        words = ("--profile", "serverless", "orchestrate")
        manifest = (*words, "--manifest", SAMPLE.name)
        ready: dict[str, list[float]] = {"nothing": [], "a manifest": []}
        floor = []
        for number in range(size.processes + 1):
            found = {
                "nothing": _ready_ms(words, folder),
                "a manifest": _ready_ms(manifest, folder),
            }
            took, _ = child_ms(FLOOR, folder, folder)
            if number:  # the first round writes the byte code
                floor.append(took)
                for name, figure in found.items():
                    ready[name].append(figure)
    least = min(floor)
    return [
        Row(f"orchestrator until ready, serverless, {name}", min(figures), "ms", least)
        for name, figures in ready.items()
    ]


def _ready_ms(words: tuple[str, ...], folder: str) -> float:
    """Return the milliseconds from the start of a process until it is ready, and end it."""
    launch = LAUNCH.format(module="oneiric.cli.app", name="main")
    command = [sys.executable, "-c", launch, *words]
    started = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stderr is not None
        is_ready = any(line.startswith(_READY) for line in child.stderr)
        spent = time.perf_counter() - started
        child.send_signal(signal.SIGTERM)
        child.stderr.read()
    if not is_ready or child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return spent * 1e3
