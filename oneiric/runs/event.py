"""What happened to a run: one numbered fact after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from oneiric.errors import JSONValue

Data: TypeAlias = "Mapping[str, JSONValue]"
"""What an event says besides its kind: JSON values by key."""


class EventKind(StrEnum):
    """What can happen to a run; the comments name the keys of each event's data."""

    RUN_CREATED = "run-created"  # plan, digest, input, context, metadata
    RUN_STARTED = "run-started"  # holder, token: somebody claimed the run and works on it
    RUN_EXTENDED = "run-extended"  # steps; or plan, digest, kept: another plan
    RUN_REOPENED = "run-reopened"  # steps: those that are queued again
    RUN_CANCELING = "run-canceling"  # actor, reason
    RUN_ENDED = "run-ended"  # state, error
    STEP_STARTED = "step-started"  # attempt, input, provider, version, manifest, decision
    STEP_ASSIGNED = "step-assigned"  # signal, prompt, timeout_ms, input: a signal completes it
    STEP_RETRIED = "step-retried"  # attempt, error, delay_ms: queued again
    STEP_SUCCEEDED = "step-succeeded"  # attempt, result, signal: its number, reason ("timeout")
    # or from the cache: input, result, reason ("cache"), provider, version, manifest, decision
    STEP_FAILED = "step-failed"  # attempt, error, signal
    STEP_CANCELED = "step-canceled"  # reason: it will not run
    CONTEXT_SET = "context-set"  # key, value, who
    SIGNALED = "signaled"  # name, value, actor, error: from outside, to a step or to the run
    NOTED = "noted"  # kind and what a product has to say; changes no state


@dataclass(frozen=True, slots=True)
class RunEvent:
    """One fact about a run.

    `seq` counts from 1 within the run, without gaps, and is given by the journal that
    stores the event; 0 says it is not stored yet. `at` is RFC 3339 text; `step` is empty
    where the run as a whole is meant.
    """

    run_id: str
    kind: EventKind
    at: str
    step: str = ""
    data: Data = field(default_factory=dict)
    seq: int = 0

    def numbered(self, seq: int) -> RunEvent:
        """Return the event as it is stored."""
        return RunEvent(self.run_id, self.kind, self.at, self.step, self.data, seq)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"run_id", "seq", "kind", "at", "step", "data"}`."""
        who: dict[str, JSONValue] = {"run_id": self.run_id, "seq": self.seq}
        what = {"kind": str(self.kind), "at": self.at, "step": self.step}
        return {**who, **what, "data": dict(self.data)}
