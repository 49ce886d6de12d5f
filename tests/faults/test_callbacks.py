"""Callbacks under SIGKILL, from two processes, and beside clients that only waste time."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.faults.children import Child
from tests.faults.test_work_kills import FINISHED, counted
from tests.faults.work_folder import LONG_SECONDS, PATIENCE_SECONDS, Folder
from tests.runtime.callbacks import Answer, cloud_task, http, push
from tests.web.served import say

IDLE = 1_000


class Server(Child):
    """A process that takes callbacks."""

    def __init__(self, folder: Path) -> None:
        super().__init__("tests.faults.callback_server", folder)
        self.wait_for("port", seconds=PATIENCE_SECONDS)
        self.port = int(self.lines()[-1].split()[1])

    async def post(self, body: object, *fields: str) -> Answer:
        return await say(self.port, http(body, *fields))

    async def insist(self, body: object, *fields: str) -> list[Answer]:
        """Push again and again, as Cloud Tasks does, until it is taken; return every answer."""
        answers, deadline = [await self.post(body, *fields)], time.monotonic() + PATIENCE_SECONDS
        while answers[-1][0] >= 300:
            assert time.monotonic() < deadline, answers[-1]
            await asyncio.sleep(0.1)
            answers.append(await self.post(body, *fields))
        return answers


def end(server: Server) -> None:
    """Kill it, unless that was done."""
    assert server.process.stdout is not None
    if not server.process.stdout.closed:
        server.kill()


@pytest.fixture
def servers(folder: Folder) -> Iterator[Any]:
    """Start servers in the folder, and end those that are left."""
    with ExitStack() as stack:

        def start() -> Server:
            server = Server(folder.path)
            stack.callback(end, server)
            return server

        yield start


def asked(seconds: float) -> dict[str, Any]:
    return {"workflow": "word-report", "context": {"text": "a b", "seconds": seconds}}


@pytest.mark.parametrize("form", ["task", "push"])
async def test_defect_oneiric_h1_a_callback_that_was_killed_is_finished_by_the_next(
    folder: Folder, servers: Any, form: str
) -> None:
    """`kill -9` in its middle: the next delivery goes on, and repeats no recorded step."""
    body = asked(LONG_SECONDS) if form == "task" else push(asked(LONG_SECONDS))
    fields = cloud_task("t-1") if form == "task" else ()
    folder.configure(lease=600)
    first, second = servers(), servers()
    pushed = asyncio.create_task(first.post(body, *fields))
    await asyncio.to_thread(folder.until_paused)
    first.signal(signal.SIGSTOP)
    early = await second.post(body, *fields)
    first.kill()
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        await pushed
    answers = await second.insist(body, *fields)

    assert (early[0], early[2]["error"]["code"]) == (503, "locked")
    status, _, told = answers[-1]
    assert (status, told["state"]) == (200, "succeeded")
    assert counted(folder.events(told["run_id"])) == FINISHED
    assert counted(folder.events()) == FINISHED


async def test_promise_w8_two_processes_that_get_one_task_make_one_run(
    folder: Folder, servers: Any
) -> None:
    """Each of twenty is pushed to both at once, and every step of it is recorded once."""
    folder.configure(lease=600)  # however slow the machine, nobody seems dead
    both = [servers(), servers()]
    names = [f"t-{n}" for n in range(20)]

    answers = await asyncio.gather(
        *(each.insist(asked(0), *cloud_task(name)) for name in names for each in both)
    )

    runs = {each[-1][2]["run_id"] for each in answers}
    assert len(runs) == len(names)
    assert {each[-1][0] for each in answers} == {200}
    assert [counted(folder.events(run)) for run in runs] == [dict.fromkeys(FINISHED, 1)] * 20


async def test_promise_c4_a_server_that_is_told_to_stop_finishes_its_callbacks(
    folder: Folder, servers: Any
) -> None:
    """SIGTERM: whoever waits is answered, and the process ends by itself."""
    folder.configure(lease=600)
    server = servers()
    pushed = asyncio.create_task(server.post(asked(LONG_SECONDS), *cloud_task("t-1")))
    await asyncio.to_thread(folder.until_paused)
    server.signal(signal.SIGTERM)
    status, _, told = await pushed
    await asyncio.to_thread(server.wait_for, "ended", seconds=PATIENCE_SECONDS)

    assert (status, told["state"]) == (200, "succeeded")


async def test_idle_connections_keep_no_callback_out(servers: Any) -> None:
    """A thousand that say nothing, or never finish what they say, while callbacks are answered."""
    server = servers()
    lines = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(IDLE)]
    slow = http(asked(0))
    for n, (_, writer) in enumerate(lines):
        part = (b"", b"POST /tasks/workflow HTTP/1.1\r\nX: ", slow[:-1])[n % 3]
        if n < 60:  # so many wait for their body, within the number that is taken on
            writer.write(part)
    answers = await asyncio.gather(
        *(server.insist(asked(0), *cloud_task(f"t-{n}")) for n in range(20))
    )
    for _, writer in lines:
        writer.close()

    assert {each[-1][0] for each in answers} == {200}
    assert len({each[-1][2]["run_id"] for each in answers}) == 20
