"""What few clients may cost the others: their bodies that never end, and refusals."""

import asyncio
from pathlib import Path

import pytest

from tests.runtime.callbacks import GUARDED, callbacks, cloud_task, http
from tests.web.served import answer

SHIP = {"workflow": "ship", "context": {"order": 7}}


async def test_a_body_that_never_ends_is_given_up(tmp_path: Path) -> None:
    """It may come again whole, and takes nobody's place for good."""
    config = "[http]\nbody_seconds = 0.2\nconcurrency = 1\n"
    async with callbacks(tmp_path, config=config) as desk:
        reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
        writer.write(http(SHIP, *cloud_task("t-1"))[:-1])
        head = (await reader.readuntil(b"\r\n")).decode()
        writer.close()
        served = await desk.post(SHIP, *cloud_task("t-1"))

    assert (head.split()[1], served[0]) == ("503", 200)


async def test_defect_bodies_that_never_end_keep_nobody_out(tmp_path: Path) -> None:
    """Of as many as are worked on at a time, the one that takes longest is told to come again."""
    config = "[http]\nbody_seconds = 600\nconcurrency = 2\n"
    asked, slow = http(SHIP, *cloud_task("t-1")), []
    async with callbacks(tmp_path, config=config) as desk:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", desk.port)
            head, _, body = asked.partition(b"\r\n\r\n")
            writer.write(head.replace(b"\r\n", b"\r\nExpect: 100-continue\r\n", 1) + b"\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).split()[1] == b"100"
            writer.write(body[:-1])
            slow.append((reader, writer))
        given_up = await answer(slow[0][0])
        served = await desk.post(SHIP, *cloud_task("t-2"))
        slow[2][1].write(body[-1:])
        whole = await answer(slow[2][0])
        for _, writer in slow:
            writer.close()

    assert (given_up[0], given_up[2]["error"]["code"]) == (503, "busy")
    assert (served[0], whole[0]) == (200, 200)


async def test_defect_a_flood_of_strangers_fills_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Some are told of one by one, all are counted."""
    async with callbacks(tmp_path, config=GUARDED) as desk:
        for _ in range(30):
            await desk.post(SHIP, "Authorization: Bearer wrong")
        metrics = desk.work.runtime.metrics
        counted = metrics.value("oneiric_http_refusals_total", code="unauthenticated")

    assert counted == 30
    assert caplog.text.count("caller-refused") == 10
