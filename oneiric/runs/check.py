"""Everything that is wrong with a plan, at once, before any of it is done; and what changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from graphlib import CycleError, TopologicalSorter

from oneiric.errors import DocumentError, JSONValue, Problem, RefusedError, nearest
from oneiric.expressions import Condition, ExpressionError, Template
from oneiric.runs.body import Bodies
from oneiric.runs.plan import Limits, Plan, PlanError, Step
from oneiric.runs.run import UNDO, Run
from oneiric.runs.state import StepState

_NO_INPUT = "there is no input "
_ID = re.compile(r"\w[\w .@/-]{0,199}")


def check_plan(
    plan: Plan, bodies: Bodies, limits: Limits, *, given: JSONValue = None, done: Iterable[str] = ()
) -> None:
    """Pass if *plan* can be run on the input *given*.

    Steps that are *done* already are taken as they are.

    Raises:
        PlanError: one problem for each thing that is wrong.
    """
    if problems := list(_Check(plan, bodies, limits, given, frozenset(done)).problems()):
        raise PlanError(plan.name, problems)


@dataclass
class _Check:
    plan: Plan
    bodies: Bodies
    limits: Limits
    given: JSONValue
    done: frozenset[str]

    def __post_init__(self) -> None:
        self.steps = {step.id: step for step in self.plan.steps}

    def problems(self) -> Iterator[Problem]:
        try:
            size = len(self.plan.canonical)
        except DocumentError as error:
            yield self._problem(error.path or "plan", error.problem)
            return
        limits, count = self.limits, len(self.plan.steps)
        if size > limits.max_plan_bytes:
            yield self._problem("steps", f"{size} bytes are more than {limits.max_plan_bytes}")
        if count > limits.max_steps:
            yield self._problem("steps", f"{count} steps are more than {limits.max_steps}")
        yield from self._numbers("plan", timeout_seconds=self.plan.timeout_seconds)
        for group, most in self.plan.groups.items():
            yield from self._numbers(f"groups.{group}", most=most)
        seen: set[str] = set()
        for step in self.plan.steps:
            if step.id in seen:
                yield self._problem(f"steps.{step.id}", "there are two steps of that id")
            seen.add(step.id)
            if step.id not in self.done:
                yield from self._step(step)
        yield from self._order()

    def _step(self, step: Step) -> Iterator[Problem]:
        at = f"steps.{step.id}"
        if not _ID.fullmatch(step.id):
            yield self._problem(at, "an id is up to 200 letters, digits, spaces and any of _.@/-")
        for name in step.depends_on:
            if name not in self.steps:
                yield self._problem(f"{at}.depends_on", self._what("step", name, self.steps))
            elif self.steps[name].is_final and not step.is_final:
                yield self._problem(f"{at}.depends_on", f"{name} is final: it runs after this one")
        if step.group and step.group not in self.plan.groups:
            what = self._what("group", step.group, self.plan.groups)
            yield self._problem(f"{at}.group", what)
        if not step.target and not step.signal:
            yield self._problem(at, "it needs a target or a signal")
        for field, target in (("target", step.target), ("compensation", step.compensation)):
            if target and (why := self.bodies.problem(target)):
                yield self._problem(f"{at}.{field}", why)
        retry, backoff = step.retry, step.retry.backoff
        yield from self._numbers(
            at, attempts=retry.attempts, factor=backoff.factor, timeout_seconds=step.timeout_seconds
        )
        if min(backoff.base_seconds, backoff.max_seconds, backoff.jitter, 1 - backoff.jitter) < 0:
            yield self._problem(f"{at}.retry.backoff", "seconds are 0 or more, jitter is 0 to 1")
        yield from self._expressions(step, at)

    def _expressions(self, step: Step, at: str) -> Iterator[Problem]:
        for field in ("input", "cache_key", "condition"):
            value: JSONValue = getattr(step, field)
            if not value:
                continue
            try:
                is_text = field == "condition"
                found = Condition.parse(str(value)) if is_text else Template.parse(value)
            except ExpressionError as error:
                yield self._problem(f"{at}.{field}", str(error))
                continue
            for reference in sorted(found.references):
                what = self._reference(reference, step)
                if what.startswith(_NO_INPUT) and "default(" in json.dumps(value, default=str):
                    continue
                if what:
                    yield self._problem(f"{at}.{field}", what)

    def _reference(self, path: tuple[str, ...], step: Step) -> str:
        head, *rest = path
        if head not in ("input", "context", "steps"):
            return f"there is no {head}, only context, input, steps"
        if not rest or head == "context":
            return ""
        name = rest[0]
        if head == "input":
            known = self.given if isinstance(self.given, Mapping) else {}
            return "" if name in known else self._what("input", name, known)
        if name not in self.steps:
            return self._what("step", name, self.steps)
        if name not in step.depends_on and name not in self._before(step):
            return f"it does not depend on {name}, so {'.'.join(path)} may not be there"
        if rest[1:] and rest[1] not in ("output", "state", "error"):
            return f"a step has output, state and error, not {rest[1]}"
        return ""

    def _before(self, step: Step) -> set[str]:
        """Return the ids of the steps that are over when *step* begins."""
        finals = step.is_final
        found = {name for name, each in self.steps.items() if finals and not each.is_final}
        waiting = list(step.depends_on)
        while waiting:
            name = waiting.pop()
            if name in self.steps and name not in found:
                found.add(name)
                waiting += self.steps[name].depends_on
        return found

    def _order(self) -> Iterator[Problem]:
        known = {
            name: [each for each in step.depends_on if each in self.steps]
            for name, step in self.steps.items()
        }
        sorter, depth = TopologicalSorter(known), 0
        try:
            sorter.prepare()
        except CycleError as error:
            ring = error.args[1][::-1]
            yield self._problem(f"steps.{ring[0]}", f"they wait in a ring: {' -> '.join(ring)}")
            return
        while ready := sorter.get_ready():
            depth += 1
            sorter.done(*ready)
        if depth > self.limits.max_depth:
            yield self._problem("steps", f"a chain of {depth} is over {self.limits.max_depth}")

    def _numbers(self, at: str, **numbers: float | None) -> Sequence[Problem]:
        return [
            self._problem(at, f"{name} must be above 0")
            for name, number in numbers.items()
            if number is not None and not number > 0
        ]

    def _what(self, kind: str, name: str, known: Iterable[str]) -> str:
        close = nearest(name, known)
        return f"there is no {kind} {name}{f'; did you mean {close}?' if close else ''}"

    def _problem(self, at: str, what: str) -> Problem:
        return Problem(at, what, f"plan {self.plan.name}")


class PlanChangedError(RefusedError):
    """A run was begun with another plan; carries what differs."""

    code = "plan-changed"

    def __init__(self, run_id: str, was: Plan, now: Plan) -> None:
        super().__init__(
            f"the run {run_id} was begun with another plan {was.name}",
            hint="force it to go on: steps that changed, and all after them, are done again",
        )
        self.run_id = run_id
        self.changes = tuple(_changes(was, now))

    def details(self) -> Mapping[str, JSONValue]:
        return {"run_id": self.run_id, "changes": list(self.changes)}

    def lines(self) -> Sequence[str]:
        return self.changes


def _changes(was: Plan, now: Plan) -> Iterator[str]:
    before, after = ({step.id: step for step in plan.steps} for plan in (was, now))
    yield from (f"- {name}" for name in before if name not in after)
    yield from (f"+ {name}" for name in after if name not in before)
    pairs: list[tuple[str, Step | Plan, Step | Plan]] = [("the plan", was, now)]
    pairs += [(name, before[name], after[name]) for name in before if name in after]
    for name, old, new in pairs:
        names = [each.name for each in fields(old) if each.name != "steps"]
        if changed := [each for each in names if getattr(old, each) != getattr(new, each)]:
            yield f"~ {name}: {', '.join(changed)}"


def kept(run: Run, plan: Plan) -> list[str]:
    """Return the steps whose results hold under *plan*: the same, and after such alone."""
    steps = {
        step.id: step
        for step in plan.steps
        if step.id in run.steps and run.steps[step.id].step == step and succeeded(run, step.id)
    }
    while gone := [name for name, s in steps.items() if not steps.keys() >= set(s.depends_on)]:
        for name in gone:
            del steps[name]
    return list(steps)


def succeeded(run: Run, name: str) -> bool:
    """Tell whether a step need not be done again when its run is: final and undone ones are."""
    step = run.steps[name]
    is_undone = UNDO + name in run.steps
    return step.state is StepState.SUCCEEDED and not step.step.is_final and not is_undone
