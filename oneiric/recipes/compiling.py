"""A recipe as a plan: what the engine does, in the words of plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from oneiric.backoff import Backoff
from oneiric.errors import JSONValue, Problem
from oneiric.expressions import ExpressionError, expressions_in, renamed, translated
from oneiric.expressions.grammar import compiled as read_expression
from oneiric.recipes.arranging import Placed, arranged
from oneiric.recipes.errors import RecipeError
from oneiric.recipes.reading import Recipe
from oneiric.recipes.recipe import COMMON, FIELDS, DefaultsSpec, RetrySpec, StepSpec
from oneiric.runs.plan import OnError, Plan, Retry, Step

PREFIX = "recipe:"
"""How the names of plans begin that are recipes."""

BUILT_IN: Mapping[str, str] = MappingProxyType(
    {kind: f"task:recipe.{kind}" for kind in ("shell", "http", "recipe", "approve")}
)
"""Who does the steps of each type that needs no module."""

ALL = "all"
"""The group of every step, where only some may be under way at once."""

_SECRETS = "secrets"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A recipe, the plan of its runs, and the scriptlets that the plan calls.

    `placed` are the steps in the order of the plan, by id; `scriptlets` are references to
    `module:Class`, and `matrix` the values of each member of a matrix.
    """

    recipe: Recipe
    plan: Plan
    placed: Mapping[str, Placed]
    scriptlets: Mapping[str, str]

    def input(self, inputs: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
        """Return the input of a run on *inputs*: what the expressions of the plan refer to."""
        matrix = {name: dict(each.matrix) for name, each in self.placed.items() if each.matrix}
        return {"inputs": dict(inputs), "env": dict(self.recipe.spec.env), "matrix": matrix}


def compile_recipe(recipe: Recipe, *, max_parallel: int = 0, keep_going: bool = False) -> Compiled:
    """Return the plan of *recipe*.

    Args:
        recipe: what was read.
        max_parallel: how many steps may be under way at once, besides what the recipe says.
        keep_going: whether a failure stops only what depends on it.

    Raises:
        RecipeError: every problem with the order of the steps and with their expressions.
    """
    placed, wrong = arranged(recipe.spec)
    problems = [recipe.problem(each.at, each.what) for each in wrong]
    limits = [n for n in (max_parallel, recipe.spec.concurrency.max_parallel or 0) if n]
    groups = {ALL: min(limits)} if limits else {}
    making = _Making(recipe, groups, problems)
    steps = tuple(making.step(each) for each in placed)
    if problems:
        raise RecipeError(str(recipe.path), problems)
    plan = Plan(
        f"{PREFIX}{recipe.name}",
        steps,
        version=recipe.digest,
        timeout_seconds=recipe.spec.timeout,
        groups=making.groups,
        fail_fast=not keep_going,
        metadata={"recipe": str(recipe.path), "folder": str(recipe.folder)},
    )
    return Compiled(recipe, plan, {each.id: each for each in placed}, making.scriptlets)


class _Making:
    """One pass over the steps, which notes all that is wrong with expressions and goes on."""

    def __init__(self, recipe: Recipe, groups: Mapping[str, int], problems: list[Problem]) -> None:
        self.recipe = recipe
        self.groups = dict(groups)
        self.problems = problems
        self.scriptlets: dict[str, str] = {}

    def step(self, placed: Placed) -> Step:
        """Return the step of the plan."""
        spec, defaults = placed.spec, self.recipe.spec.defaults
        retry = spec.retry or defaults.retry
        timeout = spec.timeout if "timeout" in spec.model_fields_set else defaults.timeout
        return Step(
            placed.id,
            self._target(spec),
            self._input(placed),
            placed.depends_on,
            self._condition(placed),
            _retry(retry),
            None if spec.type == "approve" else timeout,
            OnError(spec.on_error or defaults.on_error),
            group=self._group(placed),
            is_final=placed.is_final,
        )

    def _target(self, spec: StepSpec) -> str:
        if spec.type != "python":
            return BUILT_IN[spec.type]
        ref = f"task:{spec.module}.{spec.function}"
        self.scriptlets[ref] = f"{spec.module}:{spec.function}"
        return ref

    def _group(self, placed: Placed) -> str:
        matrix = placed.spec.matrix
        if matrix is None or not matrix.max_parallel:
            return ALL if ALL in self.groups else ""
        name = placed.spec.name
        self.groups[name] = min(matrix.max_parallel, self.groups.get(ALL, matrix.max_parallel))
        return name

    def _input(self, placed: Placed) -> JSONValue:
        """Return what the step's body gets: its fields, and what they are held to."""
        spec, defaults = placed.spec, self.recipe.spec.defaults
        fields = spec.model_dump(
            include=set(FIELDS[spec.type] - COMMON), exclude_unset=True, mode="json"
        )
        open_, hidden = self._told(placed, fields)
        given: dict[str, JSONValue] = {"fields": open_, "hidden": hidden}
        held = spec.model_dump(
            include={"success", "outputs", "cache", "cache_key"}, exclude_unset=True, mode="json"
        )
        given["held"], _ = self._told(placed, held)
        given["merge"] = spec.merge or ("" if defaults == DefaultsSpec() else defaults.merge)
        return {key: each for key, each in given.items() if each}

    def _told(
        self, placed: Placed, fields: Mapping[str, JSONValue]
    ) -> tuple[dict[str, JSONValue], dict[str, JSONValue]]:
        """Return fields in the words of plans, and those texts that name secrets, by path.

        These are told only when the step is done, so that no journal ever holds what they say.
        """
        roots, hidden = self._roots(placed), dict[str, JSONValue]()

        def told(value: JSONValue, way: tuple[str, ...]) -> JSONValue:
            if isinstance(value, Mapping):
                return {key: told(each, (*way, key)) for key, each in value.items()}
            if isinstance(value, list):
                return [told(each, (*way, str(n))) for n, each in enumerate(value)]
            if not isinstance(value, str):
                return value
            try:
                if _names_secrets(value):
                    hidden[".".join(way)] = value
                    return None
                return translated(value, roots)
            except ExpressionError as error:
                key = ".".join((placed.at, *(part.rstrip("_") for part in way)))
                self.problems.append(self.recipe.problem(key, error.message))
                return None

        return {key.rstrip("_"): told(each, (key,)) for key, each in fields.items()}, hidden

    def _condition(self, placed: Placed) -> str:
        if_ = placed.spec.if_
        if isinstance(if_, bool):
            return "" if if_ else "false"
        if not if_ or if_.strip() == "always":
            return ""
        try:
            parts = list(expressions_in(if_)) or [if_]
            if len(parts) > 1:
                raise ExpressionError(if_, "a condition is one expression")
            return renamed(parts[0], self._roots(placed))
        except ExpressionError as error:
            self.problems.append(self.recipe.problem(f"{placed.at}.if", error.message))
            return ""

    def _roots(self, placed: Placed) -> Mapping[str, str]:
        """Return what the names are called in plans with which paths of recipes begin."""
        roots = {"inputs": "input.inputs", "env": "input.env", "ctx": "context", "steps": "steps"}
        return {**roots, "matrix": f"input.matrix[{placed.id!r}]"} if placed.matrix else roots


def _names_secrets(text: str) -> bool:
    return any(
        reference[0] == _SECRETS
        for part in expressions_in(text)
        for reference in read_expression(part).references
    )


def _retry(spec: RetrySpec) -> Retry:
    grows = spec.backoff == "exponential"
    backoff = Backoff(
        base_seconds=spec.delay_sec,
        factor=2.0 if grows else 1.0,
        max_seconds=max(spec.max_delay_sec, spec.delay_sec),
        jitter=spec.jitter,
    )
    return Retry(attempts=spec.max + 1, backoff=backoff, on=tuple(map(_cause, spec.on)))


def _cause(text: str) -> str:
    """Return the error code for a cause as recipes write it: `exit:75` is `exit-75`."""
    return text.replace("exit:", "exit-", 1)


def names_of(steps: Sequence[Placed]) -> list[str]:
    """Return the names under which steps stand in the recipe, each once."""
    return list(dict.fromkeys(each.spec.name for each in steps))
