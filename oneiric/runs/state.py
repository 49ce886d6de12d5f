"""How runs and steps stand, and which moves are legal."""

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    """How a run stands; the words are those of the ARP standard."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


class StepState(StrEnum):
    """How a step stands; the words are those of the ARP standard for a node run.

    `assigned` is work that somebody outside shall complete with a signal. A step that was
    not run is `canceled`, and its reason says why: its condition, a dependency, the run.
    """

    QUEUED = "queued"
    ASSIGNED = "assigned"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_over(self) -> bool:
        """Whether the step has ended."""
        return self in (StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELED)


_R, _S = RunState, StepState
RUN_MOVES: Mapping[RunState, frozenset[RunState]] = {
    _R.QUEUED: frozenset({_R.RUNNING, _R.CANCELED}),
    _R.RUNNING: frozenset({_R.SUCCEEDED, _R.FAILED, _R.CANCELED}),
    _R.SUCCEEDED: frozenset(),
    _R.FAILED: frozenset({_R.RUNNING}),  # reopened, to try again what failed
    _R.CANCELED: frozenset({_R.RUNNING}),
}

STEP_MOVES: Mapping[StepState, frozenset[StepState]] = {
    # begun, given outside, from the cache, without an input that could be made, not wanted
    _S.QUEUED: frozenset({_S.RUNNING, _S.ASSIGNED, _S.SUCCEEDED, _S.FAILED, _S.CANCELED}),
    _S.ASSIGNED: frozenset({_S.SUCCEEDED, _S.FAILED, _S.CANCELED, _S.QUEUED}),
    # anything: again after a crash, handed outside, to be tried again, over
    _S.RUNNING: frozenset(StepState),
    _S.SUCCEEDED: frozenset({_S.QUEUED}),  # undone or final, and begun anew with its run
    _S.FAILED: frozenset({_S.QUEUED}),  # reopened with its run
    _S.CANCELED: frozenset({_S.QUEUED}),
}
