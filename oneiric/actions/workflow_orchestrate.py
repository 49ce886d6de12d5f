"""`workflow.orchestrate`: a plan of steps in the order in which they may run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import islice
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from oneiric.actions.kit import Payload, Record, Result
from oneiric.clock import Clock, SystemClock
from oneiric.domains.actions import InvalidPayloadError

MOST_BEFORE = 100
MOST_CIRCLES = 10


class OrchestrateStep(Payload):
    """One step, the action that it calls, and the steps that come before it."""

    step_id: str = Field(min_length=1)
    name: str = ""
    action: str = Field(min_length=1)
    depends_on: list[str] = Field(default_factory=list, max_length=MOST_BEFORE)
    retry_attempts: int = Field(default=0, ge=0)
    timeout_seconds: float | None = Field(default=None, gt=0)
    metadata: Record = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)


class OrchestratePayload(Payload):
    """The steps; with `target_steps` only those and what they depend on are planned."""

    workflow_id: str = Field(min_length=1)
    steps: list[OrchestrateStep] = Field(min_length=1, max_length=1_000)
    version: str = "1"
    start_paused: bool = False
    target_steps: list[str] | None = Field(default=None, min_length=1)
    context: Record = Field(default_factory=dict)


class Graph(Result):
    """Step to the steps before it, the steps that wait for none, and those none waits for."""

    dependencies: dict[str, list[str]]
    entry_steps: list[str]
    terminal_steps: list[str]


class OrchestrateResult(Result):
    """The plan; nothing was started. Each list of `schedule` may run at once."""

    status: Literal["planned", "paused"]
    workflow_id: str
    version: str
    run_token: str
    schedule: list[list[str]]
    ordered_steps: list[str]
    steps: list[OrchestrateStep]
    graph: Graph
    context: Record


class WorkflowOrchestrate:
    """Check a graph of steps, telling everything that is wrong with it, and order it.

    Steps that could change places stand in the order in which they were given.
    """

    payload: ClassVar[type[BaseModel]] = OrchestratePayload
    result: ClassVar[type[BaseModel]] = OrchestrateResult

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def execute(self, payload: OrchestratePayload) -> OrchestrateResult:
        """Plan it.

        Raises:
            InvalidPayloadError: ids given twice, unknown steps, ten cycles at most; all at once.
        """
        if problems := list(_problems(payload)):
            raise InvalidPayloadError.of(problems)
        steps = {step.step_id: step for step in payload.steps}
        wanted = _reached(steps, payload.target_steps or list(steps))
        planned = [step for step in payload.steps if step.step_id in wanted]
        before = {step.step_id: list(dict.fromkeys(step.depends_on)) for step in planned}
        levels = list(_levels(before))
        waited_for = {name for names in before.values() for name in names}
        return OrchestrateResult(
            status="paused" if payload.start_paused else "planned",
            workflow_id=payload.workflow_id,
            version=payload.version,
            run_token=self._clock.new_id(),
            schedule=levels,
            ordered_steps=[name for level in levels for name in level],
            steps=planned,
            graph=Graph(
                dependencies=before,
                entry_steps=[name for name, names in before.items() if not names],
                terminal_steps=[name for name in before if name not in waited_for],
            ),
            context=payload.context,
        )


def _problems(payload: OrchestratePayload) -> Iterator[tuple[str, str]]:
    counts = Counter(step.step_id for step in payload.steps)
    for name, count in counts.items():
        if count > 1:
            yield "steps", f"{count} steps are named {name}"
    for number, step in enumerate(payload.steps):
        for name in step.depends_on:
            if name not in counts:
                yield f"steps.{number}.depends_on", f"there is no step {name}"
    for name in payload.target_steps or ():
        if name not in counts:
            yield "target_steps", f"there is no step {name}"
    circles = _circles({step.step_id: step.depends_on for step in payload.steps})
    for circle in islice(circles, MOST_CIRCLES):
        yield "steps", f"a circle: {' -> '.join(circle)}"


def _circles(before: Mapping[str, Sequence[str]]) -> Iterator[Sequence[str]]:
    """Yield a circle, and then one of what is left without its steps, until none is."""
    left = {name: set(names) for name, names in before.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
        else:
            return
        yield circle
        gone = set(circle)
        left = {name: names - gone for name, names in left.items() if name not in gone}


def _reached(steps: Mapping[str, OrchestrateStep], targets: Sequence[str]) -> set[str]:
    found: set[str] = set()
    todo = list(targets)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += steps[name].depends_on
    return found


def _levels(before: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    order = {name: number for number, name in enumerate(before)}
    sorter = TopologicalSorter(before)
    sorter.prepare()
    while sorter.is_active():
        level = sorted(sorter.get_ready(), key=order.__getitem__)
        yield level
        sorter.done(*level)
