"""What an earlier run leaves for a later one: values, who made them, and steps that are done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import InvalidError, JSONValue, NotFoundError
from oneiric.recipes.compiling import PREFIX, Compiled
from oneiric.recipes.errors import SelectionError
from oneiric.recipes.plugin import KEPT
from oneiric.recipes.selection import before, matching, without
from oneiric.recipes.sessions import writers_in
from oneiric.reports.report import LEFT_OUT
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.plan import Plan, Step
from oneiric.runs.run import Run, fold
from oneiric.runs.state import StepState

if TYPE_CHECKING:
    from oneiric.runs.journal import Journal

WRITERS, CONTINUES = "writers", "continues"
"""Keys of a run's metadata: who made the values that it began with, and which run it continues."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run that was, and its events."""

    run: Run
    events: Sequence[RunEvent] = field(repr=False)

    @property
    def writers(self) -> dict[str, str]:
        """Who wrote each key of its context: step ids, and nobody for what it was given."""
        found = dict.fromkeys(self._given, "")
        found |= cast("dict[str, str]", self.run.metadata.get(WRITERS) or {})
        return found | writers_in(self.events)

    def values(self, steps: set[str]) -> dict[str, JSONValue]:
        """Return what it was given, and what *steps* wrote."""
        made = cast("Mapping[str, str]", self.run.metadata.get(WRITERS) or {})
        found = {key: v for key, v in self._given.items() if made.get(key, "") in {*steps, ""}}
        for event in self.events:
            if _is_write(event) and event.step in steps:
                found[str(event.data["key"])] = event.data["value"]
        return found

    @property
    def _given(self) -> Mapping[str, JSONValue]:
        return cast("Mapping[str, JSONValue]", self.events[0].data.get("context") or {})


def _is_write(event: RunEvent) -> bool:
    return event.kind is EventKind.CONTEXT_SET


async def run_of(journal: Journal, run_id: str, compiled: Compiled) -> Earlier:
    """Return a run of a recipe.

    Raises:
        NotFoundError: there is no such run.
        InvalidError: it is one of something else.
    """
    events = await journal.read(run_id)
    if not events:
        raise NotFoundError("run", run_id, hint="oneiric recipe runs")
    run = fold(events)
    if run.plan.name != compiled.plan.name:
        ran = run.plan.name.removeprefix(PREFIX)
        raise InvalidError(f"{run_id} is a run of {ran}, not of {compiled.recipe.name}")
    return Earlier(run, events)


async def last_run(journal: Journal, compiled: Compiled) -> Earlier | None:
    """Return the newest run of the same recipe, if there is one."""
    recipe = str(compiled.recipe.path.resolve())
    before_ = ""
    while page := await journal.runs(name=compiled.plan.name, before=before_):
        for record in page:
            events = await journal.read(record.run_id)
            metadata = cast("Mapping[str, Any]", events[0].data.get("metadata") or {})
            if metadata.get("recipe", recipe) == recipe:
                return Earlier(fold(events), events)
        before_ = page[-1].run_id
    return None


@dataclass(frozen=True, slots=True)
class Continued:
    """A plan in which steps of an earlier run count as done, and what it needs of that run.

    `of` is that run's id.
    """

    plan: Plan
    of: str
    values: Mapping[str, JSONValue]
    results: Mapping[str, JSONValue]
    writers: Mapping[str, str]


def from_step(compiled: Compiled, name: str, earlier: Earlier | None) -> Continued:
    """Return the plan of a run that begins with one step: what comes before it counts as done.

    Raises:
        SelectionError: there is no such step or no earlier run, or something that is needed was
            not done there.
    """
    placed = list(compiled.placed)
    wanted = matching(compiled.placed, [name])
    if earlier is None:
        hint = f"oneiric recipe run {compiled.recipe.path}"
        raise SelectionError([f"{compiled.recipe.name} has no earlier run"], hint=hint)
    first = min(placed.index(each) for each in wanted)
    main = [each for each in placed if not compiled.placed[each].is_final]
    names = [each for each in main if placed.index(each) < first]
    done = _done(earlier.run)
    needed = before(compiled.placed, set(main) - set(names))
    if undone := [each for each in names if each in needed and each not in done]:
        raise SelectionError(
            [f"{each} was not done in run {earlier.run.run_id}" for each in undone],
            hint=f"--resume-from {compiled.placed[undone[0]].spec.name}",
        )
    return _continued(compiled, earlier, names)


def only_failed(compiled: Compiled, earlier: Earlier) -> Continued:
    """Return the plan of a run that does what did not succeed in an earlier one.

    Raises:
        SelectionError: everything has succeeded there.
    """
    run = earlier.run
    done = {name for name, step in run.steps.items() if step.state is StepState.SUCCEEDED}
    main = [name for name, each in compiled.placed.items() if not each.is_final]
    kept = [name for name in main if name in done]
    if not {name for name in main if name not in _done(run)}:
        raise SelectionError([f"nothing has failed in run {run.run_id}"])
    return _continued(compiled, earlier, kept)


def kept_in(compiled: Compiled, run: Run) -> Plan:
    """Return the plan with those steps kept that a run began with as done."""
    names = {name for name, step in run.steps.items() if step.step.target == KEPT}
    of = str(run.metadata.get(CONTINUES, ""))
    return _with_kept(compiled.plan, names & set(compiled.placed), of)


def _done(run: Run) -> set[str]:
    """Return the steps that need not be done again, those that were not wanted among them."""
    return {name for name, step in run.steps.items() if step.is_met and step.state.is_over}


def _continued(compiled: Compiled, earlier: Earlier, names: Iterable[str]) -> Continued:
    run = earlier.run
    succeeded = [
        name for name in names if name in run.steps and run.steps[name].state is StepState.SUCCEEDED
    ]
    of = run.run_id
    reasons = {
        name: f"it comes before the step to begin with, and was not done in run {of}"
        for name in names
        if name not in succeeded
    }
    plan = without(_with_kept(compiled.plan, set(succeeded), of), reasons)
    results = {name: run.steps[name].result for name in succeeded}
    values = earlier.values({*succeeded, ""})
    writers = {key: who for key, who in earlier.writers.items() if who and key in values}
    return Continued(plan, of, values, results, writers)


def _with_kept(plan: Plan, names: set[str], of: str) -> Plan:
    """Return the plan in which steps give what they gave before, found in the run's input."""

    def kept(step: Step) -> Step:
        said: dict[str, JSONValue] = {LEFT_OUT: f"it was done in run {of}"}
        given = f"${{ input.kept[{step.id!r}] }}"
        return replace(
            Step(step.id, KEPT, given, step.depends_on, is_final=step.is_final), metadata=said
        )

    steps = tuple(kept(step) if step.id in names else step for step in plan.steps)
    return replace(plan, steps=steps)
