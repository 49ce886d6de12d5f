"""Everything that is wrong with a plan, at once, before any of it is done; and what changed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from oneiric.backoff import LONGEST_SECONDS
from oneiric.chains import in_order
from oneiric.errors import DocumentError, JSONValue, PlanError, Problem, unknown
from oneiric.expressions import Condition, ExpressionError, Template
from oneiric.runs.body import Bodies
from oneiric.runs.plan import Limits, Plan, Plans, Step
from oneiric.runs.run import UNDO, Run
from oneiric.runs.state import StepState

_MOST_HINTS = 20
_ID = re.compile(r"\w[\w .@/-]{0,199}")


def check_plan(
    plan: Plan,
    bodies: Bodies,
    limits: Limits,
    *,
    plans: Plans | None = None,
    given: JSONValue = None,
    done: Iterable[str] = (),
) -> None:
    """Pass if *plan* can be run on the input *given*.

    Steps that are *done* already are taken as they are, and of *plans* none is read again.

    Raises:
        PlanError: one problem for each thing that is wrong.
    """
    check = _Check(plan, bodies, limits, plans or Plans(), given, frozenset(done))
    if problems := list(check.problems()):
        raise PlanError(plan.name, problems)


@dataclass
class _Check:
    plan: Plan
    bodies: Bodies
    limits: Limits
    plans: Plans
    given: JSONValue
    done: frozenset[str]

    def __post_init__(self) -> None:
        self.steps = {step.id: step for step in self.plan.steps}
        self.hints = _MOST_HINTS

    def problems(self) -> Iterator[Problem]:
        try:
            size = len(self.plan.canonical)
            if not self.done:
                self.plans.read(self.plan.digest, self.plan.as_json())
        except DocumentError as error:
            yield self._problem(error.path or "plan", error.problem)
            return
        except PlanError as error:
            yield from error.problems
            return
        limits, count = self.limits, len(self.plan.steps)
        measures = (("bytes", size, limits.max_plan_bytes), ("steps", count, limits.max_steps))
        for unit, number, most in measures:
            if number > most:
                yield self._problem("steps", f"{number} {unit} are more than {most}")
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
        yield from self._work(step, at)
        yield from self._expressions(step, at)

    def _work(self, step: Step, at: str) -> Iterator[Problem]:
        if not step.target and not step.signal:
            yield self._problem(at, "it needs a target or a signal")
        if step.cache_key and step.signal:
            yield self._problem(f"{at}.cache_key", "a signal gives the result, which is not kept")
        for field, target in (("target", step.target), ("compensation", step.compensation)):
            if target and (why := self.bodies.problem(target)):
                yield self._problem(f"{at}.{field}", why)
        retry, timeout_seconds = step.retry, step.timeout_seconds
        yield from self._numbers(at, attempts=retry.attempts, timeout_seconds=timeout_seconds)
        if why := retry.backoff.problem:
            yield self._problem(f"{at}.retry.backoff", why)

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
                if what := self._reference(reference, step, is_needed=reference in found.needed):
                    yield self._problem(f"{at}.{field}", what)

    def _reference(self, path: tuple[str, ...], step: Step, *, is_needed: bool) -> str:
        head, *rest = path
        if head not in ("input", "context", "steps"):
            return f"there is no {head}, only context, input, steps"
        if not rest or head == "context":
            return ""
        name = rest[0]
        if head == "input":
            known = self.given if isinstance(self.given, Mapping) else {}
            is_there = name in known or not is_needed
            return "" if is_there else self._what("input", name, known)
        if name not in self.steps:
            return self._what("step", name, self.steps)
        is_before = step.is_final and not self.steps[name].is_final
        is_before = is_before or name in step.depends_on or step.id not in self.plan.order
        if not is_before and not self.plan.order.is_before(name, step.id):
            return f"it does not depend on {name}, so {'.'.join(path)} may not be there"
        if rest[1:] and rest[1] not in ("output", "state", "error"):
            return f"a step has output, state and error, not {rest[1]}"
        return ""

    def _order(self) -> Iterator[Problem]:
        if ring := self.plan.order.closed:
            yield self._problem(f"steps.{ring[0]}", f"they wait in a ring: {' -> '.join(ring)}")
        if (depth := self.plan.order.depth) > self.limits.max_depth:
            what = f"a chain of {depth} is over {self.limits.max_depth}"
            yield self._problem("steps", what)

    def _numbers(self, at: str, **numbers: float | None) -> Sequence[Problem]:
        return [
            self._problem(at, f"{name} must be above 0 and at most {LONGEST_SECONDS}")
            for name, number in numbers.items()
            if number is not None and not 0 < number <= LONGEST_SECONDS
        ]

    def _what(self, kind: str, name: str, known: Iterable[str]) -> str:
        self.hints -= 1
        return f"there is no {kind} {unknown(name, known if self.hints >= 0 else ())}"

    def _problem(self, at: str, what: str) -> Problem:
        return Problem(at, what, f"plan {self.plan.name}")


def changes(was: Plan, now: Plan) -> Iterator[str]:
    """Yield what differs between two plans, a line for each step."""
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
    steps, found = {step.id: step for step in plan.steps}, set[str]()
    for name in in_order({name: step.depends_on for name, step in steps.items()})[0]:
        is_same = name in run.steps and run.steps[name].step == steps[name]
        if is_same and succeeded(run, name) and found.issuperset(steps[name].depends_on):
            found.add(name)
    return [name for name in steps if name in found]


def succeeded(run: Run, name: str) -> bool:
    """Tell whether a step need not be done again when its run is: final and undone ones are."""
    step = run.steps[name]
    is_undone = UNDO + name in run.steps
    return step.state is StepState.SUCCEEDED and not step.step.is_final and not is_undone
