"""What a runtime counts, measures and traces; everybody tells it, and it changes nothing."""

from __future__ import annotations

import collections
import platform
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from importlib_metadata import version

from oneiric.core.activity import ActivityState
from oneiric.core.observer import Observer
from oneiric.core.ref import DOMAINS
from oneiric.domains.events.handler import HandlerOutcome
from oneiric.latency import Latency
from oneiric.metrics import MOST_SERIES, Counter, Histogram, Metrics
from oneiric.runtime.process import began_at
from oneiric.runtime.run_measures import RunMeasures
from oneiric.text.tracing import DOING, Attributes, Span, Spans, Trace, here

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.core.activity import Activity
    from oneiric.core.candidate import Candidate
    from oneiric.core.generation import Generation
    from oneiric.core.ref import ComponentRef
    from oneiric.core.swap import SwapReport
    from oneiric.domains.events import Event, HandlerResult
    from oneiric.errors import JSONValue, OneiricError
    from oneiric.remote.report import SyncReport
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.running import Running
    from oneiric.runtime.telemetry import RuntimeTelemetryRecorder
    from oneiric.web.app import Answered

HANDLED = HandlerOutcome.HANDLED
MISSED = (HandlerOutcome.FAILED, HandlerOutcome.TIMED_OUT)
FATES = ("done", "back", "aside")
"""What becomes of a message of a queue."""
SWAPS = ("ok", "failed", "rolled-back")
_MOST_TOLD, _EVENT = 512, -1
_ACTIVITY: Mapping[ActivityState, str] = MappingProxyType(
    {
        ActivityState.ACTIVE: "resume",
        ActivityState.PAUSED: "pause",
        ActivityState.DRAINING: "drain",
    }
)


def measures_of(runtime: RuntimeOrchestrator) -> Measures:
    """Return who counts for *runtime*."""
    return Measures(runtime.metrics, runtime.clock, runtime.running)


def metrics_of(runtime: RuntimeOrchestrator) -> Metrics:
    """Return the metrics of *runtime*."""
    metrics = Metrics()
    facts = {"version": version("oneiric"), "python": platform.python_version()}
    metrics.set("oneiric_build_info", 1, **facts)
    metrics.set("process_start_time_seconds", began_at(runtime.clock.now().timestamp()))
    return metrics


class SwapTally:
    """How the swaps of a process went: how many, how long they took, how many held."""

    def __init__(self) -> None:
        self.latency = Latency()
        self.failed = 0

    def add(self, report: SwapReport) -> None:
        """Count one."""
        if report.ok:
            self.latency.add(report.duration_ms)
        else:
            self.failed += 1

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"samples", "p50_ms", "p95_ms", "p99_ms", "success_rate"}`."""
        told = self.latency.summary().as_json()
        good = self.latency.summary().count
        samples = good + self.failed
        rest = {name: value for name, value in told.items() if name != "count"}
        rate = round(good / samples, 6) if samples else None
        return {"samples": samples, **rest, "success_rate": rate}


class Measures(Observer):
    """Count what happens; with `spans` trace it, with `telemetry` remember the latest of it.

    Everything is counted before anybody is told further, so what is written down afterwards
    has it. Nothing here blocks.

    Args:
        metrics: where it is counted.
        clock: when spans end.
        running: knows what is up.
    """

    __slots__ = (
        "_clock",
        "_events",
        "_handlers",
        "_told",
        "metrics",
        "runs",
        "spans",
        "swaps",
        "telemetry",
    )

    def __init__(self, metrics: Metrics, clock: Clock, running: Running) -> None:
        self.metrics = metrics
        self.swaps = SwapTally()
        self.spans: Spans | None = None
        self.telemetry: RuntimeTelemetryRecorder | None = None
        self._clock = clock
        self.runs = RunMeasures(self, clock)
        self._handlers: dict[str, tuple[Counter, Histogram]] = {}
        self._events = {
            result: metrics.counter("oneiric_event_dispatches_total", result=result)
            for result in ("handled", "missed", "unheard")
        }
        self._told: collections.deque[tuple[str, int, float]] = collections.deque()
        self._begin()
        metrics.before(self._count)
        metrics.before(lambda: self._look(running))

    def _begin(self) -> None:
        """Begin at 0 what is to be noticed the first time: an alert sees only what grows."""
        for domain in DOMAINS:
            for what in ("quarantines", "forced_drains"):
                self.metrics.counter(f"oneiric_lifecycle_{what}_total", domain=domain)
            for result in SWAPS:
                self.metrics.counter("oneiric_lifecycle_swaps_total", domain=domain, result=result)
        for fate in FATES:
            self.metrics.counter("oneiric_queue_messages_total", fate=fate)

    # -- the lifecycle ------------------------------------------------------------------

    def activated(self, generation: Generation[Any], duration_ms: float) -> None:
        """Count an instance that is up."""
        domain = generation.candidate.ref.domain
        self.metrics.count("oneiric_lifecycle_activations_total", domain=domain, result="ok")
        seconds = duration_ms / 1e3
        self.metrics.observe(
            "oneiric_lifecycle_activation_duration_seconds", seconds, domain=domain
        )

    def failed(self, candidate: Candidate, error: OneiricError, duration_ms: float) -> None:
        """Count an instance that did not come up."""
        domain = candidate.ref.domain
        self.metrics.count("oneiric_lifecycle_activations_total", domain=domain, result="failed")

    def swapped(self, report: SwapReport) -> None:
        """Count a swap, good or bad."""
        domain = report.ref.domain
        result = "ok" if report.ok else "rolled-back" if report.rolled_back else "failed"
        self.swaps.add(report)
        self.metrics.count("oneiric_lifecycle_swaps_total", domain=domain, result=result)
        if report.ok:
            seconds = report.duration_ms / 1e3
            self.metrics.observe("oneiric_lifecycle_swap_duration_seconds", seconds, domain=domain)
        if self.spans is not None:
            told = {"ref": str(report.ref), "before": report.before, "after": report.after}
            error = report.error.code if report.error else ""
            self.trace("swap", report.duration_ms, {**told, "result": result}, error=error)
        if self.telemetry is not None:
            self.telemetry.swapped(report)

    def quarantined(self, candidate: Candidate, reason: str, seconds: float) -> None:
        """Count an offer that is left out."""
        self.metrics.count("oneiric_lifecycle_quarantines_total", domain=candidate.ref.domain)

    def forced(self, generation: Generation[Any], holders: Sequence[str]) -> None:
        """Count an instance that is ended while held."""
        domain = generation.candidate.ref.domain
        self.metrics.count("oneiric_lifecycle_forced_drains_total", domain=domain)

    def closed(self, generation: Generation[Any], errors: Sequence[OneiricError]) -> None:
        """Count what failed at the end of an instance."""
        domain = generation.candidate.ref.domain
        if errors:
            self.metrics.count(
                "oneiric_lifecycle_cleanup_failures_total", len(errors), domain=domain
            )

    # -- work ---------------------------------------------------------------------------

    def activity(self, ref: ComponentRef[object], activity: Activity) -> None:
        """Count a pause, a drain or a resume."""
        what = _ACTIVITY[activity.state]
        self.metrics.count(f"oneiric_activity_{what}_events_total", domain=ref.domain)

    def dispatched(self, event: Event, matched: int, results: Sequence[HandlerResult]) -> None:
        """Count an event, and each handler that was told of it."""
        missed, told = False, self._told
        for each in results:
            told.append((each.handler, each.attempts, each.duration_ms))
            if each.outcome is not HANDLED:
                missed = missed or each.is_missed
                self._missed(each)
        told.append(("missed" if missed else "handled" if results else "unheard", _EVENT, 0.0))
        if len(told) >= _MOST_TOLD:
            self._count()
        if self.spans is not None:
            self._trace_event(event, results)
        if self.telemetry is not None:
            self.telemetry.event(event, matched, results)

    def synced(self, report: SyncReport) -> None:
        """Count a look at each source."""
        for each in report.sources:
            source, fate = each.source.name, "failure" if each.error else "success"
            self.metrics.count(f"oneiric_remote_sync_{fate}_total", source=source)
            seconds = each.duration_ms / 1e3
            self.metrics.observe("oneiric_remote_sync_duration_seconds", seconds, source=source)
            registered = len(each.change.added) + len(each.change.changed)
            name = "oneiric_remote_candidates_registered_total"
            self.metrics.count(name, registered, source=source)
            self.metrics.count("oneiric_remote_digest_checks_total", each.digests, source=source)
        error = report.errors[0].code if report.errors else ""
        self.trace("sync", report.duration_ms, {"sources": len(report.sources)}, error=error)

    def message(self, fate: str) -> None:
        """Count a message of a queue."""
        self.metrics.count("oneiric_queue_messages_total", fate=fate)

    def restarted(self, ref: ComponentRef[object]) -> None:
        """Count a service that was started again."""
        self.metrics.count("oneiric_supervisor_restarts_total", domain=ref.domain, key=ref.key)

    def requested(self, answered: Answered) -> None:
        """Count an HTTP request."""
        method, route, status, seconds, place, caller = answered
        self.metrics.count(
            "oneiric_http_requests_total", method=method, route=route, status=str(status)
        )
        name = "oneiric_http_request_duration_seconds"
        self.metrics.observe(name, seconds, method=method, route=route)
        told: Attributes = {"method": method, "route": route, "status": status}
        error = "server" if status >= 500 else ""
        self.trace("http", seconds * 1e3, told, place=place, parent=caller, error=error)

    def refused(self, code: str) -> None:
        """Count a caller that was not let in."""
        self.metrics.count("oneiric_http_refusals_total", code=code)

    def _count(self) -> None:
        """Count what was noted of handlers and events: together, for that is much cheaper."""
        told = self._told
        while told:
            try:
                name, attempts, duration_ms = told.popleft()
            except IndexError:
                return  # another thread was faster
            if attempts == _EVENT:
                self._events[name].add()
                continue
            counter, durations = self._handlers.get(name) or self._handler(name)
            durations.add(duration_ms / 1e3, with_count=(counter, attempts))

    def _handler(self, name: str) -> tuple[Counter, Histogram]:
        if len(self._handlers) > MOST_SERIES:
            self._handlers.clear()
        found = self._handlers[name] = (
            self.metrics.counter("oneiric_event_handler_attempts_total", handler=name),
            self.metrics.histogram("oneiric_event_handler_duration_seconds", handler=name),
        )
        for outcome in MISSED:
            failures = "oneiric_event_handler_failures_total"
            self.metrics.counter(failures, handler=name, outcome=str(outcome))
        return found

    def _missed(self, result: HandlerResult) -> None:
        handler, outcome = result.handler, str(result.outcome)
        if result.is_missed:
            name = "oneiric_event_handler_failures_total"
            self.metrics.count(name, handler=handler, outcome=outcome)
        if result.letter:
            self.metrics.count("oneiric_event_dead_letters_total", handler=handler)

    # -- spans --------------------------------------------------------------------------

    def trace(
        self,
        name: str,
        duration_ms: float,
        attributes: Attributes,
        *,
        place: Trace | None = None,
        parent: Trace | None = None,
        error: str = "",
    ) -> None:
        """Keep a span of what ends now; below the present place unless another is told."""
        if self.spans is None:
            return
        above = parent if place else here()
        end = int(self._clock.now().timestamp() * 1e9)
        dropped = self.spans.dropped
        self.spans.add(
            Span(
                name=name,
                trace=place or Trace.new(above),
                parent_id=above.span_id if above else "",
                start_ns=end - int(duration_ms * 1e6),
                end_ns=end,
                attributes=attributes,
                error=error,
            )
        )
        if self.spans.dropped > dropped:
            self.metrics.count("oneiric_monitoring_spans_dropped_total")

    def _trace_event(self, event: Event, results: Sequence[HandlerResult]) -> None:
        doing = DOING.get()
        if doing is None or doing.trace is None:
            return
        place, spent = doing.trace, max((each.duration_ms for each in results), default=0.0)
        told: Attributes = {"topic": event.topic, "event": event.id, "handlers": len(results)}
        missed = any(each.is_missed for each in results)
        error = "missed" if missed else ""
        self.trace("event", spent, told, place=place, parent=doing.origin, error=error)
        for each in results:
            mine = Trace.of(event.id, each.handler, parent=place)
            facts: Attributes = {
                "handler": each.handler,
                "attempts": each.attempts,
                "topic": event.topic,
            }
            error = str(each.outcome) if each.is_missed else ""
            self.trace("handler", each.duration_ms, facts, place=mine, parent=place, error=error)

    def _look(self, running: Running) -> None:
        up: collections.Counter[str] = collections.Counter()
        held: collections.Counter[str] = collections.Counter()
        for generation in running.generations():
            up[generation.candidate.ref.domain] += 1
            held[generation.candidate.ref.domain] += len(generation.holds)
        for domain in DOMAINS:
            self.metrics.set("oneiric_lifecycle_components", up[domain], domain=domain)
            self.metrics.set("oneiric_lifecycle_in_flight", held[domain], domain=domain)
