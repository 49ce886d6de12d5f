"""What is measured goes out, and whoever takes it holds nobody up."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.export import CALL_SECONDS
from oneiric.runtime.serving import ServeOptions, Serving
from oneiric.runtime.serving_parts import PARTS


class Silent:
    """A monitor that takes what it is given, and never says so."""

    begun = 0

    async def export_spans(self, spans: Sequence[Any]) -> None:
        Silent.begun += 1
        await asyncio.Event().wait()

    async def export_metrics(self, series: Sequence[Any]) -> None:
        Silent.begun += 1
        await asyncio.Event().wait()


async def test_defect_a_monitor_that_hangs_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """What it has not taken by then is lost, and everything else ends in order."""
    Silent.begun = 0
    offers = Plugin([Candidate("adapter:monitoring", "silent", Silent, priority=1_000)])
    runtime = RuntimeOrchestrator.open(folder=tmp_path, plugins=(offers,))
    async with Serving(runtime, ServeOptions(), parts=PARTS):
        since = time.monotonic()
    assert Silent.begun == 1
    assert time.monotonic() - since < CALL_SECONDS * 0.75
