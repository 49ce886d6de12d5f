"""One real document about recipes for each section of `docs/reference/json.md`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from oneiric.errors import NotFoundError
from oneiric.recipes.answers import (
    Approval,
    RecipeGraph,
    RecipePlan,
    RunAnswer,
    Shelf,
    StepAnswer,
    Validation,
)
from oneiric.recipes.compiling import compile_recipe
from oneiric.recipes.reading import Recipe
from oneiric.recipes.recipe import RecipeSpec
from oneiric.reports import RunReport
from tests.reports.runs import story

PATH = Path("recipes/numbers.yaml")
LOAD: dict[str, Any] = {"name": "load", "module": "steps.load", "function": "Load"}
SHOW: dict[str, Any] = {"name": "show", "module": "steps.show", "function": "Show"}


def recipe_documents() -> dict[str, Any]:
    """Return a document for each section."""
    spec = RecipeSpec.model_validate(
        {"test_meta": {"description": "Load numbers and show them"}, "steps": [LOAD, SHOW]}
    )
    recipe = Recipe(PATH, spec, "sha256:5b0d", Path("/srv/numbers"))
    compiled = compile_recipe(recipe)
    lost = {"code": "step-failed", "message": "no such file", "type": "StepError"}
    told: tuple[tuple[float, str, str, Mapping[str, Any]], ...] = (
        (1, "step-started", "load", {"attempt": 1}),
        (21, "context-set", "load", {"key": "numbers.raw_v1", "value": [1], "who": "load"}),
        (21, "step-succeeded", "load", {"attempt": 1, "result": {"status": "ok"}}),
        (22, "step-started", "show", {"attempt": 1}),
        (30, "step-failed", "show", {"attempt": 1, "error": lost}),
        (30, "run-ended", "", {"state": "failed", "error": {**lost, "failed": {"show": lost}}}),
    )
    report = RunReport.of(story(compiled.plan, *told))
    missing = NotFoundError("file", "recipes/gone.yaml")
    line = {"status": "ok", "outputs": ["numbers.raw_v1"]}
    return {
        "Run of a recipe": RunAnswer(PATH, report).as_json(),
        "Plan of a recipe": RecipePlan(compiled).as_json(),
        "Graph of a recipe": RecipeGraph(compiled.plan, "mermaid").as_json(),
        "Validation of recipes": Validation(
            {PATH: None, Path("recipes/gone.yaml"): missing},
            (recipe.problem("steps.0.retires", "unknown key; did you mean retry?"),),
        ).as_json(),
        "List of recipes": Shelf({PATH: compiled}, (Path("recipes"),)).as_json(),
        "Approval": Approval("run-1", "publish", approved=True, applied="live").as_json(),
        "Scriptlet on its own": StepAnswer(
            "steps.load:Load", line, {"numbers.raw_v1": [1]}, 0
        ).as_json(),
    }
