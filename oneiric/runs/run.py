"""How a run stands: nothing but what its events say, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

from oneiric.errors import IllegalMoveError, JSONValue
from oneiric.runs.body import NOBODY, Provenance
from oneiric.runs.context import RunContext
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.plan import Plan, Plans, Step
from oneiric.runs.state import RUN_MOVES, STEP_MOVES, RunState, StepState

UNDO = "undo:"
"""How the ids of steps begin that undo others; no other id may hold a colon."""


@dataclass(slots=True)
class StepRun:
    """How one step of a run stands.

    `failures` are the errors of earlier attempts, `error` the last word of a failed step.
    `wait_ms` counts from `since`: until the next attempt of a queued step, until the
    timeout of an assigned one. `rank` numbers the steps of a run in the order of success.
    `round` counts how often the step had succeeded and was begun anew with its run.
    """

    step: Step
    state: StepState = StepState.QUEUED
    attempt: int = 0
    input: JSONValue = None
    result: JSONValue = None
    reason: str = ""
    error: Mapping[str, JSONValue] | None = None
    failures: list[Mapping[str, JSONValue]] = field(default_factory=list)
    provenance: Provenance = NOBODY
    signal: str = ""
    prompt: JSONValue = None
    since: str = ""
    wait_ms: float | None = None
    started_at: str = ""
    ended_at: str = ""
    rank: int = 0
    round: int = 0

    @property
    def is_met(self) -> bool:
        """Whether what depends on this step may go on: done, let pass, or not wanted."""
        return (
            self.state is StepState.SUCCEEDED
            or (self.state is StepState.FAILED and self.step.on_error == "continue")
            or (self.state is StepState.CANCELED and self.reason == "condition")
        )


_NO_STEP = StepRun(Step(""))


@dataclass(slots=True)
class Run:
    """Work in progress or done: what the journal says of it, folded.

    `digest` is that of the plan as it was given, without what extended it. `assigned` are the
    steps that wait for a signal. `signals` are those that no step has used yet, by number, and
    `heeded` the names of those that were; `cancels` tell who asked to cancel, and why.
    """

    run_id: str
    plan: Plan
    digest: str
    input: JSONValue
    context: RunContext
    metadata: Mapping[str, JSONValue]
    created_at: str
    steps: dict[str, StepRun]
    state: RunState = RunState.QUEUED
    started_at: str = ""
    ended_at: str = ""
    holder: str = ""
    error: Mapping[str, JSONValue] | None = None
    assigned: dict[str, None] = field(default_factory=dict)
    signals: dict[int, RunEvent] = field(default_factory=dict)
    heeded: set[str] = field(default_factory=set)
    cancels: list[Mapping[str, JSONValue]] = field(default_factory=list)
    succeeded: int = 0
    last_seq: int = 0

    @property
    def results(self) -> dict[str, JSONValue]:
        """The results of the steps that succeeded, by step."""
        return {name: step.result for name, step in self.steps.items() if step.rank}

    @property
    def is_waiting(self) -> bool:
        """Whether nothing can go on until somebody outside completes an assigned step."""
        groups = {self.steps[name].step.group for name in self.assigned} - {""}
        return bool(self.assigned) and all(
            step.state is not StepState.RUNNING and not self._can_go_on(step, groups)
            for step in self.steps.values()
        )

    def _can_go_on(self, run: StepRun, groups: set[str]) -> bool:
        step, is_open = run.step, run.state is StepState.QUEUED
        is_held = step.is_final or step.group in groups
        return is_open and not is_held and all(self.steps[n].state.is_over for n in step.depends_on)

    def deaf_to(self, name: str, step: str = "") -> str:
        """Return why nobody takes a signal that comes now, or an empty string."""
        left = [each.step for each in self.steps.values() if not each.state.is_over]
        asked = [each for each in left if step in ("", each.id) and each.signal in ("", name)]
        nobody = "" if asked else f"no step that is left waits for {name}"
        return self.is_late(name, step) or nobody

    def is_late(self, name: str, step: str) -> str:
        """Return why a signal comes after the one that was heeded, or an empty string."""
        if step:
            state = self.steps[step].state
            return f"{step} is {state}" if state.is_over else ""
        is_late = name in self.heeded and all(self.steps[n].signal != name for n in self.assigned)
        return f"{name} was heeded already; name the step that another is for" if is_late else ""

    def apply(self, event: RunEvent) -> None:
        """Let one more event be true.

        Raises:
            IllegalMoveError: it cannot happen to the run as it stands.
        """
        state, rule = _RULES[event.kind]
        step = _NO_STEP
        if state is not None:
            step = self.steps.get(event.step, _NO_STEP)
            if step is _NO_STEP or state not in STEP_MOVES[step.state]:
                was = f"{self.run_id}: {event.step} is {step.state}"
                raise IllegalMoveError(f"{was}, not to be {state}")
            if self.assigned:
                self.assigned.pop(event.step, None)
            if state is StepState.ASSIGNED:
                self.assigned[event.step] = None
            step.state = state
        rule(self, step, event.data, event)
        self.last_seq = event.seq or self.last_seq

    def become(self, other: Run) -> None:
        """Stand as *other* does, for everybody who keeps this one."""
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    def move(self, state: RunState) -> None:
        """Change how the run stands.

        Raises:
            IllegalMoveError: that move is not legal.
        """
        if state not in RUN_MOVES[self.state]:
            raise IllegalMoveError(f"{self.run_id} is {self.state}, not to be {state}")
        self.state = state


def fold(events: Iterable[RunEvent], plans: Plans | None = None) -> Run:
    """Return the run that *events* tell of, from the first on: the only way to know a run.

    Whoever folds many keeps *plans*, so that a plan which many were begun with is read once.

    Raises:
        IllegalMoveError: they are no run's events.
    """
    each = iter(events)
    first = next(each, None)
    if first is None or first.kind is not EventKind.RUN_CREATED:
        raise IllegalMoveError("a run begins with its creation")
    data: Mapping[str, Any] = first.data
    plan = (plans or Plans()).read(data["digest"], data["plan"])
    context, metadata = RunContext(dict(data.get("context") or {})), data.get("metadata") or {}
    given = (plan, data["digest"], data.get("input"), context, metadata)
    steps = {step.id: StepRun(step) for step in plan.steps}
    run = Run(first.run_id, *given, first.at, steps, last_seq=first.seq)
    for event in each:
        run.apply(event)
    return run


Rule: TypeAlias = "Callable[[Run, StepRun, Mapping[str, Any], RunEvent], None]"


def _run_started(run: Run, _step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    if run.state is not RunState.RUNNING:
        run.move(RunState.RUNNING)
    run.holder = data.get("holder", "")
    run.started_at = run.started_at or event.at


def _run_extended(run: Run, _step: StepRun, data: Mapping[str, Any], _event: RunEvent) -> None:
    if "plan" in data:
        run.plan, run.digest = Plan.from_json(data["plan"]), data["digest"]
        old = {name: run.steps[name] for name in data["kept"]}
        run.steps = {step.id: old.get(step.id) or _anew(run, step) for step in run.plan.steps}
        run.assigned.clear()
    else:
        more = Plan.from_json({"name": run.plan.name, "steps": data["steps"]}).steps
        run.plan = run.plan.extended(more)
        run.steps.update((step.id, StepRun(step)) for step in more)


def _run_reopened(run: Run, _step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    run.move(RunState.RUNNING)
    steps = tuple(step for step in run.plan.steps if not step.id.startswith(UNDO))
    run.plan = replace(run.plan, steps=steps)
    old, again = run.steps, set(data["steps"])
    run.steps = {s.id: _anew(run, s) if s.id in again else old[s.id] for s in steps}
    run.started_at, run.ended_at, run.error = event.at, "", None
    run.cancels.clear()
    run.heeded.clear()


def _anew(run: Run, step: Step) -> StepRun:
    """Return a step that is to be done again, in a new round if its success counts no more."""
    old, undo = run.steps.get(step.id, _NO_STEP), run.steps.get(UNDO + step.id)
    is_undone = undo is None or undo.state is StepState.SUCCEEDED
    is_new = old.state is StepState.SUCCEEDED and is_undone
    return StepRun(step, attempt=old.attempt, round=old.round + is_new)


def _signaled(run: Run, _step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    if not run.is_late(data["name"], event.step):
        run.signals[event.seq] = event


def _heed(run: Run, step: StepRun, number: int) -> None:
    """Let a signal be used, and others be forgotten that said the same once more."""
    if used := run.signals.pop(number, None):
        name = str(used.data["name"])
        run.heeded.add(name)
        for number, other in list(run.signals.items()):
            is_same = other.data["name"] == name
            if is_same and (other.step == step.step.id or run.is_late(name, other.step)):
                del run.signals[number]


def _run_ended(run: Run, _step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    run.move(RunState(data["state"]))
    run.error, run.ended_at = data.get("error"), event.at


def _context_set(run: Run, _step: StepRun, data: Mapping[str, Any], _event: RunEvent) -> None:
    run.context.set(data["key"], data["value"], who=data.get("who", ""))


def _step_started(_run: Run, step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    step.attempt, step.input = data["attempt"], data.get("input")
    step.started_at, step.wait_ms = event.at, None
    step.provenance = Provenance.of(data)


def _step_assigned(_run: Run, step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    step.signal, step.prompt = data["signal"], data.get("prompt")
    step.since, step.wait_ms = event.at, data.get("timeout_ms")
    step.started_at = step.started_at or event.at


def _step_retried(run: Run, step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    step.failures.append(data["error"])
    step.since, step.wait_ms = event.at, data["delay_ms"]
    _heed(run, step, data.get("signal", 0))


def _step_succeeded(run: Run, step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    _step_over(run, step, data, event)
    step.rank = run.succeeded = run.succeeded + 1
    if step.reason == "cache":
        step.provenance, step.started_at = Provenance.of(data), event.at


def _step_over(run: Run, step: StepRun, data: Mapping[str, Any], event: RunEvent) -> None:
    get = data.get
    step.input, step.result = get("input", step.input), get("result")
    step.reason, step.error = get("reason", ""), get("error")
    step.ended_at, step.wait_ms = event.at, None
    if "signal" in data:
        _heed(run, step, data["signal"])


_RULES: Mapping[EventKind, tuple[StepState | None, Rule]] = {
    EventKind.RUN_STARTED: (None, _run_started),
    EventKind.RUN_EXTENDED: (None, _run_extended),
    EventKind.RUN_REOPENED: (None, _run_reopened),
    EventKind.RUN_CANCELING: (None, lambda run, _s, data, _e: run.cancels.append(data)),
    EventKind.RUN_ENDED: (None, _run_ended),
    EventKind.CONTEXT_SET: (None, _context_set),
    EventKind.RUN_CREATED: (None, lambda *_: None),
    EventKind.NOTED: (None, lambda *_: None),
    EventKind.SIGNALED: (None, _signaled),
    EventKind.STEP_STARTED: (StepState.RUNNING, _step_started),
    EventKind.STEP_ASSIGNED: (StepState.ASSIGNED, _step_assigned),
    EventKind.STEP_RETRIED: (StepState.QUEUED, _step_retried),
    EventKind.STEP_SUCCEEDED: (StepState.SUCCEEDED, _step_succeeded),
    EventKind.STEP_FAILED: (StepState.FAILED, _step_over),
    EventKind.STEP_CANCELED: (StepState.CANCELED, _step_over),
}
