"""How a run of a recipe begins: its plan, what it is given, and what an earlier run leaves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from oneiric.errors import InvalidError, JSONValue
from oneiric.recipes.options import RunOptions
from oneiric.recipes.resuming import (
    CONTINUES,
    WRITERS,
    Continued,
    Kept,
    from_step,
    kept_in,
    last_run,
    only_failed,
    run_of,
)
from oneiric.recipes.selection import check_needs, left_out, without
from oneiric.recipes.turn_step import GROUP, with_turn

if TYPE_CHECKING:
    from oneiric.recipes.compiling import Compiled
    from oneiric.runs.journal import Journal
    from oneiric.runs.plan import Plan
    from oneiric.runs.run import Run

CHOSEN = "chosen"
"""The key in a run's metadata that holds the patterns by which its steps were chosen."""


@dataclass(frozen=True, slots=True)
class RunBeginning:
    """What a run is begun with; `writers` made the values of its context, as far as known.

    `kept` is what it needs of the run that it continues.
    """

    plan: Plan
    input: Mapping[str, JSONValue]
    context: Mapping[str, JSONValue] = field(default_factory=dict)
    writers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, JSONValue] = field(default_factory=dict)
    kept: Kept | None = None


def check_options(options: RunOptions) -> None:
    """Pass if the choices go together.

    Raises:
        InvalidError: names those that do not.
    """
    ways = {
        "--resume": options.resume,
        "--resume-from": options.resume_from,
        "--only-failed": options.only_failed,
    }
    chosen = [name for name, value in ways.items() if value]
    chosen += [
        name for name, value in (("--only", options.only), ("--skip", options.skip)) if value
    ]
    if len(chosen) > 1 and chosen != ["--only", "--skip"]:
        raise InvalidError(f"{' and '.join(chosen)} do not go together")
    if options.with_deps and not options.only:
        raise InvalidError("--with-deps adds to --only, which is not given")


async def begun(
    compiled: Compiled,
    inputs: Mapping[str, JSONValue],
    options: RunOptions,
    journal: Journal,
) -> RunBeginning:
    """Return with what a new run begins.

    Raises:
        SelectionError: steps that were asked for are not there, or do not get what they need.
        NotFoundError, InvalidError: about the run that it shall continue.
    """
    recipe, given = compiled.recipe, compiled.input(inputs)
    metadata: dict[str, JSONValue] = {
        "recipe": str(recipe.path.resolve()),
    }
    if options.only or options.skip:
        metadata[CHOSEN] = {"only": list(options.only), "skip": list(options.skip)}
    context, writers, plan = dict(options.context_in), dict[str, str](), compiled.plan
    found = await _continued(compiled, options, journal)
    if found:
        metadata |= {CONTINUES: found.of, WRITERS: dict(found.writers)}
        context, writers, plan = {**found.values, **context}, dict(found.writers), found.plan
    else:
        reasons = left_out(compiled, options)
        if reasons:
            last = await last_run(journal, compiled)
            check_needs(compiled, reasons, context, last.writers if last else {})
        plan = without(plan, reasons)
    concurrency = recipe.spec.concurrency
    if concurrency.group:
        metadata[GROUP] = concurrency.group
        plan = with_turn(plan, concurrency.group, concurrency.on_busy)
    kept = found.kept if found else None
    return RunBeginning(plan, given, context, writers, metadata, kept)


def plan_now(compiled: Compiled, run: Run) -> Plan:
    """Return the plan for a run that was begun with an earlier recipe, chosen as it was then.

    Raises:
        SelectionError: steps that were asked for then are not there.
    """
    chosen = cast("Mapping[str, list[str]]", run.metadata.get(CHOSEN) or {})
    options = RunOptions(only=tuple(chosen.get("only", ())), skip=tuple(chosen.get("skip", ())))
    plan = without(kept_in(compiled, run), left_out(compiled, options))
    concurrency = compiled.recipe.spec.concurrency
    return with_turn(plan, concurrency.group, concurrency.on_busy)


async def _continued(compiled: Compiled, options: RunOptions, journal: Journal) -> Continued | None:
    if options.resume_from:
        return from_step(compiled, options.resume_from, await last_run(journal, compiled))
    if options.only_failed:
        return only_failed(compiled, await run_of(journal, options.only_failed, compiled))
    return None
