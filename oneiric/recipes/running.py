"""Run recipes on a host: the engine does the work, and its journal is what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from oneiric.domains.host import Host, host
from oneiric.errors import JSONValue
from oneiric.recipes.compiling import Compiled, compile_recipe
from oneiric.recipes.context import Context, Entry
from oneiric.recipes.errors import RecipeFailedError
from oneiric.recipes.loading import make_importable
from oneiric.recipes.offers import scriptlet_candidate
from oneiric.recipes.old_names import map_old_names
from oneiric.recipes.plugin import SESSIONS
from oneiric.recipes.reading import read_recipe
from oneiric.recipes.sessions import Session
from oneiric.recipes.settings import RecipeSettings
from oneiric.recipes.stdout import parted
from oneiric.runs.event import EventKind
from oneiric.runs.state import RunState
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.recipes.sessions import Sessions
    from oneiric.runs.engine import RunHandle
    from oneiric.runs.run import Run


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

    def compile(self, path: Path, *, keep_going: bool = False) -> Compiled:
        """Read a recipe and return its plan; who does its steps is known to the resolver then.

        Raises:
            RecipeError: every problem, each with its line.
        """
        recipe = read_recipe(path)
        found = compile_recipe(
            recipe, max_parallel=self.settings.max_parallel, keep_going=keep_going
        )
        make_importable(recipe.folder)
        map_old_names()
        resolver = self.host.lifecycle.resolver
        for ref, target in found.scriptlets.items():
            if not resolver.registry.offers(ref):
                resolver.register(scriptlet_candidate(target))
        return found

    async def run(self, compiled: Compiled, inputs: Mapping[str, JSONValue] | None = None) -> Run:
        """Run a recipe, and return the run when it is over or waits for somebody outside."""
        given = compiled.input(inputs or {})
        run_id = self.host.clock.new_id()
        async with self.host.lifecycle.use(SESSIONS) as found:
            sessions = cast("Sessions", found)
            sessions.begin(run_id, Session(compiled, given))
            try:
                with parted():
                    handle: RunHandle = await self.host.engine.start(
                        compiled.plan, given, run_id=run_id
                    )
                    return await handle.settled()
            finally:
                sessions.end(run_id)

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


def run_recipe(
    path: str | Path,
    inputs: Mapping[str, JSONValue] | None = None,
    *,
    checkpoints: bool = True,
) -> Context:
    """Run the recipe in a file, and return the context that its steps have written.

    It is run in the working directory with the configuration that every command reads, and the
    run is kept in the journal there.

    Args:
        path: the recipe.
        inputs: values for what the recipe declares under `inputs`.
        checkpoints: whether the run outlives the process; else it is kept in memory.

    Raises:
        RecipeError: the recipe is wrong; no step was run.
        RecipeFailedError: a step failed, or the run was canceled.
    """

    async def ran() -> Context:
        async with host(checkpoints=checkpoints) as on:
            runner = RecipeRunner(on)
            compiled = runner.compile(Path(path))
            run = await runner.run(compiled, inputs)
            if run.state is not RunState.SUCCEEDED:
                raise RecipeFailedError(compiled.recipe.name, run)
            return await runner.context(run.run_id)

    return run_to_end(ran())
