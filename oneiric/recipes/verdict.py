"""What came of a run, as one line: the envelope that machines read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from oneiric.recipes.plugin import TURN
from oneiric.runs.state import RunState, StepState
from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.errors import JSONValue, OneiricError
    from oneiric.reports.report import RunReport, StepReport

_RUNS: Mapping[RunState, str] = MappingProxyType(
    {
        RunState.SUCCEEDED: "ok",
        RunState.FAILED: "error",
        RunState.CANCELED: "error",
        RunState.RUNNING: "waiting",
        RunState.QUEUED: "waiting",
    }
)
_STEPS: Mapping[str, str] = MappingProxyType(
    {"queued": "pending", "assigned": "waiting", "succeeded": "ok", "canceled": "cancelled"}
)


def status(step: StepReport) -> str:
    """Return how a step of a recipe stands.

    The words are `pending`, `running`, `waiting`, `ok`, `cached`, `failed`, `skipped`,
    `blocked` and `cancelled`; `cached` is also what an earlier run had done.
    """
    return _STEPS.get(step.word, step.word)


def verdict(report: RunReport) -> dict[str, JSONValue]:
    """Return `{"status", "ctx_keys", "run_id", "steps", "failed"}`, steps in their order.

    The status is `ok`, `error` or `waiting`. Each step has `status`, `attempts` and
    `duration_ms`, and `why` where something is to be said. Of a run that did not succeed there
    are `reason`, `exit_code` and `step` besides: those of the step that failed first.
    """
    run = report.run
    by_name = {step.name: step for step in report.steps if step.run.step.target != TURN}
    steps = {name: by_name[name] for name in run.steps if name in by_name}
    failed = [name for name, step in steps.items() if step.run.state is StepState.FAILED]
    found: dict[str, JSONValue] = {"status": _RUNS[run.state]}
    if run.state in (RunState.FAILED, RunState.CANCELED):
        found |= _reason(report, failed)
    found |= {
        "ctx_keys": list(run.context.values),
        "run_id": run.run_id,
        "steps": {name: _step(step) for name, step in steps.items()},
        "failed": list(failed),
    }
    return cast("dict[str, JSONValue]", redacted(found))


def refusal(error: OneiricError) -> dict[str, JSONValue]:
    """Return the envelope where no run came of it, and the error why."""
    found: dict[str, JSONValue] = {
        "status": "error",
        "reason": str(error),
        "exit_code": error.exit_code,
        "step": "",
        "code": error.code,
    }
    return cast("dict[str, JSONValue]", redacted(found))


def _step(step: StepReport) -> dict[str, JSONValue]:
    found: dict[str, JSONValue] = {
        "status": status(step),
        "attempts": step.attempts,
        "duration_ms": round(step.duration_ms or 0.0, 3),
    }
    return found | {"why": step.why} if step.why else found


def _reason(report: RunReport, failed: list[str]) -> dict[str, JSONValue]:
    """Return the reason, the exit code and the step as a failed scriptlet tells them."""
    run = report.run
    broken = [step for step in report.steps if step.run.state is StepState.FAILED]
    first = next((step for step in broken if step.run.step.on_error != "continue"), None)
    if first is None or first.run.error is None:
        return {"reason": report.problem or str(run.state), "exit_code": 1, "step": ""}
    error = first.run.error
    details = error.get("details")
    envelope = details.get("envelope") if isinstance(details, Mapping) else None
    said = envelope if isinstance(envelope, Mapping) else {}
    code = said.get("exit_code")
    exit_code = code if type(code) is int and code else 1
    return {"reason": error.get("message"), "exit_code": exit_code, "step": first.name}
