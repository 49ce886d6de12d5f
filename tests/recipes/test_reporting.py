"""Reports that a recipe asks for, and drawings of it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from oneiric.domains.host import host
from oneiric.errors import InvalidError
from oneiric.recipes.reporting import drawn, write_report
from oneiric.recipes.running import RecipeRunner
from oneiric.to_end import run_to_end
from tests.recipes.conftest import Desk
from tests.recipes.runs import ran

RECIPE = """
    steps:
      - {name: one, module: steps, function: Log, args: {key: a.n_v1, value: 1}, cache: {}}
      - {name: bad, module: steps, function: Log, args: {key: c.n_v1, fail: bad}}
    reports:
      - {format: html, path: out/report.html}
      - {format: junit, path: junit.xml}
      - {format: json, path: report.json}
      - {format: markdown}
    """
DIGEST = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"


def test_a_recipe_has_its_reports_written_and_those_without_a_path_on_stderr(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """They say what each step wrote, with its digest, and why it was done or not."""
    path = desk.write("r.yaml", RECIPE)
    (desk.folder / "out").mkdir()
    desk.write("bad", "")
    first = ran(path)
    capsys.readouterr()
    ran(path)
    said = f"nothing has changed since run {first.run.run_id}"
    page = (desk.folder / "out" / "report.html").read_text()
    assert all(text in page for text in (said, "a.n_v1", DIGEST, "told to"))
    told = capsys.readouterr()
    assert told.out == ""
    assert all(text in told.err for text in ("`recipe:r`: failed", said, DIGEST))
    steps = json.loads((desk.folder / "report.json").read_text())["steps"]
    assert (steps[0]["wrote"], steps[0]["is_served"]) == ({"a.n_v1": DIGEST}, True)
    suite = ElementTree.parse(desk.folder / "junit.xml").getroot()[0]
    assert [case.get("name") for case in suite.iter("testcase")] == ["one", "bad"]
    assert suite.findtext("testcase/system-out") == said


def test_a_report_that_cannot_be_written_does_not_hide_what_came_of_the_run(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told on stderr."""
    path = desk.write("r.yaml", RECIPE)
    desk.write("out", "no folder")
    assert ran(path).run.state == "succeeded"
    assert "the html report is not written" in capsys.readouterr().err
    with pytest.raises(InvalidError, match=r"no form of report htm.*html"):
        write_report(ran(path).report, "htm", None)


@pytest.mark.parametrize("form", ["mermaid", "dot"])
def test_a_recipe_is_drawn_before_it_is_run(desk: Desk, form: str) -> None:
    """Each step and each edge is there."""
    text = run_to_end(_drawn(desk.write("r.yaml", RECIPE), form))
    arrow = {"mermaid": "s1 --> s2", "dot": "s1 -> s2;"}[form]
    assert all(word in text for word in ("one", "bad", "queued", arrow))


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs graphviz")
def test_graphviz_reads_the_drawing(desk: Desk) -> None:
    """Without a complaint."""
    text = run_to_end(_drawn(desk.write("r.yaml", RECIPE), "dot"))
    subprocess.run(["dot", "-Tsvg"], input=text.encode(), check=True, capture_output=True)


async def _drawn(path: Path, form: str) -> str:
    async with host() as on:
        return drawn(RecipeRunner(on).compile(path).plan, form)
