"""Declared work: steps, what each waits for, and how far it may go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from oneiric.core.backoff import Backoff
from oneiric.errors import JSONValue


class OnError(StrEnum):
    """What the failure of a step means for its run.

    `fail` ends the run as failed once what runs has ended; `continue` counts the step as
    done for those that depend on it; `compensate` fails the run after undoing, in reverse
    order, every step that succeeded and has a compensation.
    """

    FAIL = "fail"
    CONTINUE = "continue"
    COMPENSATE = "compensate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a step is tried, how long to wait between, and after which errors.

    `on` names error codes or exception types (`timeout`, `unavailable`, `ValueError`);
    empty means any error.
    """

    attempts: int = 1
    backoff: Backoff = field(default_factory=Backoff)
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of work: who does it, on what, after whom, and how often it is tried.

    `input` and `condition` may hold `${ … }` expressions over `input` (the run's),
    `context` and `steps.ID.output` of steps it depends on, however far.
    A step with a `signal` is completed from outside, by a signal of that name; without a
    target nobody is called first. `default` is its result when its timeout passes before the
    signal; without one it fails then. At most `groups[group]` steps of a group run at once.
    """

    id: str
    target: str = ""
    input: JSONValue = None
    depends_on: tuple[str, ...] = ()
    condition: str = ""
    retry: Retry = Retry()
    timeout_seconds: float | None = None
    on_error: OnError = OnError.FAIL
    compensation: str = ""
    group: str = ""
    cache_key: str = ""
    signal: str = ""
    default: JSONValue = None
    is_final: bool = False
    metadata: Mapping[str, JSONValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Work to do as one run: its steps and the limits of the whole.

    `groups` gives how many steps of a group may run at once. With `fail_fast` a failure
    stops whatever has not begun; else everything that does not depend on it still runs.
    """

    name: str
    steps: tuple[Step, ...]
    version: str = ""
    timeout_seconds: float | None = None
    groups: Mapping[str, int] = field(default_factory=dict)
    fail_fast: bool = True
    metadata: Mapping[str, JSONValue] = field(default_factory=dict)
