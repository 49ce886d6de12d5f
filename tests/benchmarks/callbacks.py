"""What a callback over HTTP costs, beside a bare aiohttp handler that reads the same JSON."""

import asyncio
import base64
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
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
PATH, EVENTS = "/tasks/workflow", "/events"
ASKED: Mapping[str, object] = {"workflow": "nothing", "context": {"order": 7}}
DATA = base64.b64encode(b'{"order": 7}').decode()


class Nothing:
    """A task that does nothing."""

    async def run(self, _payload: object) -> None:
        return None


class Deaf:
    """A handler that does nothing."""

    async def handle(self, _event: object) -> None:
        return None


METADATA = {"dag": {"nodes": [{"id": "a", "task": "nothing"}]}}
OFFERS = Plugin(
    [
        Candidate("task:nothing", "plain", Nothing),
        Candidate("workflow:nothing", "plain", object, metadata=METADATA),
        Candidate("event:nothing", "plain", Deaf),
    ]
)


Body = Mapping[str, object]


def callbacks(size: Size) -> list[Row]:
    """Measure callbacks in a second, each a run of one no-op step, by several clients at once.

    So are events that are pushed: each is told to one handler that does nothing.
    """
    rows = asyncio.run(_rows(size, "callbacks", PATH, lambda number: ASKED))
    return rows + asyncio.run(_rows(size, "pushed events", EVENTS, _push))


def _push(number: int) -> Body:
    message = {"data": DATA, "messageId": str(number), "attributes": {"ce-type": "order.created"}}
    return {"message": message, "subscription": "projects/p/subscriptions/orders"}


async def _rows(size: Size, name: str, path: str, body: Callable[[int], Body]) -> list[Row]:
    count = max(size.calls // 100, 2 * AT_ONCE)
    rows, numbers = [], itertools.count()
    for how, checkpoints in (("in memory", False), ("recorded", True)):
        best = floor = 0.0
        with tempfile.TemporaryDirectory() as folder:
            async with _ours(Path(folder), checkpoints=checkpoints) as url, _bare(path) as bare:
                for _ in range(min(size.repeats, REPEATS)):
                    bodies = [body(next(numbers)) for _ in range(count)]
                    best = max(best, await _per_second(url, path, bodies))
                    floor = max(floor, await _per_second(bare, path, bodies))
        rows.append(Row(f"{name}, {how}", best, "/s", floor))
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
async def _bare(path: str) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response(await request.json())

    app = web.Application()
    app.router.add_post(path, handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()


async def _per_second(url: str, path: str, bodies: Sequence[Body]) -> float:
    """Return how many posts in a second are answered with 200."""
    left = iter(bodies)

    async def post(session: aiohttp.ClientSession) -> None:
        for body in left:
            async with session.post(path, json=body) as answer:
                await answer.read()
                assert answer.status == 200

    async with aiohttp.ClientSession(url) as session:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(post(session))
        return len(bodies) / (time.perf_counter() - started)
