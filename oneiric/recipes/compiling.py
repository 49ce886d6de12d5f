"""A recipe as a plan: what the engine does, in the words of plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from oneiric.backoff import Backoff
from oneiric.errors import JSONValue
from oneiric.recipes.allowed import Allowed
from oneiric.recipes.arranging import Misplaced, Placed, arranged
from oneiric.recipes.checks import misplaced
from oneiric.recipes.conflicts import conflicts
from oneiric.recipes.plan_size import too_large
from oneiric.recipes.reading import Recipe
from oneiric.recipes.recipe import COMMON, FIELDS, DefaultsSpec, RetrySpec, StepSpec
from oneiric.recipes.telling import Telling
from oneiric.runs.plan import Limits, OnError, Plan, Retry, Step

PREFIX = "recipe:"
"""How the names of plans begin that are recipes."""

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {kind: f"task:recipe.{kind}" for kind in ("shell", "http", "recipe", "approve")}
)
"""Who does the steps of each type that needs no module."""

JOIN = "task:recipe.join"
"""Who tells whether all members of a matrix succeeded."""

ALL = "all"
"""The group of every step, where only some may be under way at once."""

BY_DEFAULT: Mapping[str, JSONValue] = MappingProxyType({"approved": True, "by": "default"})
"""The result of an approval that nobody gave in time, where the recipe approves by default."""

_OWN_LIMIT = frozenset(("shell", "python", "approve"))
"""Types of steps that keep their time themselves: a process is dead before its step has failed."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A recipe, the plan of its runs, and the scriptlets that the plan calls.

    `placed` are the steps in the order of the plan, by id; `scriptlets` are references to
    `module:Class`, and `children` the recipes that steps run, by the step's id.
    """

    recipe: Recipe
    plan: Plan
    placed: Mapping[str, Placed]
    scriptlets: Mapping[str, str]
    children: Mapping[str, Compiled] = field(default_factory=dict)

    def secrets(self) -> Iterator[str]:
        """Yield the names of the secrets that it needs, and those of recipes within it."""
        yield from self.recipe.spec.secrets
        for child in self.children.values():
            yield from child.secrets()

    def input(self, inputs: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
        """Return the input of a run on *inputs*: what the expressions of the plan refer to."""
        matrix = {name: dict(each.matrix) for name, each in self.placed.items() if each.matrix}
        return {"inputs": dict(inputs), "env": dict(self.recipe.spec.env), "matrix": matrix}


def compile_recipe(
    recipe: Recipe,
    *,
    max_parallel: int = 0,
    keep_going: bool = False,
    allowed: Allowed | None = None,
) -> Compiled:
    """Return the plan of *recipe*.

    Args:
        recipe: what was read.
        max_parallel: how many steps may be under way at once, besides what the recipe says.
        keep_going: whether a failure stops only what depends on it.
        allowed: what it may use; scriptlets that are allowed are imported. Without it nothing
            is, and who does the steps shows only in a run.

    Raises:
        RecipeError: everything that is wrong with the recipe, each with its line.
        RecipeRefusedError: nothing is, but it asks for what is not allowed.
    """
    spec = recipe.spec
    placed, wrong = arranged(spec)
    if not wrong:
        wrong += conflicts(spec, placed)
    wrong += misplaced(spec, recipe.folder, recipe.above)
    told = Telling(spec, placed, wrong)
    told.check_env()
    limits = [n for n in (max_parallel, spec.concurrency.max_parallel or 0) if n]
    making = _Making(recipe, told, shared(placed, min(limits, default=0)))
    steps = tuple(making.step(each) for each in placed)
    if not wrong and len(steps) > Limits().max_steps:
        wrong.append(Misplaced("steps", f"{len(steps)} steps are more than {Limits().max_steps}"))
    if allowed:
        wrong += allowed.misplaced(recipe)
    recipe.settle(wrong, allowed.refused(recipe) if allowed else ())
    plan = Plan(
        f"{PREFIX}{recipe.name}",
        steps,
        version=recipe.digest,
        timeout_seconds=spec.timeout,
        groups=making.groups,
        fail_fast=not keep_going,
        metadata={"recipe": str(recipe.path), "folder": str(recipe.folder)},
    )
    by_id = {each.id: each for each in placed}
    recipe.settle(too_large(plan, by_id))
    return Compiled(recipe, plan, by_id, making.scriptlets)


def shared(placed: Sequence[Placed], most: int) -> dict[str, int]:
    """Return how many steps of each group may be under way, so that all limits hold at once.

    A step is of one group. A matrix with a limit below that of the run has a group of its
    own, whose share is set aside: what is left is for all others. Where nothing would be left,
    its members are among all others. *most* is 0 where the run has no limit.
    """
    groups: dict[str, int] = {}
    for each in placed:
        matrix, name = each.spec.matrix, each.spec.name
        wanted = matrix.max_parallel if matrix else None
        if not wanted or _own(name) in groups:
            continue
        if not most or wanted < most:
            groups[_own(name)] = wanted
            most -= min(wanted, most)
    return {ALL: most, **groups} if most else groups


def _own(name: str) -> str:
    return f"{name}/"


class _Making:
    """One pass over the steps, which notes all that is wrong with expressions and goes on."""

    def __init__(self, recipe: Recipe, told: Telling, groups: Mapping[str, int]) -> None:
        self.recipe = recipe
        self.told = told
        self.groups = groups
        self.scriptlets: dict[str, str] = {}

    def step(self, placed: Placed) -> Step:
        """Return the step of the plan."""
        spec, defaults = placed.spec, self.recipe.spec.defaults
        on_error = OnError(spec.on_error or defaults.on_error)
        if placed.members:
            states = {name: f"${{ steps[{name!r}].state }}" for name in placed.members}
            after, is_final = placed.depends_on, placed.is_final
            return Step(placed.id, JOIN, states, after, on_error=on_error, is_final=is_final)
        if spec.matrix and not spec.matrix.fail_fast:
            on_error = OnError.CONTINUE
        retry = spec.retry or defaults.retry
        is_approve = spec.type == "approve"
        return Step(
            placed.id,
            self._target(spec),
            self._input(placed),
            placed.depends_on,
            self.told.condition(placed),
            _retry(retry),
            None if spec.type in _OWN_LIMIT else self._timeout(spec),
            on_error,
            default=dict(BY_DEFAULT) if is_approve and spec.default == "approve" else None,
            group=self._group(placed),
            is_final=placed.is_final,
        )

    def _timeout(self, spec: StepSpec) -> float | None:
        has_own = spec.type == "approve" or "timeout" in spec.model_fields_set
        return spec.timeout if has_own else self.recipe.spec.defaults.timeout

    def _target(self, spec: StepSpec) -> str:
        if spec.type != "python":
            return BUILT_IN[spec.type]
        ref = f"task:{spec.module}.{spec.function}"
        self.scriptlets[ref] = f"{spec.module}:{spec.function}"
        return ref

    def _group(self, placed: Placed) -> str:
        names = (_own(placed.spec.name), ALL)
        return next((name for name in names if name in self.groups), "")

    def _input(self, placed: Placed) -> JSONValue:
        """Return what the step's body gets: its fields, and what they are held to."""
        spec, defaults = placed.spec, self.recipe.spec.defaults
        fields = spec.model_dump(
            include=set(FIELDS[spec.type] - COMMON), exclude_unset=True, mode="json"
        )
        open_, hidden = self.told.fields(placed, fields, hides=True)
        given: dict[str, JSONValue] = {"fields": open_, "hidden": hidden}
        given["limit"] = self._timeout(spec)
        held = spec.model_dump(
            include={"success", "outputs", "cache", "cache_key"}, exclude_unset=True, mode="json"
        )
        given["held"], _ = self.told.fields(placed, held, hides=False)
        merge = spec.merge or defaults.merge
        given["merge"] = merge if merge != DefaultsSpec.model_fields["merge"].default else ""
        return {key: each for key, each in given.items() if each}


def _retry(spec: RetrySpec) -> Retry:
    if not spec.max:
        return Retry()
    grows = spec.backoff == "exponential"
    backoff = Backoff(
        base_seconds=spec.delay_sec,
        factor=2.0 if grows else 1.0,
        max_seconds=max(spec.max_delay_sec, spec.delay_sec),
        jitter=spec.jitter,
    )
    return Retry(attempts=spec.max + 1, backoff=backoff, on=tuple(map(_cause, spec.on)))


def _cause(text: str) -> str:
    """Return what the kernel calls a cause: `exit:75` is the code `exit-75`.

    `status:503` is the code of an answer, and `status:5xx` the type of all such failures.
    """
    kind, colon, value = text.partition(":")
    if not colon or kind not in ("exit", "status"):
        return text
    return f"Status{value}Error" if value in ("4xx", "5xx") else f"{kind}-{value}"
