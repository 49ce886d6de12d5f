"""A process that takes callbacks for the demonstration's workflows, until SIGTERM."""

import asyncio
import logging
import sys
from pathlib import Path

from oneiric.demo.plugin import PLUGIN
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.scheduler import SchedulerHTTPServer
from oneiric.runtime.stop import StopSignals
from oneiric.runtime.work import Work
from tests.faults.appender import say


async def serve(folder: Path) -> None:
    """Say the port, and serve."""
    ended = asyncio.Event()
    runtime = RuntimeOrchestrator.open(folder=folder, plugins=(PLUGIN,))
    with StopSignals() as stop:
        async with Work(runtime) as work, SchedulerHTTPServer(work, port=0) as server:
            stop.then(ended.set)
            say("port", server.where.port)
            await ended.wait()
    say("ended")


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # callbacks that shall come again
    asyncio.run(serve(Path(sys.argv[1])))
