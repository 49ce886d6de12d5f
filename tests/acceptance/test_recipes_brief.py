"""The brief of recipes, word for word: its commands, its Python, its scriptlet, in a fresh copy."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.commands import ROOT, Finished, environment, run

TREE = ROOT / "docs" / "examples" / "recipes"
RECIPES = sorted(path.name for path in (TREE / "orchestrator" / "recipes").glob("*.yaml"))
EXTENDED = "python orchestrator/runner.py --recipe orchestrator/recipes/extended.yaml"
FULL = """python orchestrator/runner.py --recipe orchestrator/recipes/example_numbers.yaml"""
PROGRAM = """
from orchestrator.runner import run_recipe
ctx = run_recipe("orchestrator/recipes/example_numbers.yaml")
print(ctx.get("numbers.stats_v1"))
"""
ALL_KEYS = """
from orchestrator.runner import run_recipe
ctx = run_recipe("orchestrator/recipes/example_numbers.yaml")
print(list(ctx.to_dict().keys()))
"""
STANDALONE = """python orchestrator/scriptlets/python/steps/compute_numbers.py --params '{"src":"orchestrator/Data/numbers.csv"}'"""  # noqa: E501  as it is written
AS_MODULE = """python -m orchestrator.scriptlets.python.steps.compute_numbers --params '{"src":"orchestrator/Data/numbers.csv"}'"""  # noqa: E501  as it is written
SKELETON = """
from orchestrator.scriptlets.python.core.base import BaseScriptlet
from orchestrator.scriptlets.python.core.logging_util import get_logger
from orchestrator.scriptlets.python.core.resource import track_resources
from orchestrator.context import Context
import json, sys, argparse, statistics, pathlib

logger = get_logger(__name__)

class ComputeMedian(BaseScriptlet):
    def validate(self, ctx, params):
        if not isinstance(params, dict): raise ValueError("params must be dict")
        if "src" not in params: raise ValueError("missing src")
        if not pathlib.Path(params["src"]).is_file(): raise ValueError("file not found")

    @track_resources
    def run(self, ctx, params):
        try:
            self.validate(ctx, params)
            nums = [float(line.strip()) for line in open(params["src"]) if line.strip()]
            med = statistics.median(nums)
            result = {"median": med, "count": len(nums)}
            ctx.set("numbers.median_v1", result, who="compute_median")
            print(json.dumps({"status":"ok","outputs":["numbers.median_v1"]}))
            return 0
        except Exception as e:
            print(json.dumps({"status":"error","reason":str(e),"exit_code":1,"step":"compute_median"}))
            return 1

if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--params", required=True)
    p = json.loads(ap.parse_args().params)
    sys.exit(ComputeMedian().run(Context(), p))
"""
MEDIAN = """
test_meta:
  test_id: NUM-002
  tester: user
  description: Compute median
steps:
  - idx: 1
    name: compute_median
    type: python
    module: orchestrator.scriptlets.python.steps.compute_median
    function: ComputeMedian
    args:
      src: orchestrator/Data/numbers.csv
    success:
      ctx_has_keys:
        - numbers.median_v1
"""
NEGATIVE = """
import pytest
from orchestrator.scriptlets.python.steps.compute_numbers import ComputeNumbers
from orchestrator.context import Context

def test_compute_numbers_missing_file(tmp_path):
    ctx = Context()
    code = ComputeNumbers().run(ctx, {"src": str(tmp_path/"missing.csv")})
    assert code == 1
    assert ctx.get("numbers.stats_v1") is None
"""
STATS = {"count": 6, "sum": 108.0, "mean": 18.0, "min": 4.0, "max": 42.0}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the brief's tree, to be changed at will."""
    folder = tmp_path / "workspace"
    shutil.copytree(TREE, folder, ignore=shutil.ignore_patterns("__pycache__", ".oneiric_cache"))
    return folder


def said(line: str, folder: Path) -> Finished:
    """Run a command of the brief in *folder*, our own Python being `python`."""
    python, *words = shlex.split(line)
    assert python == "python"
    return run(*words, folder=folder)


def last_line(done: Finished) -> dict[str, Any]:
    """Return the last line on stdout, which is one JSON document."""
    found: dict[str, Any] = json.loads(done.out.splitlines()[-1])
    return found


def test_the_full_recipe_runs_and_prints_one_line(tree: Path) -> None:
    """Section 4.1: the sample output, and exactly one line of it."""
    done = said(FULL, tree)

    assert (done.code, done.out.count("\n")) == (0, 1), done.err
    assert done.out.startswith('{"status":"ok","ctx_keys":["numbers.stats_v1"]')


def test_the_recipe_runs_from_a_program(tree: Path) -> None:
    """Sections 4.2 and 17.1: values and keys of the context that is returned."""
    value, keys = (run("-c", code, folder=tree) for code in (PROGRAM, ALL_KEYS))

    assert (value.code, value.out) == (0, f"{STATS}\n"), value.err
    assert (keys.code, keys.out) == (0, "['numbers.stats_v1']\n"), keys.err


@pytest.mark.parametrize("line", [STANDALONE, AS_MODULE])
def test_a_scriptlet_runs_on_its_own(tree: Path, line: str) -> None:
    """Sections 4.3 and 17.2: its envelope on stdout, its time on stderr."""
    done = said(line, tree)

    assert (done.code, done.out.count("\n")) == (0, 1), done.err
    assert last_line(done) == {"status": "ok", "outputs": ["numbers.stats_v1"]}
    assert re.search(r"^\[resource\] duration_sec=\d+\.\d{4}$", done.err, re.MULTILINE)


def test_the_skeleton_runs_unchanged_in_a_recipe_and_on_its_own(tree: Path) -> None:
    """Sections 7 and 8: the template, put where it says, and the recipe that runs it."""
    step = tree / "orchestrator/scriptlets/python/steps/compute_median.py"
    step.write_text(SKELETON)
    (tree / "orchestrator/recipes/median.yaml").write_text(MEDIAN)

    done = said("python orchestrator/runner.py --recipe orchestrator/recipes/median.yaml", tree)
    alone, missing = (
        run(str(step), "--params", json.dumps({"src": src}), folder=tree)
        for src in ("orchestrator/Data/numbers.csv", "gone.csv")
    )

    assert (done.code, last_line(done)["ctx_keys"]) == (0, ["numbers.median_v1"]), done.err
    assert (alone.code, last_line(alone)["outputs"]) == (0, ["numbers.median_v1"])
    assert (missing.code, last_line(missing)) == (
        1,
        {"status": "error", "reason": "file not found", "exit_code": 1, "step": "compute_median"},
    )


@pytest.mark.parametrize("flags", ["--only compute_numbers", "--skip compute_median --skip agg*"])
def test_the_planned_filters_work(tree: Path, flags: str) -> None:
    """Section 4.4: only some of the steps are done."""
    done = said(
        f"python orchestrator/runner.py --recipe orchestrator/recipes/extended.yaml {flags}", tree
    )

    assert (done.code, last_line(done)["ctx_keys"]) == (0, ["numbers.stats_v1"]), done.err


def test_a_run_goes_on_from_a_step(tree: Path) -> None:
    """Section 4.4: `--resume-from` does a step and what comes after, on the last values."""
    first = said(EXTENDED, tree)
    done = said(f"{EXTENDED} --resume-from compute_median", tree)
    unknown = said(f"{EXTENDED} --resume-from compute_medain", tree)

    found = last_line(done)
    states = {name: each["status"] for name, each in found["steps"].items()}
    assert first.code == done.code == 0, done.err
    assert states == {
        "compute_numbers": "cached",
        "compute_median": "ok",
        "aggregate_summary": "ok",
    }
    assert set(found["ctx_keys"]) == set(last_line(first)["ctx_keys"])
    assert (unknown.code, "compute_median" in unknown.err) == (2, True)


@pytest.mark.parametrize("name", RECIPES)
def test_promise_recipes_compatibility_1_every_recipe_of_the_tree_runs(
    tree: Path, name: str
) -> None:
    """Reference 4.3, 1: unchanged, and the last line says ok and which keys there are."""
    done = said(f"python orchestrator/runner.py --recipe orchestrator/recipes/{name}", tree)

    found = last_line(done)
    assert (done.code, found["status"]) == (0, "ok"), done.err
    assert found["ctx_keys"]


def test_promise_recipes_compatibility_3_the_context_is_the_one_of_old(tree: Path) -> None:
    """Reference 4.3, 3: get, set, to_dict, and history as an attribute and as a call."""
    code = """
import json
from orchestrator.runner import run_recipe
ctx = run_recipe("orchestrator/recipes/example_numbers.yaml")
ctx.set("mine.x_v1", 1, who="me")
print(json.dumps([ctx.get("mine.x_v1"), ctx.get("none.x_v1", 7), sorted(ctx.to_dict()),
  [e["who"] for e in ctx.history], [e["key"] for e in ctx.history()]]))
"""
    done = run("-c", code, folder=tree)

    assert json.loads(done.out) == [
        1,
        7,
        ["mine.x_v1", "numbers.stats_v1"],
        ["compute_numbers", "me"],
        ["numbers.stats_v1", "mine.x_v1"],
    ], done.err


def test_promise_recipes_compatibility_4_a_failing_step_of_old(tree: Path) -> None:
    """Reference 4.3, 4: code 1, the last line is the error envelope, and nothing is merged."""
    (tree / "orchestrator/Data/numbers.csv").write_text("not a number\n")

    done = said(FULL, tree)

    found = last_line(done)
    assert done.code == 1
    assert (found["status"], found["exit_code"], found["step"], found["ctx_keys"]) == (
        "error",
        1,
        "compute_numbers",
        [],
    )
    assert "could not convert string to float" in found["reason"]
    assert "Traceback" not in done.out


def test_promise_recipes_compatibility_6_a_shared_dependency_runs_once_and_first(
    tree: Path,
) -> None:
    """Reference 4.3, 6: three steps beside each other, after the one that all of them need."""
    (tree / "note.py").write_text(
        "import json, pathlib\n"
        "from oneiric.recipes import BaseScriptlet\n"
        "class Note(BaseScriptlet):\n"
        "    def run(self, ctx, params):\n"
        "        with pathlib.Path('notes').open('a') as file:\n"
        "            file.write(params['name'] + '\\n')\n"
        "        print(json.dumps({'status': 'ok', 'outputs': []}))\n"
        "        return 0\n"
    )
    members = "".join(
        f"  - {{name: {name}, module: note, function: Note, args: {{name: {name}}}, "
        "parallel: true, depends_on: [shared]}\n"
        for name in ("a", "b", "c")
    )
    shared = "  - {name: shared, module: note, function: Note, args: {name: shared}}\n"
    (tree / "shared.yaml").write_text(f"version: 2\nsteps:\n{members}{shared}")

    done = said("python orchestrator/runner.py --recipe shared.yaml", tree)

    first, *others = (tree / "notes").read_text().split()
    assert (done.code, first, sorted(others)) == (0, "shared", ["a", "b", "c"]), done.err


def test_the_negative_test_of_the_brief_passes(tree: Path) -> None:
    """Section 12: `pytest -q`, with the test as it is written."""
    (tree / "tests" / "test_negative.py").write_text(NEGATIVE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tree,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
