"""Declared work: steps, what each waits for, and how far it may go."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property

from oneiric.backoff import Backoff
from oneiric.chains import Order
from oneiric.documents import canonical
from oneiric.documents.tables import read_table, write_table
from oneiric.errors import JSONValue, PlanError

_MOST_KEPT = 16


class OnError(StrEnum):
    """What the failure of a step means for its run.

    `fail` ends the run as failed once what runs has ended; `continue` counts the step as
    done for those that depend on it; `compensate` fails the run after undoing, in reverse
    order, every step that succeeded and has a compensation. So it does when the step was
    stopped, or not begun, because its run was canceled or took longer than its plan allows.
    """

    FAIL = "fail"
    CONTINUE = "continue"
    COMPENSATE = "compensate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far plans and what they carry may go: the number of steps, the longest chain, bytes.

    A plan's bytes are those of its canonical JSON, as are those of any one value: an input,
    a result, a signal, an entry of the context.
    """

    max_steps: int = 10_000
    max_depth: int = 10_000
    max_plan_bytes: int = 8 << 20
    max_value_bytes: int = 1 << 20


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


@dataclass(frozen=True)
class Plan:
    """Work to do as one run: its steps and the limits of the whole.

    `groups` gives how many steps of a group may run at once. With `fail_fast` a failure
    stops whatever has not begun; else everything that does not depend on it still runs.

    >>> plan = Plan("order", (Step("charge", "task:charge"),))
    >>> plan.as_json()
    {'name': 'order', 'steps': [{'id': 'charge', 'target': 'task:charge'}]}
    >>> Plan.from_json(plan.as_json()) == plan
    True
    """

    name: str
    steps: tuple[Step, ...]
    version: str = ""
    timeout_seconds: float | None = None
    groups: Mapping[str, int] = field(default_factory=dict)
    fail_fast: bool = True
    metadata: Mapping[str, JSONValue] = field(default_factory=dict)

    @cached_property
    def canonical(self) -> bytes:
        """The plan's canonical JSON."""
        return canonical(self._json)

    @cached_property
    def digest(self) -> str:
        """The digest of its canonical JSON: what a run is bound to."""
        return f"sha256:{hashlib.sha256(self.canonical).hexdigest()}"

    @cached_property
    def order(self) -> Order[str]:
        """What of its steps comes before what, as far as there are such steps."""
        ids = {step.id for step in self.steps}
        return Order({s.id: [name for name in s.depends_on if name in ids] for s in self.steps})

    @cached_property
    def _json(self) -> dict[str, JSONValue]:
        return write_table(self)

    def as_json(self) -> dict[str, JSONValue]:
        """Return the plan as a JSON object; what is as it is by default is left out."""
        return dict(self._json)

    @classmethod
    def from_json(cls, value: JSONValue) -> Plan:
        """Read what `as_json` gives, strictly: a field that nobody knows is a problem.

        Raises:
            PlanError: everything in *value* that has no place or the wrong kind.
        """
        plan, problems = read_table(cls, value, kinds=_KINDS)
        if problems:
            name = value.get("name", "") if isinstance(value, Mapping) else ""
            raise PlanError(name if isinstance(name, str) else "", problems)
        return plan

    def extended(self, steps: Iterable[Step]) -> Plan:
        """Return the plan with more steps."""
        return replace(self, steps=(*self.steps, *steps))


_KINDS = (Step, Retry, Backoff, OnError)


class Plans:
    """Read plans, and read none of the last few again: runs of the same plan share it.

    >>> plan, plans = Plan("order", (Step("charge", "task:charge"),)), Plans()
    >>> plans.read(plan.digest, plan.as_json()) is plans.read(plan.digest, plan.as_json())
    True
    """

    def __init__(self) -> None:
        self._read: dict[str, tuple[JSONValue, Plan]] = {}

    def read(self, digest: str, value: JSONValue) -> Plan:
        """Return the plan that *value* says; the digest finds an earlier one that said the same.

        Raises:
            PlanError: as `Plan.from_json` does.
        """
        known = self._read.get(digest)
        if known is None or known[0] != value:
            known = self._read[digest] = value, Plan.from_json(value)
            if len(self._read) > _MOST_KEPT:
                del self._read[next(iter(self._read))]
        return known[1]
