"""Which steps of a recipe are done in a run, and whether they get what they need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from oneiric.errors import unknown
from oneiric.expressions import Condition, Template
from oneiric.recipes.arranging import Placed
from oneiric.recipes.compiling import Compiled
from oneiric.recipes.errors import SelectionError
from oneiric.recipes.options import RunOptions
from oneiric.reports.report import LEFT_OUT
from oneiric.runs.plan import Plan, Step


def left_out(compiled: Compiled, options: RunOptions) -> dict[str, str]:
    """Return why steps are not done, by id, as patterns ask for it.

    Final steps are done unless they are skipped by name.

    Raises:
        SelectionError: patterns fit no step, or nothing is left; names the nearest.
    """
    placed = compiled.placed
    only, skip = matching(placed, options.only), matching(placed, options.skip)
    if options.with_deps:
        only |= before(placed, only)
    found = {}
    for name, each in placed.items():
        if name in skip:
            found[name] = "it was asked to be skipped"
        elif options.only and name not in only and not each.is_final:
            found[name] = "it is not among the steps that were asked for"
    if len(found) == len(placed):
        raise SelectionError(["no step is left to be done"])
    return found


def matching(placed: Mapping[str, Placed], patterns: Iterable[str]) -> set[str]:
    """Return the ids of the steps that patterns fit, by their names or those of members.

    Raises:
        SelectionError: a pattern fits none; names the nearest.
    """
    found, problems = set[str](), []
    names = list(dict.fromkeys((*(each.spec.name for each in placed.values()), *placed)))
    for pattern in patterns:
        fit = {
            name
            for name, each in placed.items()
            if fnmatchcase(name, pattern) or fnmatchcase(each.spec.name, pattern)
        }
        if not fit:
            problems.append(f"there is no step {unknown(pattern, names)}")
        found |= fit
    if problems:
        raise SelectionError(problems)
    return found


def before(placed: Mapping[str, Placed], names: Iterable[str]) -> set[str]:
    """Return whatever *names* wait for, however far."""
    found, left = set[str](), list(names)
    while left:
        for each in placed[left.pop()].depends_on:
            if each not in found:
                found.add(each)
                left.append(each)
    return found


def without(plan: Plan, reasons: Mapping[str, str]) -> Plan:
    """Return the plan in which steps are not done; what depends on them is done without."""
    steps = (
        replace(step, input=None, condition="false", metadata={LEFT_OUT: reasons[step.id]})
        if step.id in reasons
        else step
        for step in plan.steps
    )
    return replace(plan, steps=tuple(steps))


def check_needs(
    compiled: Compiled,
    reasons: Mapping[str, str],
    given: Iterable[str],
    last: Mapping[str, str],
) -> None:
    """Pass if the steps that are done get what those that are left out would have made.

    Args:
        compiled: the recipe, whole.
        reasons: the steps that are left out.
        given: the keys that the context begins with.
        last: who made which key in the last run, for what the recipe does not declare.

    Raises:
        SelectionError: who needs what, and which step makes it.
    """
    if problems := list(_unmet(compiled, reasons, set(given), last)):
        hint = "add it, ask for --with-deps, or give the values with --context-in"
        raise SelectionError(problems, hint=hint)


def _unmet(
    compiled: Compiled, reasons: Mapping[str, str], given: set[str], last: Mapping[str, str]
) -> Iterator[str]:
    makers = _makers(compiled.placed, last)
    for step in compiled.plan.steps:
        if step.id in reasons:
            continue
        for kind, name in sorted(_needed(step, compiled.placed[step.id])):
            if kind == "context":
                who = makers.get(name, [])
                is_there = not who or name in given or any(each not in reasons for each in who)
                what = f"the key {name}"
            else:
                who, is_there, what = [name], name not in reasons, "the output"
            if not is_there:
                yield f"{step.id} needs {what}, which {who[0]} makes, and that is left out"


def _needed(step: Step, placed: Placed) -> set[tuple[str, str]]:
    """Return what a step cannot do without: keys of the context, and outputs of steps."""
    references = Template.parse(step.input).needed if step.input else frozenset()
    if step.condition:
        references |= Condition.parse(step.condition).needed
    found = {(path[0], path[1]) for path in references if len(path) > 1}
    spec = placed.spec
    keys = [spec.stdin.ctx if spec.stdin else "", spec.stdin_from_ctx, *spec.shell_env_keys]
    keys += spec.cache.keys if spec.cache else []
    found |= {("context", key) for key in keys if key}
    return {(kind, name) for kind, name in found if kind in ("context", "steps")}


def _makers(placed: Mapping[str, Placed], last: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, each in placed.items():
        spec = each.spec
        made = (*(spec.outputs or ()), *spec.success.ctx_has_keys, spec.stdout_key)
        for key in filter(None, made):
            found.setdefault(key, []).append(name)
    for key, name in last.items():
        if name in placed and name not in found.setdefault(key, []):
            found[key].append(name)
    return found
