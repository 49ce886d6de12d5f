"""How one service stands with its supervisor: its state, its restarts, and what is told of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339

if TYPE_CHECKING:
    from datetime import datetime

    from oneiric.core.ref import ComponentRef
    from oneiric.errors import JSONValue
    from oneiric.runtime.settings import ServicePolicy


class ServiceState(StrEnum):
    """Where a service stands with its supervisor.

    `idle` is down and not wanted up; `waiting` is down until its time comes, or until somebody
    may serve; `unhealthy` serves on, such as it is, until it is well again or restarted.
    """

    IDLE = "idle"
    WAITING = "waiting"
    STARTING = "starting"
    SERVING = "serving"
    UNHEALTHY = "unhealthy"
    RESTARTING = "restarting"
    GIVEN_UP = "given-up"
    PAUSED = "paused"
    DRAINING = "draining"


_HELD_OFF = frozenset({ServiceState.PAUSED, ServiceState.DRAINING})
_SETTLED = _HELD_OFF | {ServiceState.IDLE, ServiceState.WAITING, ServiceState.SERVING}

MOVES: Mapping[ServiceState, frozenset[ServiceState]] = MappingProxyType(
    {
        ServiceState.IDLE: _SETTLED,
        ServiceState.WAITING: _SETTLED | {ServiceState.STARTING, ServiceState.RESTARTING},
        ServiceState.STARTING: _SETTLED | {ServiceState.GIVEN_UP, ServiceState.UNHEALTHY},
        ServiceState.SERVING: _SETTLED | {ServiceState.UNHEALTHY},
        ServiceState.UNHEALTHY: _SETTLED | {ServiceState.RESTARTING, ServiceState.GIVEN_UP},
        ServiceState.RESTARTING: _SETTLED | {ServiceState.UNHEALTHY, ServiceState.GIVEN_UP},
        ServiceState.GIVEN_UP: _SETTLED,
        ServiceState.PAUSED: _SETTLED,
        ServiceState.DRAINING: _SETTLED,
    }
)
"""The legal moves. What is held off is never started, restarted, unhealthy or given up."""


class Restarts:
    """Remember restarts for a while, and say whether and when there may be another.

    Within any window there are never more of them than the policy allows.

    >>> from oneiric.runtime.settings import ServicePolicy
    >>> restarts = Restarts(ServicePolicy(max_restarts=2, window_seconds=60))
    >>> for second in (0.0, 10.0):
    ...     print(restarts.delay(second))
    ...     restarts.note(second)
    1.0
    2.0
    >>> restarts.delay(20.0), restarts.delay(61.0), restarts.delay(90.0)
    (None, 2.0, 1.0)
    """

    def __init__(self, policy: ServicePolicy) -> None:
        self._policy = policy
        self._ends: deque[float] = deque()

    def count(self, now: float) -> int:
        """Return how many there were within the window that ends *now*."""
        while self._ends and self._ends[0] < now:
            self._ends.popleft()
        return len(self._ends)

    def delay(self, now: float) -> float | None:
        """Return the seconds to wait before the next one, or None where there may be none."""
        count = self.count(now)
        if count >= self._policy.max_restarts:
            return None
        return self._policy.backoff.delay(count + 1)

    def note(self, now: float) -> None:
        """Count a restart."""
        self._ends.append(now + self._policy.window_seconds)

    def forget(self) -> None:
        """Count anew."""
        self._ends.clear()


class Watched:
    """What a supervisor knows of one service.

    `due` is when the next start or restart is, and `probe_at` the next probe, in monotonic time;
    `waits_for` is why what is due is not done. `is_fresh` tells that a start would be the first,
    and no restart; `is_seen`, that a running supervisor has looked at it. `standing` is what was
    said about the service when it was given up.
    """

    def __init__(self, ref: ComponentRef[object], policy: ServicePolicy) -> None:
        self.ref = ref
        self.policy = policy
        self.restarts = Restarts(policy)
        self.state = ServiceState.IDLE
        self.generation = 0
        self.failed_probes = 0
        self.reason = ""
        self.waits_for = ""
        self.due: float | None = None
        self.probe_at = 0.0
        self.is_seen = False
        self.is_fresh = True
        self.is_busy = False
        self.standing: tuple[object, ...] = ()

    def move(self, state: ServiceState) -> None:
        """Go to another state; an illegal move is a bug in the caller."""
        assert state in MOVES[self.state], f"{self.ref}: {self.state} -> {state}"
        self.state = state

    def settle(self, generation: int, now: float) -> None:
        """Take it as it is found, up or down, without a fault."""
        self.generation = generation
        self.failed_probes, self.reason, self.waits_for = 0, "", ""
        self.is_fresh = True
        self.due, self.probe_at = None, now
        if generation:
            self.move(ServiceState.SERVING)
        elif self.policy.keep_up:
            self.due = now
            self.move(ServiceState.WAITING)
        else:
            self.move(ServiceState.IDLE)


@dataclass(frozen=True, slots=True)
class ServiceSupervision:
    """How one service stands with its supervisor at this moment.

    `restarts` are those within the window; `failed_probes` those in a row. `reason` says what
    was wrong last, and is empty while all is well; `waits_for` why the attempt that is due is not
    made, such as a quarantine.
    """

    ref: str
    state: ServiceState
    provider: str
    generation: int
    policy: ServicePolicy
    restarts: int
    failed_probes: int
    reason: str
    waits_for: str
    next_attempt_at: datetime | None

    @property
    def is_given_up(self) -> bool:
        """Whether it is restarted no more."""
        return self.state is ServiceState.GIVEN_UP

    def as_json(self) -> dict[str, JSONValue]:
        """Return the same as documented in `docs/reference/json.md`."""
        return {
            "ref": self.ref,
            "state": str(self.state),
            "provider": self.provider,
            "generation": self.generation,
            "keep_up": self.policy.keep_up,
            "restarts": self.restarts,
            "max_restarts": self.policy.max_restarts,
            "window_seconds": self.policy.window_seconds,
            "failed_probes": self.failed_probes,
            "reason": self.reason,
            "waits_for": self.waits_for,
            "next_attempt_at": rfc3339(self.next_attempt_at) if self.next_attempt_at else None,
            "given_up": self.is_given_up,
        }


@dataclass(frozen=True, slots=True)
class SupervisorStatus:
    """How a supervisor and its services stand.

    `unknown` are the keys that the configuration speaks of and nobody offers; `problem` is what
    went wrong in the supervisor itself, which goes on all the same.
    """

    enabled: bool
    running: bool
    poll_interval: float
    services: tuple[ServiceSupervision, ...]
    unknown: tuple[str, ...] = ()
    problem: str = ""

    @property
    def given_up(self) -> tuple[str, ...]:
        """The services that are restarted no more."""
        return tuple(each.ref for each in self.services if each.is_given_up)

    @property
    def ok(self) -> bool:
        """Whether no service is given up, and nothing is wrong with the supervisor."""
        return not self.given_up and not self.problem

    def as_json(self) -> dict[str, JSONValue]:
        """Return the same as documented in `docs/reference/json.md`."""
        return {
            "enabled": self.enabled,
            "running": self.running,
            "poll_interval": self.poll_interval,
            "services": [each.as_json() for each in self.services],
            "given_up": list(self.given_up),
            "unknown": list(self.unknown),
            "problem": self.problem,
        }


class NoticeKind(StrEnum):
    """What happened to a service."""

    STARTED = "started"
    UNHEALTHY = "unhealthy"
    RECOVERED = "recovered"
    RESTARTING = "restarting"
    RESTARTED = "restarted"
    GAVE_UP = "gave-up"
    PAUSED = "paused"
    DRAINING = "draining"
    RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class ServiceNotice:
    """What a supervisor tells its listeners of one service.

    `restarts` are those within the window, the one that is told of included.
    """

    kind: NoticeKind
    ref: str
    at: datetime
    provider: str
    generation: int
    restarts: int
    reason: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return the same as JSON."""
        return {
            "kind": str(self.kind),
            "ref": self.ref,
            "at": rfc3339(self.at),
            "provider": self.provider,
            "generation": self.generation,
            "restarts": self.restarts,
            "reason": self.reason,
        }
