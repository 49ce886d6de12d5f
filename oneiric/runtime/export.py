"""Traces and metrics on their way to whoever watches from outside."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from oneiric.core.guard import attempt_async
from oneiric.errors import UnavailableError
from oneiric.ports.monitoring import MONITORING
from oneiric.runtime.settings import TelemetrySettings
from oneiric.text.redaction import redacted
from oneiric.text.tracing import Spans

if TYPE_CHECKING:
    from oneiric.core.guard import Outcome
    from oneiric.ports.monitoring import Monitor
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

_log = logging.getLogger("oneiric.telemetry")
AT_ONCE = 512
CALL_SECONDS, LAST_SECONDS = 30.0, 3.0


def exporter_of(runtime: RuntimeOrchestrator) -> Exporter:
    """Return who exports what *runtime* measures; from now on spans are kept for it."""
    settings = runtime.config.section("telemetry")
    assert isinstance(settings, TelemetrySettings)
    return Exporter(runtime, every=settings.export_seconds)


class Exporter:
    """Hand spans and metrics to the monitor that serves, again and again.

    Spans wait in a bounded buffer and the oldest go first, so a monitor that is down costs
    spans and nothing else; what was handed over and not taken is not sent again. While another
    stands in for the monitor that was selected, nothing goes out. Failures are counted, and
    logged once until it works again.

    Args:
        runtime: whose spans and metrics, and whose monitor.
        every: seconds between two exports.
    """

    def __init__(self, runtime: RuntimeOrchestrator, *, every: float) -> None:
        self._runtime = runtime
        self._every = every
        self._trouble = ""
        self._is_reached = False
        self.spans = runtime.measures.spans = Spans()

    async def run(self) -> None:
        """Export at every interval, without end; cancel it to stop, then `flush`."""
        while True:
            await self._runtime.clock.sleep(self._every)
            await self.flush()

    async def flush(self, *, limit: float = CALL_SECONDS) -> bool:
        """Export now, within *limit* seconds, and tell whether everything was taken."""
        guard, self._is_reached = self._runtime.lifecycle.builder.guard, False
        outcome = await guard.call(self._export, limit=limit)
        if outcome.error is None:
            self._trouble = ""
            return True
        if not self._is_reached:
            self._count("monitor", outcome.error)
        self._failed(outcome)
        return False

    async def _export(self) -> None:
        failed: list[BaseException] = []
        handle = self._runtime.lifecycle.use(MONITORING)
        async with handle as monitor:
            self._check_chosen(handle.provider)
            self._is_reached = True
            while spans := self.spans.take(AT_ONCE):
                outcome = await attempt_async(monitor.export_spans(spans))
                self._count("traces", outcome.error)
                failed += [outcome.error] if outcome.error else []
                if failed:
                    break
            failed += await self._export_metrics(monitor)
        if failed:
            raise failed[0]

    def _check_chosen(self, provider: str) -> None:
        """Pass if who serves is who was selected: whoever stands in for that takes nothing.

        Raises:
            UnavailableError: it is another.
        """
        decision = self._runtime.resolver.explain(MONITORING)
        chosen = decision.selection.provider if decision.selection else provider
        if chosen != provider and any(each.provider == chosen for each in decision.standings):
            raise UnavailableError(f"{MONITORING}@{chosen} is selected, and {provider} stands in")

    async def _export_metrics(self, monitor: Monitor) -> list[BaseException]:
        outcome = await attempt_async(monitor.export_metrics(self._runtime.metrics.snapshot()))
        self._count("metrics", outcome.error)
        return [outcome.error] if outcome.error else []

    def _count(self, signal: str, error: BaseException | None) -> None:
        result = "failed" if error else "ok"
        name = "oneiric_monitoring_exports_total"
        self._runtime.metrics.count(name, signal=signal, result=result)

    def _failed(self, outcome: Outcome[object]) -> None:
        reason = str(redacted(outcome.reason))
        if reason != self._trouble:
            self._trouble = reason
            told = {"event": "monitoring-failed", "reason": reason}
            _log.warning("monitoring-failed reason=%r", reason, extra=told)
