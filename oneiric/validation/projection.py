"""How a task stands: nothing but what the events of its run say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from types import MappingProxyType
from typing import Any, cast

from oneiric.core.policy import Effect
from oneiric.documents import digest
from oneiric.errors import IllegalMoveError, JSONValue
from oneiric.ports.gatekeeper import GateCode
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.state import RunState
from oneiric.validation.literals import literal_secrets
from oneiric.validation.states import TaskOutcome, TaskStatus

LAST_GATE = "gate.production"
"""The step that says whether production proved a task."""

OPENED: Mapping[str, TaskStatus] = MappingProxyType(
    {
        "local": TaskStatus.LOCAL_OK,
        "gate.validation": TaskStatus.VALIDATING,
        LAST_GATE: TaskStatus.PROD_OK,
        "done": TaskStatus.DONE,
    }
)
"""The steps with which the status of a task moves, in their order, and where to."""

_BEGUN = ""
_SHUT: Mapping[str, TaskStatus] = MappingProxyType(
    {"local": TaskStatus.LOCAL_FAIL, LAST_GATE: TaskStatus.PROD_FAIL}
)
PROVED = (TaskStatus.PROD_OK, TaskStatus.DONE)
"""How a task stands that production has proved."""
_SURE = frozenset((Effect.DENY.value,))


@dataclass(slots=True)
class Projection:
    """How a task stands after the events of its run, and why.

    Args:
        status: how it stands; moves are those of `TaskStatus` alone.
        state: how the run stands.
        error: what ended it, as the journal keeps it: code, message, details.
        verdict: that of the gate that stayed shut, if one did.
        task: the task, as the run was begun with it.
        results: what each step gave.
        trail: the steps that moved the status, and where to.
        order: the place of each step in the plan.
        begun: all that the run was begun with; None once somebody gave it another plan.
        seal: what its journal brings to show that it was.
    """

    status: TaskStatus = TaskStatus.PENDING
    state: RunState = RunState.QUEUED
    run_id: str = ""
    created_at: str = ""
    ended_at: str = ""
    error: Mapping[str, Any] | None = None
    verdict: Mapping[str, Any] | None = None
    task: Mapping[str, Any] | None = None
    results: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    trail: list[tuple[str, TaskStatus]] = field(default_factory=list)
    order: Mapping[str, int] = field(default_factory=dict)
    begun: JSONValue = None
    seal: str = ""

    @property
    def outcome(self) -> TaskOutcome:
        """What came of it."""
        if self.status is TaskStatus.DONE:
            return TaskOutcome.DONE
        if not self.state.is_over:
            return TaskOutcome.OPEN
        if self.verdict is not None:
            return TaskOutcome.FAILED if _is_sure(self.verdict) else TaskOutcome.INCONCLUSIVE
        return TaskOutcome.CANCELED if self.state is RunState.CANCELED else TaskOutcome.ERROR

    @property
    def reason(self) -> str:
        """Why it is not done, in words; empty for one that is, or is under way."""
        if self.outcome in (TaskOutcome.DONE, TaskOutcome.OPEN):
            return ""
        if self.verdict is not None:
            return self._shut()
        if self.error is not None:
            return str(self.error.get("message") or self.error.get("code") or "it failed")
        return f"the run is {self.state}"

    def _shut(self) -> str:
        verdict = cast("Mapping[str, Any]", self.verdict)
        reason = str(verdict.get("reason") or verdict.get("code"))
        drift = self.drift or {}
        first = next(iter(drift.get("items") or ()), None)
        if self.status is TaskStatus.ENV_DRIFT and first and _code(verdict) != GateCode.DRIFT_FOUND:
            reason += f"; the environment drifted: {first['place']}: {first['message']}"
        return reason

    @property
    def code(self) -> str:
        """The code of what ended it; empty where nothing did."""
        if self.verdict is not None:
            return _code(self.verdict)
        return str((self.error or {}).get("code", ""))

    @property
    def drift(self) -> Mapping[str, Any] | None:
        """The last report of drift, if there is one."""
        told = ((self.verdict or {}).get("facts") or {}).get("drift")
        return told or self.results.get("drift")

    @property
    def proofs(self) -> list[Mapping[str, Any]]:
        """What the journal knows of each proof: its digest, check, kind and outcome.

        They come in the order of the plan, whichever was made first.
        """
        last = len(self.order)
        names = sorted(self.results, key=lambda name: self.order.get(name, last))
        return [proof for name in names for proof in self.results[name].get("proofs") or ()]

    @property
    def digests(self) -> list[str]:
        """The digests of the same."""
        return [str(proof["digest"]) for proof in self.proofs]

    @property
    def opened(self) -> Mapping[str, Any] | None:
        """What the gate gave by which production proved the task, as it is told now.

        None for a task that production did not prove.
        """
        if self.status not in PROVED:
            return None
        return {**self.results.get(LAST_GATE, {}), "declared": digest(self.task)}

    @property
    def heads(self) -> list[Mapping[str, Any]]:
        """The ends of the ledger that steps saw."""
        return [head for result in self.results.values() if (head := result.get("head"))]

    @property
    def warnings(self) -> list[str]:
        """What its user should know and stopped nothing: secrets in clear, what was not asked."""
        secrets = literal_secrets((self.task or {}).get("criteria") or {})
        found = (result.get("warnings") or () for result in self.results.values())
        return [*secrets.values(), *(str(warning) for warnings in found for warning in warnings)]

    def apply(self, event: RunEvent) -> None:
        """Let one more event be true.

        Raises:
            IllegalMoveError: a task that stands so cannot get where the event says.
        """
        if rule := _RULES.get(event.kind):
            rule(self, event)

    def move(self, step: str, after: TaskStatus) -> None:
        """Let the task get to *after*, by *step*.

        Raises:
            IllegalMoveError: it may not.
        """
        self.status = self.status.to(after)
        self.trail.append((step, after))


def begun_with(plan: JSONValue, given: JSONValue, task: JSONValue) -> JSONValue:
    """Return what a run is begun with, as its seal speaks of it."""
    return {"plan": plan, "input": given, "task": task}


def project(events: Iterable[RunEvent]) -> Projection:
    """Return how a task stands after the events of its run.

    Raises:
        IllegalMoveError: no task's run says that.
    """
    found = Projection()
    for event in events:
        found.apply(event)
    return found


def _created(found: Projection, event: RunEvent) -> None:
    if found.created_at:
        raise IllegalMoveError("a run is created once")
    metadata = event.data.get("metadata")
    told = metadata.get("task") if isinstance(metadata, Mapping) else None
    found.task = told if isinstance(told, Mapping) else None
    found.run_id, found.created_at = event.run_id, event.at
    found.begun = begun_with(event.data.get("plan"), event.data.get("input"), told)
    found.seal = str(metadata.get("seal", "")) if isinstance(metadata, Mapping) else ""
    plan = event.data.get("plan")
    steps = cast("Any", plan.get("steps")) if isinstance(plan, Mapping) else ()
    found.order = {str(step["id"]): place for place, step in enumerate(steps or ())}


def _started(found: Projection, _event: RunEvent) -> None:
    found.state = RunState.RUNNING
    if found.status is TaskStatus.PENDING:
        found.move(_BEGUN, TaskStatus.IN_PROGRESS)


def _succeeded(found: Projection, event: RunEvent) -> None:
    result = event.data.get("result")
    told = cast("Mapping[str, Any]", result) if isinstance(result, Mapping) else {}
    if event.step in found.results:
        raise IllegalMoveError(f"{event.step} has succeeded already")
    found.results[event.step] = told
    if after := OPENED.get(event.step):
        if after is TaskStatus.PROD_OK and not _has_production(found, told):
            raise IllegalMoveError("a task cannot become prod_ok: no proof is from production")
        found.move(event.step, after)


def _has_production(found: Projection, opened: Mapping[str, Any] | None) -> bool:
    """Tell whether the gate was given a proof from production that its run made, and it passed."""
    said = (opened or {}).get("seen")
    seen = said if isinstance(said, list) else ()
    return any(
        proof["digest"] in seen and proof["kind"] != "local" and proof["outcome"] == "pass"
        for proof in found.proofs
    )


def _failed(found: Projection, event: RunEvent) -> None:
    error = event.data.get("error")
    told = cast("Mapping[str, Any]", error) if isinstance(error, Mapping) else {}
    if event.step in ("context", "remember"):
        text = told.get("message", "it failed")
        found.results[event.step] = {"warnings": [f"{event.step}: {text}"]}
        return
    found.error = found.error or told
    if event.step not in OPENED:
        return
    verdict = (told.get("details") or {}).get("verdict")
    if not isinstance(verdict, Mapping):
        return
    found.error, found.verdict = told, verdict
    if not _is_sure(verdict):
        return
    if after := _SHUT.get(event.step):
        found.move(event.step, after)
    if event.step != "local" and _is_for_drift(event.step, verdict):
        found.move(event.step, TaskStatus.ENV_DRIFT)


def _is_for_drift(gate: str, verdict: Mapping[str, Any]) -> bool:
    """Tell whether a gate stayed shut for drift: found first, or found after production said no."""
    if gate == "gate.validation":
        return _code(verdict) == GateCode.DRIFT_FOUND
    report = (verdict.get("facts") or {}).get("drift") or {}
    return report.get("has_drift") is True


def _reopened(found: Projection, event: RunEvent) -> None:
    """Forget what is to be done again, and where it led."""
    found.state, found.ended_at = RunState.RUNNING, ""
    found.error = found.verdict = None
    _forget(found, cast("Iterable[str]", event.data.get("steps") or ()))


def _extended(found: Projection, event: RunEvent) -> None:
    """Forget what another plan did not keep."""
    found.begun = None
    if "plan" in event.data:
        kept = cast("Iterable[str]", event.data.get("kept") or ())
        _forget(found, found.results.keys() - set(kept))


def _forget(found: Projection, steps: Iterable[str]) -> None:
    again = set(steps)
    found.results = {name: told for name, told in found.results.items() if name not in again}
    kept = list(takewhile(lambda moved: moved[0] not in again, found.trail))
    while (
        kept and kept[-1][1] in PROVED and not _has_production(found, found.results.get(LAST_GATE))
    ):
        kept.pop()
    found.trail, found.status = kept, kept[-1][1] if kept else TaskStatus.PENDING


def _ended(found: Projection, event: RunEvent) -> None:
    found.state, found.ended_at = RunState(str(event.data["state"])), event.at
    error = event.data.get("error")
    if found.error is None and isinstance(error, Mapping):
        found.error = cast("Mapping[str, Any]", error)


def _is_sure(verdict: Mapping[str, Any]) -> bool:
    """Tell whether a gate stayed shut for what was found, and not for what could not be."""
    code = next((each for each in GateCode if each == _code(verdict)), None)
    return verdict.get("effect") in _SURE and not (code and code.is_inconclusive)


def _code(verdict: Mapping[str, Any]) -> str:
    return str(verdict.get("code", ""))


_RULES: Mapping[EventKind, Callable[[Projection, RunEvent], None]] = MappingProxyType(
    {
        EventKind.RUN_CREATED: _created,
        EventKind.RUN_STARTED: _started,
        EventKind.RUN_REOPENED: _reopened,
        EventKind.RUN_EXTENDED: _extended,
        EventKind.RUN_ENDED: _ended,
        EventKind.STEP_SUCCEEDED: _succeeded,
        EventKind.STEP_FAILED: _failed,
    }
)
