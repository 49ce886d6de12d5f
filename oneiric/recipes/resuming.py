"""What an earlier run leaves for a later one: values, who made them, and steps that are done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from oneiric.documents import canonical
from oneiric.errors import InvalidError, JSONValue, NotFoundError
from oneiric.recipes.compiling import PREFIX, Compiled
from oneiric.recipes.errors import SelectionError
from oneiric.recipes.plugin import KEPT
from oneiric.recipes.selection import before, matching, without
from oneiric.recipes.sessions import writers_in
from oneiric.reports.report import LEFT_OUT
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.plan import Limits, Plan, Step
from oneiric.runs.run import Run, fold
from oneiric.runs.state import StepState

if TYPE_CHECKING:
    from oneiric.runs.journal import Journal

MOST_BYTES = Limits().max_value_bytes // 2
"""How much of an earlier context a run begins with; of more, its steps write their own again."""

_WRITES: Mapping[str, JSONValue] = MappingProxyType({"writes": True})
WRITERS, CONTINUES = "writers", "continues"
"""Keys of a run's metadata: who made the values that it began with, and which run it continues."""


class Written(NamedTuple):
    """A value of a context: which step wrote it, none where it was given, and under whose name."""

    value: JSONValue
    step: str
    who: str = ""


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

    def written(self, steps: set[str]) -> dict[str, Written]:
        """Return what it was given, and what *steps* wrote, by key."""
        made = cast("Mapping[str, str]", self.run.metadata.get(WRITERS) or {})
        given = {key: Written(value, made.get(key, "")) for key, value in self._given.items()}
        found = {key: each for key, each in given.items() if each.step in {*steps, ""}}
        for event in self.events:
            if _is_write(event) and event.step in steps:
                who = str(event.data.get("who", ""))
                found[str(event.data["key"])] = Written(event.data["value"], event.step, who)
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
class Kept:
    """What steps of an earlier run gave, and what they are to write again, each by the step."""

    results: Mapping[str, JSONValue]
    writes: Mapping[str, Mapping[str, Written]]

    @classmethod
    def of(cls, earlier: Earlier, names: Iterable[str], *, writes: bool) -> Kept:
        """Return that of the steps *names*; they write nothing where the context has it already."""
        steps = earlier.run.steps
        results = {name: steps[name].result for name in names if name in steps}
        found: dict[str, dict[str, Written]] = {}
        for key, each in earlier.written({*results}).items() if writes else ():
            found.setdefault(each.step, {})[key] = each
        return cls(results, found)


async def kept_of(run: Run, journal: Journal) -> Kept | None:
    """Return what the run needs of the one that it continues, if there is one."""
    kept = {name: each.step for name, each in run.steps.items() if each.step.target == KEPT}
    events = await journal.read(str(run.metadata.get(CONTINUES, ""))) if kept else ()
    if not events:
        return None
    earlier = Earlier(fold(events), events)
    return Kept.of(earlier, kept, writes=any(step.input == _WRITES for step in kept.values()))


@dataclass(frozen=True, slots=True)
class Continued:
    """A plan in which steps of an earlier run count as done, and what it needs of that run.

    `of` is that run's id, `values` what its context begins with, `writers` who wrote what.
    """

    plan: Plan
    of: str
    values: Mapping[str, JSONValue]
    writers: Mapping[str, str]
    kept: Kept


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
    kept = {name: step.step for name, step in run.steps.items() if step.step.target == KEPT}
    names = kept.keys() & set(compiled.placed)
    writes = any(step.input == _WRITES for step in kept.values())
    return _with_kept(compiled.plan, names, str(run.metadata.get(CONTINUES, "")), writes=writes)


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
    written = earlier.written(set(succeeded))
    values: dict[str, JSONValue] = {key: each.value for key, each in written.items()}
    writers = {key: each.step for key, each in written.items() if each.step}
    writes = len(canonical(values)) > MOST_BYTES
    if writes:
        values = {key: value for key, value in values.items() if key not in writers}
    plan = without(_with_kept(compiled.plan, set(succeeded), of, writes=writes), reasons)
    return Continued(plan, of, values, writers, Kept.of(earlier, succeeded, writes=writes))


def _with_kept(plan: Plan, names: Collection[str], of: str, *, writes: bool) -> Plan:
    """Return the plan in which steps give what they gave before, in the run *of*."""

    def kept(step: Step) -> Step:
        said: dict[str, JSONValue] = {LEFT_OUT: f"it was done in run {of}"}
        given = dict(_WRITES) if writes else None
        return replace(
            Step(step.id, KEPT, given, step.depends_on, is_final=step.is_final), metadata=said
        )

    steps = tuple(kept(step) if step.id in names else step for step in plan.steps)
    return replace(plan, steps=steps)
