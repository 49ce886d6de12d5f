"""What is counted and traced of runs, from what is stored of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import name_of
from oneiric.text.tracing import Attributes, Trace, here

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.runtime.measures import Measures

MOST_OPEN = 10_000
_STEP_OVER = (EventKind.STEP_SUCCEEDED, EventKind.STEP_FAILED, EventKind.STEP_RETRIED)


class _Open:
    """A run that this process carries on: since when, and since when each of its steps is."""

    __slots__ = ("is_here", "name", "parent", "place", "since", "steps")

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_here = False
        self.since = 0.0
        self.steps: dict[str, tuple[float, str]] = {}
        self.parent: Trace | None = None
        self.place: Trace | None = None


class RunMeasures:
    """Hear what is appended to a journal, and tell `Measures`.

    What it keeps of runs is bounded: of more than ten thousand at once the oldest is not
    measured further.
    """

    def __init__(self, measures: Measures, clock: Clock) -> None:
        self._measures = measures
        self._metrics = measures.metrics
        self._clock = clock
        self._runs: dict[str, _Open] = {}
        self._metrics.before(self._look)

    def claimed(self, run_id: str) -> None:
        """Hear that a run is taken up here; whoever does so reads it next."""
        self._open(run_id)

    def read(self, events: Sequence[RunEvent]) -> None:
        """Hear events that were read: the first tells the name of a run that was taken up."""
        if events and events[0].kind is EventKind.RUN_CREATED and events[0].run_id in self._runs:
            self._open(events[0].run_id, name_of(events[0]))

    def released(self, run_id: str) -> None:
        """Hear that a run is carried on here no more."""
        self._runs.pop(run_id, None)

    def appended(self, events: Sequence[RunEvent]) -> None:
        """Hear events that were stored by this process."""
        for event in events:
            if event.kind is EventKind.RUN_CREATED:
                self._open(event.run_id, name_of(event))
            elif event.kind is EventKind.RUN_STARTED:
                self._started(event)
            elif event.kind is EventKind.RUN_ENDED:
                self._ended(event)
            elif event.kind is EventKind.STEP_STARTED:
                self._step_started(event)
            elif event.kind in _STEP_OVER:
                self._step_over(event)

    def _open(self, run_id: str, name: str = "") -> _Open:
        found = self._runs.get(run_id)
        if found is None:
            while len(self._runs) >= MOST_OPEN:
                del self._runs[next(iter(self._runs))]
            found = self._runs[run_id] = _Open(name)
        found.name = found.name or name
        return found

    def _started(self, event: RunEvent) -> None:
        run = self._open(event.run_id)
        run.is_here, run.since = True, self._clock.monotonic()
        run.parent = here()
        run.place = Trace.of(event.run_id, parent=run.parent)
        self._metrics.count("oneiric_runs_started_total", run=run.name)

    def _ended(self, event: RunEvent) -> None:
        run = self._runs.pop(event.run_id, None)
        if run is None:
            return
        state, spent = str(event.data["state"]), self._clock.monotonic() - run.since
        self._metrics.count("oneiric_runs_total", run=run.name, state=state)
        if run.is_here:
            self._metrics.observe("oneiric_run_duration_seconds", spent, run=run.name)
        told = {"run": event.run_id, "name": run.name, "state": state}
        error = "" if state == "succeeded" else state
        place, parent = run.place, run.parent
        self._measures.trace("run", spent * 1e3, told, place=place, parent=parent, error=error)
        if self._measures.telemetry is not None:
            self._measures.telemetry.run_ended(event.run_id, run.name, state, spent * 1e3)

    def _step_started(self, event: RunEvent) -> None:
        run = self._open(event.run_id)
        run.steps[event.step] = (self._clock.monotonic(), str(event.data.get("attempt", 1)))
        self._metrics.count("oneiric_workflow_node_attempts_total", run=run.name)

    def _step_over(self, event: RunEvent) -> None:
        run = self._open(event.run_id)
        began, attempt = run.steps.pop(event.step, (0.0, ""))
        failed = event.kind is not EventKind.STEP_SUCCEEDED
        if failed:
            self._metrics.count("oneiric_workflow_node_failures_total", run=run.name)
        if not attempt:
            return  # it was given from outside, or taken from the cache
        spent = self._clock.monotonic() - began
        self._metrics.observe("oneiric_workflow_node_duration_seconds", spent, run=run.name)
        place = Trace.of(event.run_id, event.step, attempt, parent=run.place)
        told: Attributes = {"run": event.run_id, "step": event.step, "attempt": int(attempt)}
        error = "failed" if failed else ""
        self._measures.trace("step", spent * 1e3, told, place=place, parent=run.place, error=error)

    def _look(self) -> None:
        under_way = sum(run.is_here for run in tuple(self._runs.values()))
        self._metrics.set("oneiric_runs_under_way", under_way)
