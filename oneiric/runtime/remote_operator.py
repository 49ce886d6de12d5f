"""What a person can ask for and do about manifests from afar: one method a verb."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from oneiric.runtime.process import is_alive
from oneiric.runtime.remote_answers import PreviewAnswer, RemoteStatusAnswer
from oneiric.runtime.remote_source import source_at

if TYPE_CHECKING:
    from oneiric.remote.obtain import Progress
    from oneiric.remote.report import SyncReport
    from oneiric.remote.status import RemoteStatus
    from oneiric.runtime.operator import Operator

_LATE = 3
"""Intervals after which a watcher that wrote nothing is late."""


class RemoteOperator:
    """Answer for the commands about manifests, from the runtime of an operator."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def source(self, manifest: str, *, trust: str = "") -> str:
        """Return the name of the source that *manifest* is the address of.

        One that is not configured is added for this process, under the name of its manifest.

        Raises:
            InvalidError: a trust root is given for a configured source, or the name is taken.
            UnsignedError: without a trust root it may only be a local file.
            OneiricError: it cannot be read.
        """
        return source_at(self._operator.orchestrator, manifest, trust=trust)

    def sync(
        self,
        source: str = "",
        *,
        told: Callable[[SyncReport], object],
        progress: Progress | None = None,
    ) -> SyncReport:
        """Look at one source or at all, and apply what is new in this process.

        *told* hears of the sync, instead of the log.

        Raises:
            NotFoundError: there is no source of that name.
        """
        runtime = self._operator.orchestrator

        async def sync() -> SyncReport:
            async with runtime:
                return await runtime.remote.sync(source, told=told, progress=progress)

        report = asyncio.run(sync())
        runtime.events.refresh()  # which looks for handlers that are wrong, to be warned of
        return report

    def preview(self, source: str = "") -> PreviewAnswer:
        """Tell what a sync would do; nothing is written.

        Raises:
            NotFoundError: there is no source of that name.
        """
        runtime = self._operator.orchestrator

        async def preview() -> PreviewAnswer:
            try:  # not entered: whoever enters tells other processes so, in a file
                return PreviewAnswer(await runtime.remote.preview(source))
            finally:
                await runtime.stop()

        return asyncio.run(preview())

    def watch(
        self,
        interval: float,
        *,
        told: Callable[[SyncReport], object],
        source: str = "",
        progress: Progress | None = None,
    ) -> None:
        """Sync again and again until SIGTERM or SIGINT; *told* hears of each sync.

        Raises:
            NotFoundError: there is no source of that name.
        """
        runtime = self._operator.orchestrator
        runtime.hydration.sources(source)  # which must be there

        async def watch() -> None:
            loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
            async with runtime:
                try:
                    async with asyncio.TaskGroup() as group:
                        watching = group.create_task(
                            runtime.remote.watch(
                                interval, source=source, told=told, progress=progress
                            )
                        )
                        for number in numbers:
                            loop.add_signal_handler(number, watching.cancel)
                except ExceptionGroup as failed:  # of the one task, such as that nobody reads
                    raise failed.exceptions[0] from None
            for number in numbers:
                loop.remove_signal_handler(number)

        asyncio.run(watch())

    def status(self) -> RemoteStatusAnswer:
        """Return how every source stands, as this process and those before it know."""
        runtime = self._operator.orchestrator
        status = runtime.remote.status()
        return RemoteStatusAnswer(status, _stale(status, runtime.clock.now()))


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
