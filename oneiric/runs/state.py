"""How runs and steps stand, and which moves are legal."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


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


RUN_MOVES: Mapping[RunState, frozenset[RunState]] = MappingProxyType(
    {
        RunState.QUEUED: frozenset({RunState.RUNNING, RunState.CANCELED}),
        RunState.RUNNING: frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED}),
        RunState.SUCCEEDED: frozenset(),
        RunState.FAILED: frozenset({RunState.RUNNING}),  # reopened, to try again what failed
        RunState.CANCELED: frozenset({RunState.RUNNING}),
    }
)

STEP_MOVES: Mapping[StepState, frozenset[StepState]] = MappingProxyType(
    {
        StepState.QUEUED: frozenset(
            {
                StepState.ASSIGNED,
                StepState.RUNNING,
                StepState.SUCCEEDED,  # from the cache
                StepState.FAILED,  # its input could not be made
                StepState.CANCELED,
            }
        ),
        StepState.ASSIGNED: frozenset(
            {StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELED, StepState.QUEUED}
        ),
        StepState.RUNNING: frozenset(
            {
                StepState.RUNNING,  # another attempt, after a crash
                StepState.ASSIGNED,  # its body handed it to somebody outside
                StepState.QUEUED,  # it will be tried again
                StepState.SUCCEEDED,
                StepState.FAILED,
                StepState.CANCELED,
            }
        ),
        StepState.SUCCEEDED: frozenset({StepState.QUEUED}),  # undone, or final: begun anew
        StepState.FAILED: frozenset({StepState.QUEUED}),  # reopened with its run
        StepState.CANCELED: frozenset({StepState.QUEUED}),
    }
)
