"""A process that keeps a service up and does what it is told, a line each: a child of tests."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from oneiric.config import load_config
from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.settings import SECTIONS, VARIABLES
from tests.runtime.followed import REF, say
from tests.runtime.supervised import Faults, Machine


async def obey(folder: Path) -> None:
    """Run a supervisor, and do what each line of stdin says, to its end."""
    faults = Faults()
    offer = Candidate(REF, "steam", partial(Machine, faults, "steam"))
    config = load_config(SECTIONS, folder=folder, variables=VARIABLES)
    async with (
        RuntimeOrchestrator(config, plugins=(Plugin([offer]),)) as runtime,
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(runtime.supervisor.run())
        say("up")
        while word := (await asyncio.to_thread(sys.stdin.readline)).strip():
            said = "done"
            match word:
                case "crash":
                    for machine in faults.up:
                        machine.crashed = True
                case "made":
                    said = str(faults.made["steam"])
                case "state":
                    (service,) = runtime.supervisor.status().services
                    said = str(service.state)
            say(said)
        running.cancel()


if __name__ == "__main__":
    asyncio.run(obey(Path(sys.argv[1])))
