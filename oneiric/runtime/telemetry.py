"""What was dispatched, run and swapped last: kept in memory, and written by one writer."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from oneiric.clock import rfc3339
from oneiric.documents import canonical
from oneiric.domains.events.handler import HandlerOutcome
from oneiric.errors import JSONValue, OneiricError
from oneiric.files import own_folder, write_atomic
from oneiric.runs.run import Run, fold
from oneiric.runtime.process import born
from oneiric.runtime.settings import TelemetrySettings
from oneiric.runtime.telemetry_file import SCHEMA, TelemetryFile
from oneiric.runtime.telemetry_shapes import event_json, said, workflow_json

if TYPE_CHECKING:
    from pathlib import Path

    from oneiric.clock import Clock
    from oneiric.core.swap import SwapReport
    from oneiric.domains.events import Event, HandlerResult
    from oneiric.runs.event import RunEvent
    from oneiric.runtime.measures import Measures
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

_log = logging.getLogger("oneiric.telemetry")
ReadRun: TypeAlias = "Callable[[str], Awaitable[Sequence[RunEvent]]]"
LAST = ("last_event", "last_workflow", "last_action", "last_swap")
WORKFLOW = "workflow:"


class _Recent(NamedTuple):
    """One of the latest, told when it is written."""

    kind: str
    name: str
    ok: bool
    spent: float | None
    at: datetime

    def as_json(self) -> dict[str, JSONValue]:
        return {
            "kind": self.kind,
            "name": self.name,
            "success": self.ok,
            "duration_ms": None if self.spent is None else round(self.spent, 3),
            "recorded_at": rfc3339(self.at),
        }


def _shaped(value: JSONValue | Callable[[], JSONValue]) -> JSONValue:
    return value() if callable(value) else value


def telemetry_of(runtime: RuntimeOrchestrator) -> RuntimeTelemetryRecorder:
    """Return the recorder of *runtime*."""
    settings = runtime.config.section("telemetry")
    assert isinstance(settings, TelemetrySettings)
    return RuntimeTelemetryRecorder(
        runtime.paths.telemetry,
        clock=runtime.clock,
        measures=runtime.measures,
        every=settings.write_seconds,
        history=settings.history,
        writes=settings.enabled,
    )


class RuntimeTelemetryRecorder:
    """Remember the last event, workflow, action and swap, and the latest of all by name.

    Recording is a matter of memory alone. The file is written by `follow`, at most once per
    interval and only after something new, and by `flush`; each write is whole and made in a
    thread. Several processes may write the same file: the last one wins, and takes over from
    the file what it has nothing of itself. Payloads and results are never recorded, and
    errors are masked.

    Args:
        path: the file.
        clock: when things happened.
        measures: who counted the swaps, and counts the writes.
        every: seconds between two writes.
        history: how many of the latest are named.
        writes: whether anything is written at all.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        measures: Measures,
        every: float = 1.0,
        history: int = 50,
        writes: bool = True,
    ) -> None:
        self.path = path
        self._clock = clock
        self._measures = measures
        self._every = every
        self._writes = writes
        self._last: dict[str, JSONValue | Callable[[], JSONValue]] = {}
        self._recent: deque[_Recent] = deque(maxlen=history)
        self._ended: tuple[str, datetime | None] = ("", None)
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._file = threading.Lock()
        self._number = self._written = 0
        self._earlier: Mapping[str, JSONValue] | None = None
        self._trouble = ""
        self._me = (os.getpid(), born(os.getpid()))

    # -- hearing ------------------------------------------------------------------------

    def begin(self) -> None:
        """Hear from now on what the runtime does, beside what is said here."""
        self._measures.telemetry = self

    def event(self, event: Event, matched: int, results: Sequence[HandlerResult]) -> None:
        """Remember an event and what came of it."""
        at, ok, spent = self._clock.now(), True, 0.0
        for each in results:
            if each.outcome is not HandlerOutcome.HANDLED and each.is_missed:
                ok = False
            if each.duration_ms > spent:
                spent = each.duration_ms
        self._last["last_event"] = partial(event_json, event, matched, results, at)
        self._recent.append(_Recent("event", event.topic, ok, spent, at))
        self._changed.set()

    def workflow(self, run: Run) -> None:
        """Remember a run of a workflow as it stands, whether it succeeded, failed or waits."""
        name = run.plan.name.removeprefix(WORKFLOW)
        found = workflow_json(run, name, self._clock.now())
        if self._ended[0] == run.run_id:
            self._ended = ("", None)
        else:
            ok, took = str(run.state) == "succeeded", found["total_duration_ms"]
            spent = took if isinstance(took, float) else None
            self._keep("workflow", name, ok=ok, spent=spent, found=found)
        self._last["last_workflow"] = found

    def run_ended(self, run_id: str, name: str, state: str, duration_ms: float) -> None:
        """Remember that a run ended; what its steps did is read when the file is written."""
        if name.startswith(WORKFLOW):
            key, ok = name.removeprefix(WORKFLOW), state == "succeeded"
            self._ended = (run_id, self._clock.now())
            self._keep("workflow", key, ok=ok, spent=duration_ms)

    @contextmanager
    def action(self, ref: str, provider: str) -> Iterator[None]:
        """Remember what the block does as the call of an action, and how it ended."""
        started, error = self._clock.monotonic(), ""
        try:
            yield
        except BaseException as raised:
            error = raised.code if isinstance(raised, OneiricError) else type(raised).__name__
            raise
        finally:
            spent = round((self._clock.monotonic() - started) * 1e3, 3)
            found: dict[str, JSONValue] = {
                "action": ref,
                "provider": provider,
                "success": not error,
                "error": error or None,
                "duration_ms": spent,
                "recorded_at": self._now(),
            }
            self._keep("action", ref, ok=not error, spent=spent, found=found)

    def swapped(self, report: SwapReport) -> None:
        """Remember how a swap ended."""
        spent = round(report.duration_ms, 3)
        found: dict[str, JSONValue] = {
            "ref": str(report.ref),
            "before": report.before,
            "after": report.after,
            "success": report.ok,
            "failed_phase": report.failed_phase or None,
            "error": said(report.error.message) if report.error else None,
            "duration_ms": spent,
            "recorded_at": self._now(),
        }
        self._keep("swap", str(report.ref), ok=report.ok, spent=spent, found=found)

    # -- telling ------------------------------------------------------------------------

    def document(self) -> dict[str, JSONValue]:
        """Return `oneiric.runtime-telemetry/1` as it would be written now."""
        kept = self._earlier or {}
        return {
            "schema": SCHEMA,
            "written_at": self._now(),
            "pid": self._me[0],
            "born": self._me[1],
            **{name: _shaped(self._last.get(name, kept.get(name))) for name in LAST},
            "swaps": self._measures.swaps.as_json(),
            "recent": [each.as_json() for each in self._recent],
        }

    async def follow(self, read: ReadRun | None = None) -> None:
        """Write after each change, at most once per interval, without end; cancel it to stop.

        *read* gives the events of a run, for what is told of the steps of workflows.
        """
        while True:
            await self._changed.wait()
            await self.flush(read)
            await self._clock.sleep(self._every)

    async def flush(self, read: ReadRun | None = None) -> None:
        """Write now what is new; a failure is logged, and what is new is written the next time."""
        async with self._turn:
            if not self._changed.is_set():
                return
            self._changed.clear()
            if not self._writes:
                return
            await self._settle(read)
            if self._earlier is None:
                self._earlier = (await asyncio.to_thread(self.stored)).document
            self._number += 1
            data = canonical(self.document()) + b"\n"
            try:
                await asyncio.to_thread(self._write, data, self._number)
            except OneiricError as error:
                self._failed(error)
            else:
                self._trouble = ""
                self._measures.metrics.count("oneiric_telemetry_writes_total", result="ok")

    def stored(self) -> TelemetryFile:
        """Return what the file holds; it blocks."""
        return TelemetryFile.read(self.path)

    # -- inside -------------------------------------------------------------------------

    def _keep(
        self,
        kind: str,
        name: str,
        *,
        ok: bool,
        spent: float | None,
        found: JSONValue = None,
    ) -> None:
        if found is not None:
            self._last[f"last_{kind}"] = found
        self._recent.append(_Recent(kind, name, ok, spent, self._clock.now()))
        self._changed.set()

    async def _settle(self, read: ReadRun | None) -> None:
        """Read the run that ended last, for what its steps did."""
        (run_id, at) = self._ended
        if not run_id or at is None or read is None:
            return
        self._ended = ("", None)
        try:
            run = fold(await read(run_id))
        except OneiricError as error:
            self._failed(error)
        else:
            name = run.plan.name.removeprefix(WORKFLOW)
            self._last["last_workflow"] = workflow_json(run, name, at)

    def _write(self, data: bytes, number: int) -> None:
        with self._file:
            if number < self._written:
                return  # a later one was faster
            own_folder(self.path.parent)
            write_atomic(self.path, data)
            self._written = number

    def _failed(self, error: OneiricError) -> None:
        self._changed.set()
        self._measures.metrics.count("oneiric_telemetry_writes_total", result="failed")
        if error.message != self._trouble:
            self._trouble = error.message
            told = {"event": "telemetry-write-failed", "reason": said(error.message)}
            _log.warning("telemetry-write-failed reason=%r", told["reason"], extra=told)

    def _now(self) -> str:
        return rfc3339(self._clock.now())
