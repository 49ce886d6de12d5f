"""What a person can ask of recipes: one method a verb."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from oneiric.core.guard import attempt
from oneiric.domains.found_run import found_run
from oneiric.errors import InvalidError, JSONValue, NotFoundError, OneiricError
from oneiric.recipes.answers import (
    Approval,
    RecipeGraph,
    RecipePlan,
    RunAnswer,
    Shelf,
    StepAnswer,
    Validation,
)
from oneiric.recipes.approve_step import answer
from oneiric.recipes.compiling import PREFIX, Compiled
from oneiric.recipes.context import Context
from oneiric.recipes.errors import StepError
from oneiric.recipes.loading import load_scriptlet, make_importable
from oneiric.recipes.old_names import map_old_names
from oneiric.recipes.options import RunOptions
from oneiric.recipes.python_step import run_scriptlet
from oneiric.recipes.reading import KINDS
from oneiric.recipes.running import RecipeRunner
from oneiric.recipes.selection import left_out, without
from oneiric.recipes.stdout import parted
from oneiric.recipes.stopping import Stop, heed
from oneiric.runs.run import fold
from oneiric.runs.state import StepState
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.domains.following import Tell
    from oneiric.domains.host import Host
    from oneiric.runs.run import Run

T = TypeVar("T")


class Hosts(Protocol):
    """Makes a composed runtime; nothing of it is entered."""

    def __call__(self, *, checkpoints: bool = True) -> Host:
        """Return one whose runs outlive the process, or are kept in memory."""
        ...


class RecipeDesk:
    """Answer for commands about recipes, and run them in this process.

    Raises (each verb that reads recipes): RecipeError, DocumentError, NotFoundError where one
    is wrong or missing; ConfigError where the configuration is.

    Args:
        hosts: makes the runtime that they are run on.
    """

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def run(
        self,
        path: Path,
        given: Mapping[str, JSONValue] | None = None,
        options: RunOptions | None = None,
        *,
        checkpoints: bool = True,
        tell: Tell | None = None,
        stop: Stop | None = None,
    ) -> RunAnswer:
        """Run a recipe, and return what came of it.

        *tell* is told each event as it is stored. At the first wish of *stop* what is under way
        is stopped and the final steps are done; at the second those are stopped too.

        Raises:
            KeyboardInterrupt: a wish came before anything had begun.
        """
        chosen = options or RunOptions()

        async def ran() -> RunAnswer:
            async with self._hosts(checkpoints=checkpoints) as on:
                if stop is not None:
                    heed(stop, on)
                runner = RecipeRunner(on)
                named = await _named(on, chosen)
                compiled = runner.compile(path, named)
                run = await runner.run(compiled, given, named, tell=tell)
                report = await runner.report(run.run_id)
                signal = stop.number if stop is not None and run.cancels else 0
                return RunAnswer(path, report, signal, _notices(compiled))

        try:
            return run_to_end(ran())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None

    def validate(self, paths: Sequence[Path]) -> Validation:
        """Check recipes, and return all that is wrong with each; no step is run."""
        runner = RecipeRunner(self._hosts(checkpoints=False))
        compiled = {path: _attempted(partial(runner.compile, path)) for path in paths}
        errors = {
            path: each if isinstance(each, OneiricError) else None
            for path, each in compiled.items()
        }
        warnings = [
            warning
            for each in compiled.values()
            if isinstance(each, Compiled)
            for warning in each.recipe.warnings
        ]
        return Validation(errors, tuple(warnings))

    def plan(self, path: Path, options: RunOptions | None = None) -> RecipePlan:
        """Return what a recipe would do with the choices of `only` and `skip`; no step is run.

        Raises:
            SelectionError: steps that were asked for are not there.
        """
        chosen = options or RunOptions()
        compiled = RecipeRunner(self._hosts(checkpoints=False)).compile(path, chosen)
        compiled = replace(compiled, plan=without(compiled.plan, left_out(compiled, chosen)))
        return RecipePlan(compiled, _notices(compiled))

    def graph(self, path: Path, form: str = "mermaid") -> RecipeGraph:
        """Return the graph of a recipe, as `mermaid` or `dot`."""
        compiled = RecipeRunner(self._hosts(checkpoints=False)).compile(path)
        return RecipeGraph(compiled.plan, form)

    def list(self, folders: Sequence[Path] = ()) -> Shelf:
        """Return the recipes in folders; those of the configuration where none are given."""
        runner = RecipeRunner(self._hosts(checkpoints=False))
        looked = tuple(folders) or tuple(runner.settings.folders)
        paths = sorted(
            path
            for folder in looked
            for path in folder.glob("*")
            if path.suffix.lower() in KINDS and path.is_file()
        )
        found = {path: _attempted(partial(runner.compile, path)) for path in paths}
        return Shelf(found, looked)

    def approve(
        self, run: str, step: str, *, denied: bool = False, reason: str = "", actor: str = "cli"
    ) -> Approval:
        """Approve a step that waits for it, or with *denied* refuse it.

        Raises:
            NotFoundError: there is no such run of a recipe, or it has no such step.
            InvalidError: the step does not wait for an approval.
        """

        async def told() -> Approval:
            async with _looking(self._hosts(checkpoints=True)) as on:
                record = await found_run(on.journal, run)
                found = fold(await on.journal.read(record.run_id))
                waiting = _awaiting(found, step)
                why = (reason or "it was denied") if denied else ""
                await answer(on.engine, found.run_id, waiting, denied=why, actor=actor)
                applied = "live" if record.is_held else "stored"
                return Approval(found.run_id, waiting, not denied, applied)

        return run_to_end(told())

    def step(self, target: str, params: JSONValue, *, folder: Path | None = None) -> StepAnswer:
        """Run one scriptlet, `module:Class`, on its own, with a context that is empty.

        Raises:
            ForbiddenFactoryError, InvalidError: it is no scriptlet.
        """
        make_importable((folder or Path.cwd()).resolve())
        map_old_names()
        context, name = Context(), target.partition(":")[2]
        loaded = attempt(partial(load_scriptlet, target))
        if isinstance(loaded.error, OneiricError):
            raise loaded.error
        if loaded.value is None:
            raise InvalidError(f"{target} cannot be imported: {loaded.reason}") from loaded.error
        with parted():
            outcome = attempt(partial(run_scriptlet, loaded.value, name, context, params))
        if outcome.value is not None:
            return StepAnswer(target, outcome.value, context.to_dict(), 0)
        error = outcome.error
        told = error.envelope if isinstance(error, StepError) else {}
        reason = error.message if isinstance(error, StepError) else outcome.reason
        said: dict[str, JSONValue] = {"reason": reason, "exit_code": 1, "step": name}
        return StepAnswer(target, {"status": "error", **said, **told}, {}, 1)


async def _named(on: Host, options: RunOptions) -> RunOptions:
    """Return *options* with the whole ids of runs in place of their beginnings."""
    if options.resume:
        return replace(options, resume=(await found_run(on.journal, options.resume)).run_id)
    if options.only_failed:
        found = await found_run(on.journal, options.only_failed)
        return replace(options, only_failed=found.run_id)
    return options


@asynccontextmanager
async def _looking(on: Host) -> AsyncIterator[Host]:
    """Use the journal of a host of which nothing else is brought up."""
    try:
        yield on
    finally:
        await on.engine.close()
        await on.journal.aclose()


def _awaiting(run: Run, step: str) -> str:
    """Return the step that waits for an approval; the only one where none is named."""
    if not run.plan.name.startswith(PREFIX):
        raise NotFoundError("run of a recipe:", run.run_id, hint=f"oneiric run show {run.run_id}")
    if step not in run.steps:
        raise NotFoundError(f"step of {run.run_id}:", step, known=run.steps)
    if run.steps[step].state is not StepState.ASSIGNED:
        what = f"{step} is {run.steps[step].state}: it waits for no approval"
        raise InvalidError(what, hint=f"oneiric recipe show {run.run_id}")
    return step


def _attempted(work: Callable[[], T]) -> T | OneiricError:
    """Return what *work* gave, or the error on purpose that it raised."""
    try:
        return work()
    except OneiricError as error:
        return error


def _notices(compiled: Compiled) -> tuple[str, ...]:
    warnings = compiled.recipe.warnings
    return tuple(f"warning: {each.origin}: {each.key}: {each.what}" for each in warnings)
