"""What a person can ask for and do about manifests from afar: one method a verb."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError
from oneiric.runtime.process import is_alive
from oneiric.runtime.remote_answers import PreviewAnswer, RemoteStatusAnswer, SyncAnswer
from oneiric.runtime.remote_source import source_at
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.remote.obtain import Progress
    from oneiric.remote.report import SyncReport
    from oneiric.remote.status import RemoteStatus
    from oneiric.runtime.answer import Answer
    from oneiric.runtime.live import Live
    from oneiric.runtime.operator import Operator
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

_LATE = 3
"""Intervals after which a watcher that wrote nothing is late."""


class RemoteOperator:
    """Answer for the commands about manifests, from the runtime of an operator."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def apply(
        self,
        *,
        manifest: str = "",
        trust: str = "",
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> SyncAnswer | PreviewAnswer:
        """Look at every source, or at that of *manifest*, and apply what is new in this process.

        With *dry_run* it is told what that would do, and nothing is written.

        Raises:
            InvalidError, UnsignedError, OneiricError: as `source_of` tells.
        """
        runtime = self._operator.orchestrator
        source = source_of(runtime, manifest, trust=trust)
        if dry_run:
            return self._preview(source)

        async def sync() -> SyncReport:
            async with runtime.once():  # who prints the report logs nothing of it
                return await runtime.remote.sync(source, told=bool, progress=progress)

        report = run_to_end(sync())
        runtime.events.refresh()  # which looks for handlers that are wrong, to be warned of
        return SyncAnswer(report, warnings=tuple(runtime.warnings()))

    def _preview(self, source: str) -> PreviewAnswer:
        runtime = self._operator.orchestrator

        async def preview() -> PreviewAnswer:
            try:  # not entered: whoever enters tells other processes so, in a file
                return PreviewAnswer(await runtime.remote.preview(source))
            finally:
                await runtime.end()

        return run_to_end(preview())

    def watch(
        self,
        interval: float,
        *,
        told: Callable[[Answer], object],
        manifest: str = "",
        trust: str = "",
        progress: Progress | None = None,
    ) -> None:
        """Sync again and again until SIGTERM or SIGINT; *told* hears of each.

        A running orchestrator is asked to do so each time; else it is done in this process.

        Raises:
            InvalidError, UnsignedError, OneiricError: as `source_of` tells.
            UnavailableError: the orchestrator that was asked at first is gone.
        """
        runtime, live = self._operator.orchestrator, self._operator.live
        if live is not None:
            asked = {"manifest": manifest, "trust": trust}
            run_to_end(_until_ended(self._asking(live, asked, interval, told)))
            return
        source = source_of(runtime, manifest, trust=trust)

        def heard(report: SyncReport) -> None:
            told(SyncAnswer(report))

        async def watch() -> None:
            async with runtime.once():
                await runtime.remote.watch(interval, source=source, told=heard, progress=progress)

        run_to_end(_until_ended(watch()))

    async def _asking(
        self,
        live: Live,
        asked: Mapping[str, JSONValue],
        interval: float,
        told: Callable[[Answer], object],
    ) -> None:
        runtime = self._operator.orchestrator
        pause = interval or runtime.hydration.settings.refresh_interval
        while True:
            told(await asyncio.to_thread(live.ask, "remote-sync", asked))
            await runtime.clock.sleep(pause)

    def status(self) -> RemoteStatusAnswer:
        """Return how every source stands, as this process and those before it know."""
        return status_of(self._operator.orchestrator)


async def _until_ended(work: Coroutine[object, object, None]) -> None:
    """Do *work* until it ends, or SIGTERM or SIGINT ends it."""
    loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
    try:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(work)
            for number in numbers:
                loop.add_signal_handler(number, working.cancel)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def source_of(runtime: RuntimeOrchestrator, manifest: str, *, trust: str = "") -> str:
    """Return the name of the source that *manifest* is the address of; empty where it is.

    One that is not configured is added for the process of the runtime, under the name of its
    manifest. It blocks.

    Raises:
        InvalidError: a trust root is given for a configured source or for none, or the name is
            taken.
        UnsignedError: without a trust root it may only be a local file.
        OneiricError: it cannot be read.
    """
    if not manifest:
        if trust:
            raise InvalidError("--trust belongs to --manifest", hint="--manifest URI --trust FILE")
        return ""
    return source_at(runtime, manifest, trust=trust)


def status_of(runtime: RuntimeOrchestrator, *, applied: str = "stored") -> RemoteStatusAnswer:
    """Return how every source stands, as the process of the runtime knows."""
    status = runtime.remote.status()
    return RemoteStatusAnswer(status, _stale(status, runtime.clock.now()), applied)


def _stale(status: RemoteStatus, now: datetime) -> str:
    """Return why a status that somebody keeps writing is not of today, or an empty text."""
    if not status.refresh_interval:
        return ""
    if not is_alive(status.pid):
        return f"the process {status.pid} that kept it up to date has ended"
    age = now - datetime.fromisoformat(status.written_at)
    if age > timedelta(seconds=_LATE * status.refresh_interval):
        return f"the process {status.pid} last wrote it {age.total_seconds():.0f} s ago"
    return ""
