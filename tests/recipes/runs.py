"""Run recipes with options, and return all that is known of the run then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneiric.domains.host import host
from oneiric.errors import JSONValue
from oneiric.recipes.options import RunOptions
from oneiric.recipes.running import RecipeRunner
from oneiric.recipes.verdict import status, verdict
from oneiric.reports.report import RunReport
from oneiric.runs.run import Run
from oneiric.to_end import run_to_end


@dataclass(frozen=True)
class Done:
    """A run that is over or waits, and its report."""

    run: Run
    report: RunReport

    @property
    def values(self) -> dict[str, JSONValue]:
        """The values of its context."""
        return dict(self.run.context.values)

    @property
    def who(self) -> dict[str, str]:
        """Who wrote each key last."""
        return {change.key: change.who for change in self.run.context.history}

    @property
    def statuses(self) -> dict[str, str]:
        """How each step stands."""
        found = {step.name: status(step) for step in self.report.steps}
        return {name: found[name] for name in self.run.steps}

    @property
    def whys(self) -> dict[str, str]:
        """Why the steps stand so of which something is said."""
        return {step.name: step.why for step in self.report.steps if step.why}

    @property
    def verdict(self) -> dict[str, JSONValue]:
        """The envelope of the run."""
        return verdict(self.report)


def ran(path: Path, inputs: Any = None, **options: Any) -> Done:
    """Run a recipe in the working directory to its end."""

    async def done() -> Done:
        async with host() as on:
            runner = RecipeRunner(on)
            chosen = RunOptions(**options)
            run = await runner.run(runner.compile(path, chosen), inputs, chosen)
            return Done(run, await runner.report(run.run_id))

    return run_to_end(done())


def run_ids() -> list[str]:
    """Return the runs that are kept in the working directory, the newest first."""

    async def found() -> list[str]:
        async with host() as on:
            return [record.run_id for record in await on.journal.runs()]

    return run_to_end(found())
