"""Steps that are not done again, with all that they had written; and why others are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.recipes.conftest import Desk
from tests.recipes.runs import ran

CACHED = """
    inputs:
      n: {type: int, default: 1}
    steps:
      - name: log
        module: steps
        function: Log
        args: {key: a.n_v1, value: "${{ inputs.n }}"}
        cache: {inputs: [data.csv], keys: [], env: [LC_TEST], ttl: 1h}
      - name: read
        module: steps
        function: Write
        args: {key: b.n_v1, value: "${{ ctx['a.n_v1'] }}"}
"""


@pytest.fixture
def recipe(desk: Desk) -> Path:
    """A recipe with one step that is kept, and its file."""
    desk.write("data.csv", "1\n")
    return desk.write("r.yaml", CACHED)


def test_defect_recipes_13_a_cached_step_gives_its_context_keys_again(
    desk: Desk, recipe: Path
) -> None:
    """The second run has the same values, written by the cache, and the step is not done."""
    first, second = ran(recipe, {"n": 5}), ran(recipe, {"n": 5})
    assert desk.log == ["a.n_v1"]
    assert first.values == second.values == {"a.n_v1": 5, "b.n_v1": 5}
    assert second.who == {"a.n_v1": "cache", "b.n_v1": "write"}
    assert first.statuses == {"log": "ok", "read": "ok"}
    assert second.statuses == {"log": "cached", "read": "ok"}
    assert first.run.results["log"] == second.run.results["log"]
    assert first.whys == {"log": "there is no earlier result"}
    assert second.whys == {"log": f"nothing has changed since run {first.run.run_id}"}


def test_defect_recipes_13_changed_arguments_make_another_result(desk: Desk, recipe: Path) -> None:
    """The step is done, and says which argument was otherwise the last time."""
    first, second = ran(recipe, {"n": 1}), ran(recipe, {"n": 2})
    assert desk.log == ["a.n_v1", "a.n_v1"]
    assert second.values["a.n_v1"] == 2
    assert second.whys == {"log": f"args.value has changed since run {first.run.run_id}"}


def test_defect_recipes_13_a_cache_key_is_no_path(desk: Desk) -> None:
    """A key that leads out of a folder is a text like any other, added to what else counts."""
    text = """
        steps:
          - {name: log, module: steps, function: Log, args: {key: a.n_v1, value: VALUE},
             cache_key: ../../outside}
        """
    around = set(desk.folder.parent.iterdir())
    ran(desk.write("r.yaml", text.replace("VALUE", "1")))
    again = ran(desk.write("r.yaml", text.replace("VALUE", "1")))
    other = ran(desk.write("r.yaml", text.replace("VALUE", "2")))
    assert (again.statuses, other.statuses) == ({"log": "cached"}, {"log": "ok"})
    assert other.values == {"a.n_v1": 2}
    assert set(desk.folder.parent.iterdir()) == around


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("file", "file data.csv has changed"),
        ("source", "source of the scriptlet has changed"),
        ("variable", "variable LC_TEST has changed"),
        ("version", "version has changed"),
    ],
)
def test_whatever_a_result_depends_on_is_named_when_it_changes(
    desk: Desk, recipe: Path, monkeypatch: pytest.MonkeyPatch, change: str, why: str
) -> None:
    """A file, the code, a variable, the version: the first that differs is told."""
    first = ran(recipe, {"n": 1})
    match change:
        case "file":
            desk.write("data.csv", "2\n")
        case "source":
            path = desk.folder / "steps.py"
            path.write_text(f"{path.read_text()}\n# more\n")
        case "variable":
            monkeypatch.setenv("LC_TEST", "C")
        case "version":
            desk.write("r.yaml", CACHED.replace("ttl: 1h", "version: 2"))
    assert ran(recipe, {"n": 1}).whys == {"log": f"{why} since run {first.run.run_id}"}
    assert ran(recipe, {"n": 1}).statuses["log"] == "cached"


def test_what_recipes_within_are_made_of_counts(desk: Desk) -> None:
    """The file of each, and what their steps run, however deep."""
    path = desk.write(
        "r.yaml", "steps: [{name: sub, type: recipe, recipe: child.yaml, cache_key: a}]"
    )
    desk.write("child.yaml", "steps: [{name: deep, type: recipe, recipe: deep/er.yaml}]")
    deep = """
        steps:
          - {name: log, module: steps, function: Log, args: {key: a.n_v1, value: 1}}
          - {name: sh, type: shell, script: do.sh, stdout: none}
        """
    desk.write("deep/er.yaml", deep)
    desk.write("do.sh", "#!/bin/sh\n").chmod(0o755)
    ran(path)
    assert ran(path).statuses == {"sub": "cached"}
    desk.write("deep/er.yaml", deep.replace("value: 1", "value: 2"))
    changed = ran(path)
    assert "recipe deep/er.yaml has changed" in changed.whys["sub"]
    assert changed.values == {"a.n_v1": 2}
    desk.write("do.sh", "#!/bin/sh\ntrue\n")
    assert "script do.sh has changed" in ran(path).whys["sub"]
    module = desk.folder / "steps.py"
    module.write_text(f"{module.read_text()}\n")
    assert "source of steps:Log has changed" in ran(path).whys["sub"]
    assert ran(path).statuses == {"sub": "cached"}


def test_what_a_script_says_counts(desk: Desk) -> None:
    """A step that runs one is done again when the script has changed."""
    path = desk.write(
        "r.yaml", "steps: [{name: sh, type: shell, script: do.sh, stdout: none, cache_key: a}]"
    )
    script = desk.write("do.sh", "#!/bin/sh\n")
    script.chmod(0o755)
    ran(path)
    assert ran(path).statuses == {"sh": "cached"}
    desk.write("do.sh", "#!/bin/sh\ntrue\n")
    assert "script do.sh has changed" in ran(path).whys["sh"]


def test_a_value_of_the_context_counts_where_the_recipe_says_so(desk: Desk) -> None:
    """The key that the step reads by itself has changed."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {name: log, module: steps, function: Log, args: {key: a.n_v1}, cache: {keys: [k.x_v1]}}
        """,
    )
    first = ran(path, context_in={"k.x_v1": 1})
    assert ran(path, context_in={"k.x_v1": 1}).statuses == {"log": "cached"}
    other = ran(path, context_in={"k.x_v1": 2})
    assert other.whys == {"log": f"key k.x_v1 has changed since run {first.run.run_id}"}


def test_a_failure_is_never_kept(desk: Desk) -> None:
    """The same step is done again, and what it gives then is kept."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {name: log, module: steps, function: Log, args: {key: a.n_v1, fail: bad}, cache: {}}
        """,
    )
    bad = desk.write("bad", "")
    assert ran(path).statuses == {"log": "failed"}
    bad.unlink()
    second, third = ran(path), ran(path)
    assert (second.statuses, third.statuses) == ({"log": "ok"}, {"log": "cached"})
    assert second.whys == {"log": "there is no earlier result"}


def test_a_result_serves_only_while_what_must_hold_after_the_step_holds(desk: Desk) -> None:
    """A file that is gone has the step done, which says so."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {name: log, module: steps, function: Log, args: {key: a.n_v1, log: out}, cache: {},
             success: {files_exist: [out]}}
        """,
    )
    ran(path)
    assert ran(path).statuses == {"log": "cached"}
    (desk.folder / "out").unlink()
    gone = ran(path)
    assert (gone.statuses, gone.whys) == ({"log": "ok"}, {"log": "there is no file out"})
    assert ran(path).statuses == {"log": "cached"}


def test_a_result_that_is_too_old_serves_no_more(desk: Desk) -> None:
    """Its age is told as the reason."""
    path = desk.write(
        "r.yaml",
        """
        steps:
          - {name: log, module: steps, function: Log, args: {key: a.n_v1}, cache: {ttl: 1ms}}
        """,
    )
    ran(path)
    assert ran(path).whys == {"log": "the earlier result is too old"}


def test_without_cache_nothing_is_used_or_kept_and_refresh_replaces(
    desk: Desk, recipe: Path
) -> None:
    """Both are asked for by the run, and told as the reason."""
    off = ran(recipe, {"n": 1}, cache=False)
    assert off.whys == {"log": "the cache is off"}
    assert ran(recipe, {"n": 1}).whys == {"log": "there is no earlier result"}
    anew = ran(recipe, {"n": 1}, refresh=("l*",))
    assert anew.whys == {"log": "it was asked to be done anew"}
    assert len(desk.log) == 3
    assert ran(recipe, {"n": 1}).whys == {"log": f"nothing has changed since run {anew.run.run_id}"}


def test_a_step_that_does_not_ask_for_it_is_done_each_time(desk: Desk) -> None:
    """Nothing is said of a cache, and no database is made."""
    path = desk.write(
        "r.yaml", "steps: [{name: log, module: steps, function: Log, args: {key: a.n_v1}}]"
    )
    assert (ran(path).whys, ran(path).whys) == ({}, {})
    assert desk.log == ["a.n_v1", "a.n_v1"]
    assert not (desk.folder / ".oneiric_cache" / "results.sqlite").exists()


def test_a_cache_that_cannot_be_used_is_as_good_as_none(desk: Desk, recipe: Path) -> None:
    """The step is done, and says why."""
    ran(recipe, {"n": 1})
    path = desk.folder / ".oneiric_cache" / "results.sqlite"
    os.truncate(path, 0)
    path.write_bytes(b"no database" * 100)
    spoiled = ran(recipe, {"n": 1})
    assert spoiled.statuses == {"log": "ok", "read": "ok"}
    assert spoiled.whys["log"].startswith("the cache cannot be used: ")


@pytest.mark.parametrize("bad", ["/etc/passwd", "../x", "out/passwd", "other/x"])
def test_files_that_show_in_a_run_are_confined_as_all_that_a_step_reads(
    desk: Desk, bad: str
) -> None:
    """What an expression says is not looked at where it lies outside."""
    (desk.folder / "out").symlink_to("/etc")
    text = """
        inputs: {src: {}}
        allow: {paths: [data]}
        steps:
          - name: log
            module: steps
            function: Log
            args: {key: a.n_v1}
            cache: {inputs: ["${{ inputs.src }}"]}
        """
    path = desk.write("r.yaml", text)
    assert ran(path, {"src": "data/x"}).statuses == {"log": "ok"}
    assert ran(path, {"src": bad}).statuses == {"log": "failed"}
    assert desk.log == ["a.n_v1"]
