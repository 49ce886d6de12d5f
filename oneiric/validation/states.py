"""How a task stands, and which moves are legal."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from oneiric.errors import IllegalMoveError


class TaskStatus(StrEnum):
    """How a task stands; only what was proved in production gets to `done`."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    LOCAL_OK = "local_ok"
    LOCAL_FAIL = "local_fail"
    VALIDATING = "validating"
    PROD_OK = "prod_ok"
    PROD_FAIL = "prod_fail"
    ENV_DRIFT = "env_drift"
    DONE = "done"

    def to(self, after: TaskStatus) -> TaskStatus:
        """Return *after*, if a task may go there from here.

        >>> str(TaskStatus.PROD_FAIL.to(TaskStatus.ENV_DRIFT))
        'env_drift'
        >>> TaskStatus.PENDING.to(TaskStatus.DONE)
        Traceback (most recent call last):
        oneiric.errors.IllegalMoveError: a task that is pending cannot become done

        Raises:
            IllegalMoveError: it may not.
        """
        if after not in MOVES[self]:
            raise IllegalMoveError(f"a task that is {self} cannot become {after}")
        return after


class TaskOutcome(StrEnum):
    """What came of trying to get a task done."""

    OPEN = "open"
    DONE = "done"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    CANCELED = "canceled"

    @property
    def exit_code(self) -> int:
        """The exit code of a command that ends with it.

        >>> [outcome.exit_code for outcome in TaskOutcome]
        [4, 0, 1, 4, 5, 1]
        """
        return _EXIT_CODES.get(self, 4)


_EXIT_CODES: Mapping[TaskOutcome, int] = MappingProxyType(
    {
        TaskOutcome.DONE: 0,
        TaskOutcome.FAILED: 1,
        TaskOutcome.CANCELED: 1,
        TaskOutcome.ERROR: 5,
    }
)

_T = TaskStatus
MOVES: Mapping[TaskStatus, frozenset[TaskStatus]] = MappingProxyType(
    {
        _T.PENDING: frozenset({_T.IN_PROGRESS}),
        _T.IN_PROGRESS: frozenset({_T.LOCAL_OK, _T.LOCAL_FAIL}),
        _T.LOCAL_OK: frozenset({_T.VALIDATING, _T.ENV_DRIFT}),
        _T.LOCAL_FAIL: frozenset(),
        _T.VALIDATING: frozenset({_T.PROD_OK, _T.PROD_FAIL}),
        _T.PROD_OK: frozenset({_T.DONE}),
        _T.PROD_FAIL: frozenset({_T.ENV_DRIFT}),  # it failed because the environment drifted
        _T.ENV_DRIFT: frozenset(),
        _T.DONE: frozenset(),
    }
)
"""Where a task may go from each status. One that is tried again is another run."""
