"""What a whole sync of a signed manifest costs: read, verified, kept, applied and told."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from oneiric.config import load_config
from oneiric.documents import canonical
from oneiric.errors import JSONValue
from oneiric.remote.envelope import MANIFEST, TRUST, Envelope
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.settings import SECTIONS
from oneiric.testing import ManualClock
from tests.benchmarks.measure import Row, Size
from tests.remote import publishing as made

_TICK = 0.001


def syncs(size: Size) -> list[Row]:
    """Sync a small and a large manifest from a file, and see how long the loop waits meanwhile."""
    rows = []
    for count in dict.fromkeys((size.source // 100, size.source)):
        data = _signed(count)
        found = [_synced(data) for _ in range(max(3, size.repeats // 5))]
        what = f"sync a manifest of {count:,}"
        rows += [
            Row(what, min(cpu for cpu, _ in found), "ms"),
            Row(f"{what}: longest wait of the loop", min(stall for _, stall in found), "ms"),
        ]
    return rows


def _signed(count: int) -> bytes:
    entries: list[JSONValue] = [
        {**made.ENTRY, "key": f"cache-{number}", "priority": number % 100}
        for number in range(count)
    ]
    payload = canonical(made.manifest(entries=entries))
    return Envelope(payload, MANIFEST).signed_by(made.ALICE).as_bytes()


def _synced(data: bytes) -> tuple[float, float]:
    """Return the milliseconds of CPU of a sync, and the longest that the loop was not free."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "m.json").write_bytes(data)
        (folder / "root.json").write_bytes(made.signed(made.trust(), made.ALICE, kind=TRUST))
        source = '[remote.sources.acme]\nuri = "m.json"\ntrust = "root.json"\n'
        (folder / "oneiric.toml").write_text(source)
        return asyncio.run(_measured(folder))


async def _measured(folder: Path) -> tuple[float, float]:
    config = load_config(SECTIONS, folder=folder, environ={})
    async with RuntimeOrchestrator(config, clock=ManualClock(made.NOW)) as runtime:
        runtime.remote.hydrate()  # and all is imported, as where somebody has synced before
        stalls: list[float] = []
        ticking = asyncio.ensure_future(_tick(stalls))
        await asyncio.sleep(0.05)
        stalls.clear()
        started = time.process_time()
        report = await runtime.sync_remote()
        spent = time.process_time() - started
        ticking.cancel()
        await asyncio.wait({ticking})
        assert not report.errors
        return spent * 1e3, max(stalls) * 1e3


async def _tick(stalls: list[float]) -> None:
    """Note how much later than asked for each turn of the loop came."""
    last = time.perf_counter()
    while True:
        await asyncio.sleep(_TICK)
        now = time.perf_counter()
        stalls.append(max(0.0, now - last - _TICK))
        last = now
