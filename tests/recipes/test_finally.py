"""Steps under `finally` come after all others, those that are stopped too."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent

from oneiric.domains.host import host
from oneiric.recipes.running import RecipeRunner
from oneiric.runs.state import RunState
from tests.recipes.conftest import Desk
from tests.recipes.test_nested_steps import appeared, words

SLOW = """
    steps:
      - name: work
        type: shell
        run:
          - sh
          - -c
          - trap "sleep 1; echo ended >> said; exit 1" TERM; echo began >> said; sleep 60
    """
LAST = """
    finally:
      - {name: last, type: shell, run: [sh, -c, 'echo last >> said']}
    """


async def canceled(path: Path) -> RunState:
    """Cancel a run of a recipe when its step is at work, and return how it ended."""
    async with host(checkpoints=False) as on:
        runner = RecipeRunner(on)
        running = asyncio.create_task(runner.run(runner.compile(path)))
        await appeared("said")
        (run_id,) = [each.run_id for each in on.engine.under_way if each.plan.name == "recipe:r"]
        await on.engine.cancel(run_id)
        return (await running).state


async def test_final_steps_begin_when_what_was_stopped_has_ended(desk: Desk) -> None:
    """What a program still does at its end, no final step is in the midst of."""
    path = desk.write("r.yaml", f"{SLOW}{LAST}")
    assert await canceled(path) is RunState.CANCELED
    assert words("said") == ["began", "ended", "last"]


async def test_final_steps_begin_when_recipes_within_have_ended(desk: Desk) -> None:
    """Those have final steps of their own, which are done first."""
    desk.write("child.yaml", f"{SLOW}{LAST.replace('echo last', 'echo within')}")
    path = desk.write(
        "r.yaml", f"steps: [{{name: sub, type: recipe, recipe: child.yaml}}]\n{dedent(LAST)}"
    )
    assert await canceled(path) is RunState.CANCELED
    assert words("said") == ["began", "ended", "within", "last"]
