"""Run recipes on a host: the engine does the work, and its journal is what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from oneiric.domains.following import Tell, told
from oneiric.domains.host import Host, host
from oneiric.domains.taking import taken_up
from oneiric.errors import InvalidError, JSONValue, NotFoundError, PlanChangedError
from oneiric.ports.secrets import SECRETS
from oneiric.recipes.allowed import Allowed
from oneiric.recipes.approve_step import failed
from oneiric.recipes.beginning import begun, check_options, plan_now
from oneiric.recipes.caching import Cache
from oneiric.recipes.compiling import Compiled, compile_recipe
from oneiric.recipes.context import Context, Entry
from oneiric.recipes.errors import GroupBusyError
from oneiric.recipes.inputs import checked_inputs
from oneiric.recipes.loading import make_importable
from oneiric.recipes.log import tell as tell_stderr
from oneiric.recipes.nesting import compiled_whole
from oneiric.recipes.offers import RECIPES, scriptlet_candidate
from oneiric.recipes.old_names import map_old_names
from oneiric.recipes.options import RunOptions
from oneiric.recipes.plugin import SESSIONS
from oneiric.recipes.reading import Recipe, read_recipe
from oneiric.recipes.reporting import write_reports
from oneiric.recipes.resuming import kept_of, run_of
from oneiric.recipes.secrets import Secrets, of_inputs, read_secrets
from oneiric.recipes.selection import matching
from oneiric.recipes.sessions import Session
from oneiric.recipes.settings import RecipeSettings
from oneiric.recipes.stdout import parted
from oneiric.recipes.turn_step import Group, before_again
from oneiric.recipes.unchanged import check_unchanged
from oneiric.recipes.waiting import settled
from oneiric.reports.report import RunReport
from oneiric.runs.check import changes
from oneiric.runs.event import EventKind
from oneiric.runs.state import RunState
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.recipes.allowed import PluginRules
    from oneiric.recipes.sessions import Sessions
    from oneiric.runs.engine import RunHandle
    from oneiric.runs.plan import Plan
    from oneiric.runs.run import Run

_PLAIN = RunOptions()
_NOTHING: Mapping[str, Any] = MappingProxyType({})

END_SECONDS = 20.0
"""How long the runs of recipes within a run that was stopped may take to end."""


class RecipeRunner:
    """Run recipes on an entered host."""

    def __init__(self, on: Host) -> None:
        self.host = on

    @property
    def settings(self) -> RecipeSettings:
        """The section `[recipes]` of the configuration."""
        found = self.host.section("recipes")
        assert isinstance(found, RecipeSettings)
        return found

    def compile(self, path: Path, options: RunOptions = _PLAIN) -> Compiled:
        """Read a recipe and return its plan; who does its steps is known to the resolver then.

        So are the recipes that its steps run.

        Raises:
            RecipeError: every problem, each with its line.
            InvalidError: the options do not go together.
            RecipeRefusedError: nothing is wrong, but it asks for what is not allowed.
        """
        check_options(options)
        return compiled_whole(read_recipe(path), partial(self._compiled, options))

    def _compiled(self, options: RunOptions, recipe: Recipe) -> Compiled:
        limits = [each for each in (self.settings.max_parallel, options.jobs) if each]
        make_importable(recipe.folder)
        map_old_names()
        resolver = self.host.lifecycle.resolver

        def is_offered(ref: str) -> bool:
            return any(each.source != RECIPES for each in resolver.registry.offers(ref))

        found = compile_recipe(
            recipe,
            max_parallel=min(limits, default=0),
            keep_going=options.keep_going,
            allowed=Allowed(
                self.settings,
                recipe.folder,
                patterns=options.allow_modules,
                is_offered=is_offered,
                plugins=cast("PluginRules", self.host.section("plugins")),
            ),
        )
        for ref, target in found.scriptlets.items():
            if not resolver.registry.offers(ref):
                resolver.register(scriptlet_candidate(target))
        return found

    async def run(
        self,
        compiled: Compiled,
        inputs: Mapping[str, object] | None = None,
        options: RunOptions = _PLAIN,
        *,
        tell: Tell | None = None,
    ) -> Run:
        """Run a recipe, or go on with a run of it, and return the run.

        That is when it is over, or with `no_wait` when it waits for somebody outside. Then the
        reports that the recipe asks for are written.

        Args:
            compiled: the recipe.
            inputs: values for what it declares under `inputs`; a run that is gone on with has its
                own.
            options: which steps, from where on, and with what.
            tell: is told each event as it is stored.

        Raises:
            SelectionError: steps that were asked for are not there, or do not get what they need.
            NotFoundError, InvalidError, LockedError, PlanChangedError: about the run that shall
                go on.
            GroupBusyError: another run of its group is under way, and it does not wait.
        """
        check_options(options)
        async with self.host.lifecycle.use(SESSIONS) as found:
            sessions = cast("Sessions", found)
            begins = self._resumed if options.resume else self._begun
            try:
                with parted():
                    run = await begins(sessions, compiled, inputs, options, tell)
            finally:
                await sessions.guard.settle(END_SECONDS)
        if run.state.is_over and compiled.recipe.spec.reports:
            events = await self.host.journal.read(run.run_id)
            write_reports(compiled.recipe, RunReport.of(events))
        return run

    async def _begun(
        self,
        sessions: Sessions,
        compiled: Compiled,
        inputs: Mapping[str, object] | None,
        options: RunOptions,
        tell: Tell | None,
    ) -> Run:
        journal = self.host.journal
        checked = checked_inputs(compiled.recipe, inputs or {})
        first = await begun(compiled, checked.open, options, journal)
        concurrency = compiled.recipe.spec.concurrency
        if concurrency.group and concurrency.on_busy == "fail":
            others = await Group(concurrency.group, journal).others("")
            if others:
                raise GroupBusyError(concurrency.group, list(others))
        run_id = self.host.clock.new_id()
        session = await self.session(
            replace(compiled, plan=first.plan),
            first.input,
            writers=first.writers,
            options=options,
            secret=checked.secret,
        )
        session.kept = first.kept
        with sessions.held(run_id, session):
            handle = await self.host.engine.start(
                first.plan,
                dict(first.input),
                run_id=run_id,
                context=first.context,
                metadata=first.metadata,
            )
            return await self._carried(handle, sessions, 0, options, tell)

    async def _resumed(
        self,
        sessions: Sessions,
        compiled: Compiled,
        inputs: Mapping[str, object] | None,
        options: RunOptions,
        tell: Tell | None,
    ) -> Run:
        earlier = await run_of(self.host.journal, options.resume, compiled)
        run, plan = earlier.run, None
        secret = _given_again(compiled, run, inputs or {})
        if run.plan.version != compiled.plan.version:
            plan = plan_now(compiled, run)
            if not options.force:
                raise PlanChangedError(run.run_id, run.plan.name, changes(run.plan, plan))
        if not options.force:
            await check_unchanged(run, compiled, self.host.journal)
        concurrency = compiled.recipe.spec.concurrency
        if concurrency.group:
            group = Group(concurrency.group, self.host.journal)
            await before_again(self.host, group, concurrency.on_busy, run.run_id)
        session = await self.session(
            replace(compiled, plan=plan or run.plan),
            cast("Mapping[str, JSONValue]", run.input or {}),
            writers={key: who for key, who in earlier.writers.items() if who},
            options=options,
            secret=secret,
        )
        session.kept = await kept_of(run, self.host.journal)
        with sessions.held(run.run_id, session):
            handle = await self._taken_up(run, plan, options)
            return await self._carried(handle, sessions, run.last_seq, options, tell)

    async def _taken_up(self, run: Run, plan: Plan | None, options: RunOptions) -> RunHandle:
        again = self.host.engine.retry if run.state.is_over else self.host.engine.resume
        take = partial(again, run.run_id, plan, force=options.force)
        if options.no_wait:
            return await take()
        return await taken_up(
            run.run_id,
            take,
            clock=self.host.clock,
            seconds=self.host.lease_seconds,
            notice=tell_stderr,
        )

    async def session(
        self,
        compiled: Compiled,
        given: Mapping[str, JSONValue],
        *,
        writers: Mapping[str, str] = _NOTHING,
        options: RunOptions = _PLAIN,
        secret: Mapping[str, JSONValue] = _NOTHING,
    ) -> Session:
        """Return what the steps of a run need here; its secrets are read now, and once.

        Args:
            compiled: the recipe, with the plan of the run.
            given: the run's input.
            writers: who has written which key already.
            options: how the run is done.
            secret: the inputs that are secret.

        Raises:
            MissingSecretsError: names all that the store does not have.
        """
        host, hidden = self.host, of_inputs(secret)
        refresh = matching(compiled.placed, options.refresh)
        if names := set(compiled.secrets()):
            async with host.lifecycle.use(SECRETS) as store:
                hidden |= await read_secrets(store, sorted(names))
        return Session(
            compiled,
            given,
            dict(writers),
            secrets=Secrets(hidden),
            host=host,
            cache=Cache(
                host.results,
                host.clock,
                host.engine.note,
                is_on=options.cache,
                refresh=sorted(refresh),
            ),
            allows_shell=self.settings.allow_shell and compiled.recipe.spec.allow.shell,
            is_forced=options.force,
        )

    async def _carried(
        self,
        handle: RunHandle,
        sessions: Sessions,
        after: int,
        options: RunOptions,
        tell: Tell | None,
    ) -> Run:
        guard, journal = self.host.lifecycle.builder.guard, self.host.journal
        telling = told(journal, handle.run_id, after, tell, guard) if tell else nullcontext()
        async with telling:
            if options.no_wait:
                return await settled(handle, self.host.engine, sessions)
            return await handle

    async def report(self, run_id: str) -> RunReport:
        """Return everything about a run, for any form of report.

        Raises:
            NotFoundError: there is no such run.
        """
        events = await self.host.journal.read(run_id)
        if not events:
            raise NotFoundError("run", run_id, hint="oneiric recipe runs")
        return RunReport.of(events)

    async def context(self, run_id: str) -> Context:
        """Return the context of a run and its history, as its journal tells."""
        values: dict[str, JSONValue] = {}
        entries: list[Entry] = []
        for event in await self.host.journal.read(run_id):
            if event.kind is EventKind.CONTEXT_SET:
                key, new = str(event.data["key"]), event.data["value"]
                values[key] = new
                who = str(event.data.get("who", ""))
                entries.append(Entry(len(entries) + 1, key, who, new, ts=event.at, step=event.step))
        context = Context()
        context.restore(values, entries)
        return context


def _given_again(
    compiled: Compiled, run: Run, inputs: Mapping[str, object]
) -> Mapping[str, JSONValue]:
    """Return the secret inputs of a run that is gone on with, which no journal holds."""
    declared = compiled.recipe.spec.inputs
    if known := sorted(name for name in inputs if name in declared and not declared[name].secret):
        raise InvalidError(
            f"the run {run.run_id} goes on with the inputs that it has: {', '.join(known)}"
        )
    had = cast("Mapping[str, Mapping[str, JSONValue]]", run.input or {}).get("inputs", {})
    return checked_inputs(compiled.recipe, {**had, **inputs}).secret


def run_recipe(
    path: str | Path,
    inputs: Mapping[str, object] | None = None,
    *,
    checkpoints: bool = True,
) -> Context:
    """Run the recipe in a file, and return the context that its steps have written.

    It is run in the working directory with the configuration that every command reads, and the
    run is kept in the journal there.

    Args:
        path: the recipe.
        inputs: values for what the recipe declares under `inputs`, or texts that stand for them.
        checkpoints: whether the run outlives the process; else it is kept in memory.

    Raises:
        RecipeError: the recipe is wrong, or its inputs are; no step was run.
        RecipeRefusedError: the recipe asks for what is not allowed; no step was run.
        MissingSecretsError: secrets that it names are not there; no step was run.
        RecipeFailedError: a step failed, or the run was canceled.
    """

    async def ran() -> Context:
        async with host(checkpoints=checkpoints) as on:
            runner = RecipeRunner(on)
            compiled = runner.compile(Path(path))
            run = await runner.run(compiled, inputs, RunOptions(no_wait=True))
            if run.state is not RunState.SUCCEEDED:
                raise failed(compiled.recipe.name, run)
            return await runner.context(run.run_id)

    return run_to_end(ran())
