"""The commands about recipes that run no recipe, and the one that runs one scriptlet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oneiric.cli.app import main
from tests.recipes.conftest import Desk

GOOD = """
    version: 2
    test_meta: {description: Two writes}
    steps:
      - {name: first, module: steps, function: Write, args: {key: a.n_v1, value: 1}}
      - {name: 'second', depends_on: [first], module: steps, function: Write, args: {key: b.n_v1}}
    """
BAD = "version: 2\nsteps: [{name: a, module: steps, function: Write, retires: 3}]\n"


@pytest.fixture
def call(desk: Desk, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Caller:
    """Call `oneiric recipe` in this process."""
    desk.write("recipes/good.yaml", GOOD)
    desk.write("recipes/bad.yaml", BAD)
    return Caller(monkeypatch, capfd)


class Caller:
    """Calls commands, and keeps what the last one left."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]
    ) -> None:
        self.monkeypatch = monkeypatch
        self.captured = captured

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr."""
        self.monkeypatch.setattr("sys.argv", ["oneiric", "recipe", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self.captured.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err


def test_validate_tells_all_that_is_wrong_with_its_line(call: Caller) -> None:
    """Exit code 2 and file:line; each recipe is told of."""
    code, out, _ = call("validate", "recipes/good.yaml", "recipes/bad.yaml")
    assert code == 2
    assert "recipes/good.yaml: valid" in out
    assert "recipes/bad.yaml:2" in out

    code, out, _ = call("validate", "recipes/good.yaml", "--json")
    assert (code, json.loads(out)["valid"]) == (0, True)


def test_plan_and_graph_run_nothing(call: Caller, desk: Desk) -> None:
    """Steps in order, drawn for people, Mermaid and Graphviz; nothing is written."""
    before = sorted(desk.folder.rglob("*"))
    code, out, _ = call("plan", "recipes/good.yaml")
    assert (code, "after first" in out) == (0, True)
    code, out, _ = call("plan", "recipes/good.yaml", "--json")
    assert [step["id"] for step in json.loads(out)["steps"]] == ["first", "second"]
    code, out, _ = call("graph", "recipes/good.yaml")
    assert out.startswith("flowchart TD")
    code, out, _ = call("graph", "recipes/good.yaml", "--format", "dot")
    assert out.startswith("digraph")
    code, out, _ = call("run", "recipes/good.yaml", "--plan", "--only", "nobody")
    assert code == 2
    made = [path for path in desk.folder.rglob("*") if path.name != "__pycache__"]
    assert [path for path in sorted(made) if path not in before and path.suffix != ".pyc"] == []


def test_list_shows_what_there_is_and_what_is_wrong(call: Caller) -> None:
    """The folders of the configuration, or those given."""
    code, out, _ = call("list", "--json")
    found = {Path(each["path"]).name: each for each in json.loads(out)["recipes"]}
    assert code == 0
    assert (found["good.yaml"]["steps"], found["good.yaml"]["description"]) == (2, "Two writes")
    assert found["bad.yaml"]["problem"]
    assert "no recipes in" in call("list", "nowhere")[1]


def test_a_scriptlet_runs_on_its_own(call: Caller) -> None:
    """Its own line on stdout, its own code; what it raises is told as an envelope."""
    code, out, _ = call("step", "steps:Write", "--params", '{"key": "a.n_v1", "value": 3}')
    assert (code, json.loads(out)) == (0, {"status": "ok", "outputs": ["a.n_v1"]})
    code, out, _ = call("step", "steps:Fail")
    assert (code, json.loads(out)["reason"]) == (1, "no luck")
    code, out, _ = call("step", "steps:Write", "--json")
    assert (code, json.loads(out)["envelope"]["reason"]) == (1, "ValueError: missing key")
    code, _, err = call("step", "gone:Nobody")
    assert (code, "cannot be imported" in err) == (2, True)


def test_schema_is_a_json_schema(call: Caller) -> None:
    """An editor finds the fields of a recipe in it."""
    code, out, _ = call("schema")
    assert (code, "steps" in json.loads(out)["properties"]) == (0, True)


def test_what_is_not_there_cannot_be_approved(call: Caller) -> None:
    """A run that nobody knows is exit code 6."""
    assert call("approve", "0000", "publish")[0] == 6


def test_odd_options_are_told_before_anything_runs(call: Caller) -> None:
    """No recipe, two recipes, a parameter without a value, a report of no form: exit code 2."""
    for words in (
        ("run",),
        ("run", "recipes/good.yaml", "--recipe", "recipes/bad.yaml"),
        ("run", "recipes/good.yaml", "--param", "limit"),
        ("run", "recipes/good.yaml", "--report", "pdf=report.pdf"),
    ):
        assert call(*words)[0] == 2, words


def test_a_report_is_written_where_it_is_asked_for(call: Caller, desk: Desk) -> None:
    """--report FORMAT=PATH, as often as one likes; --explain says why on stderr."""
    code, _, err = call(
        "run",
        "recipes/good.yaml",
        "--no-checkpoints",
        "--explain",
        *("--report", "junit=r.xml", "--report", "markdown=r.md"),
    )
    assert code == 0, err
    assert "first: ok" in err
    assert (desk.folder / "r.xml").read_text().startswith("<?xml")
    assert (desk.folder / "r.md").exists()


def test_what_cannot_be_written_at_the_end_is_told_before_anything_runs(
    call: Caller, desk: Desk
) -> None:
    """A folder that is not there is exit code 6, and no step was run."""
    desk.write("recipes/log.yaml", CHAIN)
    for words in (("--report", "html=gone/r.html"), ("--context-out", "gone/values.json")):
        assert call("run", "recipes/log.yaml", *words)[0] == 6, words
    assert desk.log == []


CHAIN = """
    version: 2
    steps:
      - {name: one, module: steps, function: Log, args: {key: a.n_v1, value: 1}, cache: {}}
      - {name: two, module: steps, function: Log, depends_on: [one],
         args: {key: b.n_v1, value: "${{ ctx['a.n_v1'] }}", fail: bad}}
      - {name: three, module: steps, function: Log, args: {key: c.n_v1}}
    """


def states(out: str) -> dict[str, str]:
    """Return how each step stands by the line of a run."""
    return {name: each["status"] for name, each in json.loads(out)["steps"].items()}


def test_the_choices_of_a_run_are_options(call: Caller, desk: Desk) -> None:
    """Those of steps, of values to begin with, and of earlier results."""
    path = str(desk.write("recipes/log.yaml", CHAIN))
    desk.write("in.json", '{"a.n_v1": 9}')

    code, out, _ = call("run", path, "--only", "two", "--with-deps", "--jobs", "1")
    assert (code, states(out)) == (0, {"one": "ok", "two": "ok", "three": "skipped"})
    code, out, _ = call("run", path, "--only", "two", "--context-in", "in.json")
    assert (code, states(out)["one"], desk.log) == (0, "skipped", ["a.n_v1", "b.n_v1", "b.n_v1"])
    code, out, _ = call("run", path, "--skip", "t*")
    assert (code, states(out)["one"]) == (0, "cached")
    code, out, _ = call("run", path, "--skip", "t*", "--refresh", "one")
    assert (code, states(out)["one"]) == (0, "ok")
    code, out, _ = call("run", path, "--skip", "t*", "--no-cache")
    assert (code, states(out)["one"]) == (0, "ok")
    assert call("run", path, "--context-in", "gone.json")[0] == 6


def test_a_run_is_gone_on_with_by_options(call: Caller, desk: Desk) -> None:
    """By the beginning of its id, or what did not succeed in it alone; by force if it changed."""
    path, bad = desk.write("recipes/log.yaml", CHAIN), desk.write("bad", "")
    code, out, _ = call("run", str(path), "--keep-going")
    run = json.loads(out)["run_id"]
    assert (code, states(out)) == (1, {"one": "ok", "two": "failed", "three": "ok"})
    bad.unlink()
    code, out, _ = call("run", str(path), "--only-failed", run[:-2])
    assert (code, states(out)) == (0, {"one": "cached", "two": "ok", "three": "cached"})
    assert call("run", str(path), "--resume-from", "thre")[0] == 2
    desk.write("recipes/log.yaml", CHAIN.replace("c.n_v1", "d.n_v1"))
    code, out, err = call("run", str(path), "--resume", run[:-2])
    assert (code, json.loads(out)["code"], "three: input" in err) == (3, "plan-changed", True)
    code, out, _ = call("run", str(path), "--resume", run[:-2], "--force")
    assert (code, json.loads(out)["run_id"]) == (0, run)
    assert sorted(desk.log[:3]) == ["a.n_v1", "b.n_v1", "c.n_v1"]
    assert sorted(desk.log[3:]) == ["b.n_v1", "b.n_v1", "d.n_v1"]


def test_a_run_that_takes_too_long_ends_with_5(call: Caller, desk: Desk) -> None:
    """Where the whole run has a limit; that of a step makes the step fail, which is 1."""
    sleep = '{name: a, type: shell, run: [sleep, "60"], stdout: none'
    whole = desk.write("recipes/whole.yaml", f"timeout: 200ms\nsteps: [{sleep}}}]\n")
    part = desk.write("recipes/part.yaml", f"steps: [{sleep}, timeout: 200ms}}]\n")
    assert call("run", str(whole))[0] == 5
    code, out, _ = call("run", str(part))
    assert (code, json.loads(out)["failed"]) == (1, ["a"])


def test_who_waits_for_an_approval_is_told_what_to_do(call: Caller, desk: Desk) -> None:
    """stderr has what is asked and the command that answers; without waiting it is exit code 4."""
    text = 'steps: [{name: review, type: approve, prompt: "Publish it?"}]\n'
    path = str(desk.write("recipes/approve.yaml", text))
    code, out, err = call("run", path, "--no-wait")
    run = json.loads(out)["run_id"]
    assert (code, json.loads(out)["status"]) == (4, "waiting")
    assert "Publish it?" in err
    assert f"oneiric recipe approve {run} 'review'" in err
    assert call("approve", run, "review", "--deny", "--reason", "not yet")[0] == 0
    code, out, _ = call("run", path, "--resume", run)
    assert (code, json.loads(out)["reason"]) == (3, "not yet")
