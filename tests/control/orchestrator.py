"""An orchestrator at work in a process of its own: what it is asked over its socket, it does.

`python -m tests.control.orchestrator FOLDER [--profile NAME] [--config FILE]` writes `ready` when
it can be asked, and ends at SIGTERM or when it is told to.
"""

from __future__ import annotations

import asyncio
import sys
from argparse import ArgumentParser
from pathlib import Path

from oneiric.core.candidate import Candidate
from oneiric.core.logging import configure_logging
from oneiric.core.plugin import Plugin
from oneiric.demo.plugin import PLUGIN as DEMO
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.control import ControlServer
from oneiric.runtime.serving import ServeOptions
from oneiric.runtime.stop import StopSignals
from oneiric.runtime.work import Work


class Broken:
    """A component that does not come up."""

    def init(self) -> None:
        raise ConnectionError("connection refused")


class Slow:
    """An action that takes as long as it is asked to."""

    async def execute(self, payload: dict[str, float]) -> str:
        """Wait, and say so."""
        await asyncio.sleep(payload["seconds"])
        return "done"


class Lamp:
    """A component that says whether it is healthy."""

    is_well = True

    def health(self) -> bool:
        """Return what was set."""
        return self.is_well


class Dim(Lamp):
    """One that comes up, and is unhealthy ever after its first check."""

    is_well = True

    def health(self) -> bool:
        """Be well once."""
        was, self.is_well = self.is_well, False
        return was


MORE = Plugin(
    [
        Candidate("service:lamp", "oil", Lamp, priority=3),
        Candidate("service:lamp", "gas", Lamp),
        Candidate("service:lamp", "broken", Broken),
        Candidate("service:beacon", "dim", Dim),
        Candidate("action:slow", "own", Slow),
    ]
)


async def serve(folder: Path, config: Path | None, profile: str | None, beat: float) -> None:
    """Be asked until the end is asked for."""
    ended = asyncio.Event()
    with StopSignals() as stop:
        runtime = RuntimeOrchestrator.open(
            folder=folder, path=config, profile=profile, plugins=(DEMO, MORE)
        )
        standing = runtime.serve(ServeOptions()).standing
        async with (
            Work(runtime) as work,
            ControlServer(runtime, work, stop=ended.set, standing=standing, grace=2, beat=beat),
        ):
            stop.then(ended.set)
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await ended.wait()


def main() -> None:
    """Serve as the arguments say."""
    words = ArgumentParser()
    words.add_argument("folder", type=Path)
    words.add_argument("--config", type=Path)
    words.add_argument("--profile")
    words.add_argument("--beat", type=float, default=0.5)
    said = words.parse_args()
    with (said.folder / "orchestrator.log").open("a") as log:
        configure_logging(log, emit_json=True)
        asyncio.run(serve(said.folder, said.config, said.profile, said.beat))


if __name__ == "__main__":
    main()
