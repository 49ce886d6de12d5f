"""What is said of steps beside how they stand, in every form; and drawings for Graphviz."""

from __future__ import annotations

import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from oneiric.reports import RunReport
from oneiric.reports.document import document
from oneiric.reports.dot import dot
from oneiric.reports.html import html
from oneiric.reports.junit import junit
from oneiric.reports.markdown import markdown
from oneiric.runs.plan import Plan, Step
from tests.reports.runs import HOSTILE, story

_LINE = re.compile(
    r'digraph ".*" \{|  node \[.*\];|  s\d+ \[label="(?:[^"\\]|\\.)*".*\];|  s1 -> s2;|\}'
)


def remarked(text: str) -> RunReport:
    """Return a run of two steps, with notes about the first and what it wrote."""
    plan = Plan("p", (Step("a", "task:a"), Step(HOSTILE.strip(), "task:b", depends_on=("a",))))
    failed = {"attempt": 1, "error": {"code": "failed", "message": "no", "type": "E"}}
    return RunReport.of(
        story(
            plan,
            (0, "step-started", "a", {"attempt": 1}),
            (1, "noted", "a", {"kind": "why", "text": "earlier", "is_served": False}),
            (2, "noted", "a", {"kind": "why", "text": text, "is_served": True}),
            (3, "noted", "a", {"kind": "log", "text": f"{text} https://u:secret@host/"}),
            (4, "context-set", "a", {"key": "k_v1", "value": 1, "who": "a"}),
            (5, "step-succeeded", "a", {"attempt": 1, "result": {}}),
            (6, "step-failed", HOSTILE.strip(), failed),
            (7, "run-ended", "", {"state": "failed"}),
        )
    )


def test_the_last_word_about_a_step_counts() -> None:
    """Why it stands so, its log, and the digest of each value that it wrote."""
    step = remarked("nothing has changed").steps[0]
    assert (step.word, step.why) == ("cached", "nothing has changed")
    digest = "sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    assert step.remarks.wrote == {"k_v1": digest}


@pytest.mark.parametrize("text", ["nothing has changed", HOSTILE.replace("\ud800", "")])
def test_every_form_tells_remarks_and_nothing_in_them_breaks_it(text: str) -> None:
    """No markup comes from a note, and no password of a URL is told."""
    report = remarked(text)
    page, suite = html(report), ElementTree.fromstring(junit(report))
    assert "<script>" not in page
    assert suite.find(".//testcase/system-out") is not None
    for form in (page, junit(report), markdown(report), str(document(report))):
        assert "secret" not in form


def test_a_drawing_for_graphviz_quotes_what_others_named() -> None:
    """Each line is one statement, whatever steps are called."""
    lines = dot(remarked("x")).split("\n")
    assert [line for line in lines if not _LINE.fullmatch(line)] == []
    assert 'label="a\\ncached, 5 ms"' in lines[2]


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs graphviz")
def test_graphviz_reads_a_drawing_of_hostile_names() -> None:
    """Without a complaint."""
    text = dot(remarked("x")).encode("utf-8", "replace")
    subprocess.run(["dot", "-Tsvg"], input=text, check=True, capture_output=True)
