"""Scriptlets that import by the old names get ours, whatever lies around them."""

from __future__ import annotations

from oneiric.recipes import run_recipe
from tests.recipes.conftest import Desk

SCRIPTLET = """
import json
from orchestrator.scriptlets.python.core.base import BaseScriptlet
from orchestrator.scriptlets.python.core.logging_util import get_logger
from orchestrator.scriptlets.python.core.resource import track_resources
from orchestrator.context import Context

class Old(BaseScriptlet):
    @track_resources
    def run(self, ctx, params):
        ctx.set("old.home_v1", type(Context()).__module__, who="old")
        print(json.dumps({"status": "ok", "outputs": ["old.home_v1"]}))
        return 0
"""
RECIPE = "steps: [{idx: 1, name: old, type: python, module: old_step, function: Old}]\n"


def test_the_old_names_are_ours_even_where_a_broken_runner_lies_beside(desk: Desk) -> None:
    """A folder `orchestrator` of an older runner hides none of them."""
    desk.write("old_step.py", SCRIPTLET)
    desk.write("orchestrator/__init__.py", "")
    desk.write("orchestrator/context.py", "raise RuntimeError('broken')\n")
    context = run_recipe(desk.write("r.yaml", RECIPE), checkpoints=False)
    assert context.get("old.home_v1") == "oneiric.recipes.context"
