"""What commands about recipes answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.domains.workflows.topology import drawing, in_order
from oneiric.recipes.approve_step import is_denied
from oneiric.recipes.reporting import drawn
from oneiric.recipes.stdout import line_of
from oneiric.recipes.verdict import status, verdict
from oneiric.reports.timeline import timeline
from oneiric.runs.state import RunState
from oneiric.text.layout import as_table
from oneiric.text.printable import printable

if TYPE_CHECKING:
    from pathlib import Path

    from oneiric.errors import JSONValue, OneiricError, Problem
    from oneiric.recipes.compiling import Compiled
    from oneiric.reports import RunReport
    from oneiric.runs.plan import Plan

FAILED, REFUSED, WAITING, UNAVAILABLE = 1, 3, 4, 5
"""The code of a step within which an approval was denied."""
_SIGNALED = 128


@dataclass(frozen=True, slots=True)
class RunAnswer:
    """A run of a recipe as far as it came here; `signal` is the one that cut it short, or 0."""

    recipe: Path
    report: RunReport
    signal: int = 0
    notices: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 for a run that succeeded, 4 for one that waits, and 1 for one that failed.

        It is 3 where an approval was denied, 5 where the run took longer than it may, and 130 or
        143 where a signal cut it short.
        """
        run = self.report.run
        if self.signal:
            return _SIGNALED + self.signal
        if run.state is RunState.SUCCEEDED:
            return 0
        if not run.state.is_over:
            return WAITING
        if is_denied(run):
            return REFUSED
        error = run.error or {}
        return UNAVAILABLE if error.get("code") == "timeout" and not error.get("failed") else FAILED

    @property
    def envelope(self) -> dict[str, JSONValue]:
        """How the run ended, as the runner's line says it."""
        found, code = verdict(self.report), self.exit_code
        return found | {"exit_code": code} if code > FAILED and code != WAITING else found

    @property
    def explanation(self) -> Iterator[str]:
        """Why each step stands as it does, a line each."""
        for step in self.report.steps:
            yield f"{step.name}: {status(step)}{f': {step.why}' if step.why else ''}"

    @property
    def line(self) -> str:
        """The envelope, as one line."""
        return printable(line_of(self.envelope))

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.recipe-run/1`: the envelope, and of which recipe."""
        recipe = str(self.recipe)
        return {"schema": "oneiric.recipe-run/1", "recipe": recipe, **self.envelope}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the run on an axis of time."""
        return timeline(self.report, width=columns, colour=colour)


@dataclass(frozen=True, slots=True)
class Validation:
    """Recipes that were checked: what is wrong with each, and what is only odd."""

    errors_of: Mapping[Path, OneiricError | None]
    warnings: tuple[Problem, ...] = ()

    @property
    def exit_code(self) -> int:
        """That of the worst recipe."""
        return max((error.exit_code for error in self.errors_of.values() if error), default=0)

    @property
    def notices(self) -> tuple[str, ...]:
        """What is odd, a line each."""
        return tuple(f"warning: {each.origin}: {each.key}: {each.what}" for each in self.warnings)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.recipe-validation/1`."""
        return {
            "schema": "oneiric.recipe-validation/1",
            "valid": not self.exit_code,
            "recipes": [
                {
                    "path": str(path),
                    "valid": error is None,
                    "error": error.as_json()["error"] if error else None,
                }
                for path, error in self.errors_of.items()
            ],
            "warnings": [each.as_json() for each in self.warnings],
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a line for each that is right, and everything about those that are wrong."""
        lines = (
            error.render() if error else f"{path}: valid" for path, error in self.errors_of.items()
        )
        return printable("\n".join(lines))


@dataclass(frozen=True, slots=True)
class RecipePlan:
    """What a recipe would do: its steps in their order, and what each waits for."""

    compiled: Compiled
    notices: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.recipe-plan/1`."""
        plan = self.compiled.plan
        return {
            "schema": "oneiric.recipe-plan/1",
            "recipe": str(self.compiled.recipe.path),
            "name": plan.name,
            "digest": plan.digest,
            "timeout_seconds": plan.timeout_seconds,
            "steps": [
                {
                    "id": step.id,
                    "type": self.compiled.placed[step.id].spec.type,
                    "target": step.target,
                    "depends_on": list(step.depends_on),
                    "condition": step.condition,
                    "timeout_seconds": step.timeout_seconds,
                    "attempts": step.retry.attempts,
                    "on_error": str(step.on_error),
                    "final": step.is_final,
                }
                for step in in_order(plan)
            ],
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the steps, each below those that it waits for."""
        steps = len(self.compiled.plan.steps)
        head = f"{self.compiled.recipe.path}: {steps} step{'' if steps == 1 else 's'}"
        return printable(f"{head}\n\n{drawing(self.compiled.plan, columns=columns)}")


@dataclass(frozen=True, slots=True)
class RecipeGraph:
    """The graph of a recipe in a language that others draw: `mermaid` or `dot`."""

    plan: Plan
    form: str

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.recipe-graph/1`."""
        text = self.render(columns=0, colour=False)
        return {
            "schema": "oneiric.recipe-graph/1",
            "name": self.plan.name,
            "format": self.form,
            "text": text,
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the graph as text."""
        return drawn(self.plan, self.form)


@dataclass(frozen=True, slots=True)
class Shelf:
    """The recipes of the folders that the configuration names; some may be wrong."""

    found: Mapping[Path, Compiled | OneiricError]
    folders: tuple[Path, ...]

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.recipes/1`."""
        return {
            "schema": "oneiric.recipes/1",
            "folders": [str(folder) for folder in self.folders],
            "recipes": [_shelved(path, each) for path, each in self.found.items()],
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a line for each recipe."""
        rows = []
        for path, found in self.found.items():
            row = _shelved(path, found)
            rows.append((row["path"], row["steps"], row["description"] or row["problem"]))
        if not rows:
            return f"no recipes in {', '.join(map(str, self.folders))}"
        return as_table(("recipe", "steps", "about"), rows, width=columns)


def _shelved(path: Path, found: Compiled | OneiricError) -> dict[str, JSONValue]:
    row: dict[str, JSONValue] = {"path": str(path), "steps": 0, "description": "", "problem": ""}
    if isinstance(found, Exception):
        return row | {"problem": found.message}
    about = str(found.recipe.spec.test_meta.get("description") or "")
    return row | {"steps": len(found.plan.steps), "description": about}


@dataclass(frozen=True, slots=True)
class Approval:
    """What was said to a step that waits for an approval, and whether its run is under way."""

    run_id: str
    step: str
    approved: bool
    applied: str

    @property
    def exit_code(self) -> int:
        """Always 0."""
        return 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.recipe-approval/1`."""
        return {
            "schema": "oneiric.recipe-approval/1",
            "run_id": self.run_id,
            "step": self.step,
            "approved": self.approved,
            "applied": self.applied,
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return what was said, and who goes on with the run."""
        what = "approved" if self.approved else "denied"
        later = "" if self.applied == "live" else "; take the run up with --resume"
        return printable(f"{self.applied}: {self.step} of {self.run_id} was {what}{later}")


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What a scriptlet printed that was run on its own, and the context that it left."""

    target: str
    envelope: Mapping[str, JSONValue]
    context: Mapping[str, JSONValue]
    exit_code: int

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.recipe-step/1`."""
        return {
            "schema": "oneiric.recipe-step/1",
            "target": self.target,
            "envelope": dict(self.envelope),
            "context": dict(self.context),
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return its envelope, as one line."""
        return printable(line_of(self.envelope))
