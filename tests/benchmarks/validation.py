"""What a live check costs, beside a bare client that sends the same requests."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp

from oneiric.runs.proof import ProofOutcome
from oneiric.validation.providers.validator import LiveValidator, LiveValidatorSettings
from tests.architecture.source import ROOT
from tests.benchmarks.measure import Row, Size, environment

CHECKS = 100
AT_ONCE = 20
SERVER = """
from aiohttp import web
async def answer(request):
    return web.json_response({"status": "ok", "version": "1.2.3"})
async def main():
    application = web.Application()
    application.router.add_get("/{path}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()
import asyncio, sys
asyncio.run(main())
"""


def checks(size: Size) -> list[Row]:
    """Measure 100 checks of a service in a process of its own, by turns with a bare client."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        assert server.stdin is not None
        try:
            return asyncio.run(_checks(size, url))
        finally:
            server.stdin.close()


async def _checks(size: Size, url: str) -> list[Row]:
    urls = [f"{url}/{number}" for number in range(CHECKS)]
    validator = LiveValidator(LiveValidatorSettings(max_concurrent=AT_ONCE, requests_per_second=0))
    await validator.init()
    plain = [{"kind": "live", "url": each} for each in urls]
    asserts = ["header content-type contains json", 'json $.status == "ok"', "duration < 60s"]

    async def proves(**fields: object) -> None:
        proofs = await asyncio.gather(
            *(validator.prove({**each, **fields}) for each in plain)  # type: ignore[dict-item]
        )
        assert all(each.proof.outcome is ProofOutcome.PASSED for each in proofs)

    async def judges() -> None:
        await proves(asserts=asserts)

    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(connector=connector) as session:
        slots = asyncio.Semaphore(AT_ONCE)

        async def get(each: str) -> None:
            async with slots, session.get(each) as answer:
                await answer.read()
                assert answer.status == 200

        async def gets() -> None:
            await asyncio.gather(*map(get, urls))

        work: dict[str, Callable[[], Awaitable[None]]] = {
            "floor": gets,
            "plain": proves,
            "asserts": judges,
        }
        best: dict[str, tuple[float, float]] = {}
        for _ in range(size.repeats + 1):
            for name, function in work.items():
                found = await _spent(function)
                before = best.get(name, found)
                best[name] = (min(found[0], before[0]), min(found[1], before[1]))
    await validator.cleanup()
    (wall, cpu) = best["floor"]
    return [
        Row(f"{CHECKS} instant checks", best["plain"][0], "ms", wall),
        Row(f"{CHECKS} instant checks, CPU", best["plain"][1], "ms", cpu),
        Row(f"{CHECKS} instant checks with three asserts, CPU", best["asserts"][1], "ms", cpu),
    ]


async def _spent(function: Callable[[], Awaitable[None]]) -> tuple[float, float]:
    """Return the milliseconds that *function* took: by the clock, and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    await function()
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3
