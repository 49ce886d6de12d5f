"""A run as one JSON document, with the history of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from oneiric.text.redaction import redacted

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.reports.report import RunReport, Span, StepReport

SCHEMA = "oneiric.run/1"


def document(report: RunReport) -> dict[str, JSONValue]:
    """Return the run as `oneiric.run/1`: whole, but for secrets, which are masked."""
    run = report.run
    found: dict[str, JSONValue] = {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "name": run.plan.name,
        "version": run.plan.version,
        "state": str(run.state),
        "waiting": report.is_waiting,
        "plan": run.digest,
        "created_at": run.created_at,
        "began_at": report.began_at,
        "ended_at": run.ended_at or None,
        "duration_ms": _ms(report.length_ms),
        "holder": run.holder,
        "last_seq": run.last_seq,
        "problem": report.problem,
        "error": run.error,
        "cancels": list(run.cancels),
        "input": run.input,
        "context": dict(run.context.values),
        "metadata": dict(run.metadata),
        "counts": dict(report.counts),
        "steps": [_step(step) for step in report.steps],
    }
    return cast("dict[str, JSONValue]", redacted(found))


def _step(step: StepReport) -> dict[str, JSONValue]:
    run = step.run
    return {
        "id": step.name,
        "target": run.step.target,
        "depends_on": list(run.step.depends_on),
        "state": str(step.state),
        "why": step.why,
        "attempts": step.attempts,
        "began_ms": _ms(step.begin_ms),
        "duration_ms": _ms(step.duration_ms),
        "signal": run.signal,
        "prompt": run.prompt,
        "input": run.input,
        "result": run.result,
        "error": step.error,
        "wrote": dict(step.remarks.wrote),
        "log": step.remarks.log,
        "is_served": step.remarks.is_served,
        "provenance": run.provenance.as_json(),
        "spans": [_span(span) for span in step.spans],
    }


def _span(span: Span) -> dict[str, JSONValue]:
    return {
        "attempt": span.attempt,
        "wait": span.is_wait,
        "began_ms": _ms(span.begin_ms),
        "duration_ms": _ms(span.duration_ms),
        "outcome": str(span.outcome),
        "provider": span.provider,
        "error": span.error,
    }


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
