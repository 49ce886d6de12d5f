"""What became different between a run's plan and another, and what of the run outlives that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from oneiric.errors import JSONValue, RefusedError
from oneiric.runs.plan import Plan, Step
from oneiric.runs.run import UNDO, Run
from oneiric.runs.state import StepState


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
