"""What a step's body is told, what it may say while it works, and the state that steps share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oneiric.core.logging import get_logger
from oneiric.documents.copies import ANY_SIZE, plain
from oneiric.errors import JSONValue, StoppedError

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger


@dataclass(frozen=True, slots=True)
class Change:
    """One write to the shared state of a run, and who made it."""

    key: str
    value: JSONValue
    who: str = ""


@dataclass(slots=True)
class RunContext:
    """State that the steps of a run share: JSON values by key, and how they came about.

    What is set and what is got are copies.

    >>> context = RunContext()
    >>> context.set("customer", {"id": 7}, who="lookup")
    >>> context.get("customer")
    {'id': 7}
    >>> context.history
    [Change(key='customer', value={'id': 7}, who='lookup')]
    """

    values: dict[str, JSONValue] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)

    def get(self, key: str, default: JSONValue = None) -> JSONValue:
        """Return a copy of the value of *key*, or *default*."""
        return plain(self.values[key]) if key in self.values else default

    def set(self, key: str, value: JSONValue, *, who: str = "", max_bytes: int = ANY_SIZE) -> None:
        """Set *key* and remember who did.

        Raises:
            DocumentError: *value* is not JSON; names the path.
            ValueTooLargeError: its JSON is longer than *max_bytes*.
        """
        change = Change(key, plain(value, max_bytes), who)
        self.values[key] = change.value
        self.history.append(change)


@dataclass(slots=True)
class StepContext:
    """The place of a body's call in its run; made by the engine.

    `attempt` counts from 1. `deadline` tells when the attempt is ended, in the clock's
    `monotonic` seconds, or is None. It may be used from a thread. `stopped`, `told` and
    `round` are between it and the engine.
    """

    run_id: str
    step_id: str
    attempt: int
    deadline: float | None = None
    stopped: str = ""
    told: Mapping[str, JSONValue] | None = None
    round: int = 0
    _shared: RunContext = field(default_factory=RunContext)
    _max_bytes: int = ANY_SIZE
    _nudge: Callable[[], object] = int
    _own: RunContext | None = None

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this step in this run, and for no other step.

        One that had succeeded and is done anew has another: it was undone, or is final and its
        run was retried, or its plan was changed by force.
        """
        words = [self.run_id, self.step_id, *([str(self.round)] if self.round else [])]
        return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]

    @property
    def logger(self) -> BoundLogger:
        """A logger that names run and step."""
        return get_logger("oneiric.runs.step", run=self.run_id, step=self.step_id)

    @property
    def changes(self) -> Sequence[Change]:
        """What was set here; the engine records it with the step's result."""
        return self._own.history if self._own else ()

    @property
    def values(self) -> Mapping[str, JSONValue]:
        """The run's shared context as this step sees it, to be read only."""
        return (self._own or self._shared).values

    def heartbeat(self) -> None:
        """Say that work goes on.

        Raises:
            StoppedError: it should not, as the run is canceled or lost.
        """
        if self.stopped:
            raise StoppedError(f"{self.step_id} of {self.run_id} is stopped: {self.stopped}")

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        """Say how far the work is, for those who watch.

        Raises:
            StoppedError: as `heartbeat` does.
            DocumentError: what is said is not JSON.
        """
        self.heartbeat()
        far: dict[str, JSONValue] = {"done": done, "total": total, "note": note}
        plain(far)
        self.told = {"kind": "progress", **far}
        self._nudge()

    def get(self, key: str, default: JSONValue = None) -> JSONValue:
        """Return a value of the run's shared context, as a copy."""
        return (self._own or self._shared).get(key, default)

    def set(self, key: str, value: JSONValue, *, who: str = "") -> None:
        """Set a value of the run's shared context; it is recorded with the step's result.

        Raises:
            DocumentError: *value* is not JSON; names the path.
            ValueTooLargeError: it is too large.
        """
        plain({key: who})
        if self._own is None:
            self._own = RunContext(dict(self._shared.values))
        self._own.set(key, value, who=who or self.step_id, max_bytes=self._max_bytes)
