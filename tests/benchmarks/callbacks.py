"""What a callback over HTTP costs, beside a bare aiohttp handler that reads the same JSON."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.scheduler import SchedulerHTTPServer
from oneiric.runtime.work import Work
from tests.benchmarks.measure import Row, Size

AT_ONCE = 16
REPEATS = 5
PATH = "/tasks/workflow"
ASKED = {"workflow": "nothing", "context": {"order": 7}}


class Nothing:
    """A task that does nothing."""

    async def run(self, _payload: object) -> None:
        return None


METADATA = {"dag": {"nodes": [{"id": "a", "task": "nothing"}]}}
OFFERS = Plugin(
    [
        Candidate("task:nothing", "plain", Nothing),
        Candidate("workflow:nothing", "plain", object, metadata=METADATA),
    ]
)


def callbacks(size: Size) -> list[Row]:
    """Measure callbacks in a second, each a run of one no-op step, by several clients at once."""
    return asyncio.run(_callbacks(size))


async def _callbacks(size: Size) -> list[Row]:
    count = max(size.calls // 100, 2 * AT_ONCE)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, checkpoints in (("in memory", False), ("recorded", True)):
            best = floor = 0.0
            async with _ours(Path(folder), checkpoints=checkpoints) as url, _bare() as bare:
                for _ in range(min(size.repeats, REPEATS)):
                    best = max(best, await _per_second(url, count))
                    floor = max(floor, await _per_second(bare, count))
            rows.append(Row(f"callbacks, {name}", best, "/s", floor))
    return rows


@asynccontextmanager
async def _ours(folder: Path, *, checkpoints: bool) -> AsyncIterator[str]:
    runtime = RuntimeOrchestrator.open(folder=folder, plugins=(OFFERS,))
    async with (
        Work(runtime, checkpoints=checkpoints) as work,
        SchedulerHTTPServer(work, port=0) as server,
    ):
        yield server.where.url


@asynccontextmanager
async def _bare() -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    app = web.Application()
    app.router.add_post(PATH, handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


async def _per_second(url: str, count: int) -> float:
    """Return how many posts in a second are answered with 200."""
    numbers = iter(range(count))

    async def post(session: aiohttp.ClientSession) -> None:
        for _ in numbers:
            async with session.post(PATH, json=ASKED) as answer:
                await answer.read()
                assert answer.status == 200

    async with aiohttp.ClientSession(url) as session:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(post(session))
        return count / (time.perf_counter() - started)
