"""Steps that were done, and found what is not so."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from oneiric.reports.dot import dot
from oneiric.reports.findings import findings, refutation
from oneiric.reports.html import html
from oneiric.reports.junit import junit
from oneiric.reports.markdown import markdown
from oneiric.reports.mermaid import mermaid
from oneiric.reports.report import RunReport
from oneiric.reports.timeline import timeline
from oneiric.runs.plan import Plan, Step
from tests.reports.runs import story

_DIGEST = f"sha256:{'0' * 64}"


def _report(state: str, outcome: str = "fail") -> RunReport:
    plan = Plan("checks", (Step("users", "task:check"), Step("orders", "task:check")))
    good = {"digest": _DIGEST, "outcome": "pass", "subject": "https://a.example/users"}
    bad = {
        "digest": _DIGEST,
        "outcome": outcome,
        "subject": "https://u:secret@a.example/orders",
        "error": "status 200: it is 404",
    }
    events = story(
        plan,
        (1, "step-started", "users", {"attempt": 1}),
        (2, "step-succeeded", "users", {"attempt": 1, "result": {"proofs": [good]}}),
        (2, "step-started", "orders", {"attempt": 1}),
        (3, "step-succeeded", "orders", {"attempt": 1, "result": {"proofs": [bad]}}),
        (4, "run-ended", "", {"state": state}),
    )
    return RunReport.of(events)


def test_a_check_that_found_what_is_not_so_is_green_in_no_report() -> None:
    """That it was done is not that it passed; each case says what was checked."""
    suite = ElementTree.fromstring(junit(_report("failed")))

    users, orders = suite.findall(".//testcase")
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    assert users.find("failure") is None
    assert "https://a.example/users" in (users.findtext("system-out") or "")
    found = orders.find("failure")
    assert found is not None
    assert "a.example/orders: status 200: it is 404" in (found.get("message") or "")


@pytest.mark.parametrize("form", [html, markdown, mermaid, dot, timeline, junit])
def test_every_form_shows_it_as_failed_and_no_password(form: Callable[[RunReport], str]) -> None:
    """Tables, graphs and bars agree."""
    bad, good = form(_report("failed")), form(_report("succeeded"))

    assert ("fail" in bad, ">failed" in good or "] failed" in good) == (True, False)
    assert "secret" not in bad


def test_what_could_not_be_checked_is_an_error_and_no_failure() -> None:
    """Inconclusive is an outcome of its own."""
    suite = ElementTree.fromstring(junit(_report("failed", "inconclusive")))

    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")


def test_a_run_that_succeeded_all_the_same_has_no_failure() -> None:
    """A check that was not required may fail; it is told, and breaks no build."""
    report = _report("succeeded")
    suite = ElementTree.fromstring(junit(report))

    assert (suite.get("failures"), suite.get("errors")) == ("0", "0")
    assert report.steps[1].why.endswith("/orders: status 200: it is 404")


def test_a_check_of_which_another_path_was_enough_is_no_failure() -> None:
    """Of several proofs of one check the last counts, whatever became of the run."""
    first = {"digest": _DIGEST, "outcome": "fail", "subject": "/health", "check": "health"}
    second = {"digest": _DIGEST, "outcome": "pass", "subject": "/healthz", "check": "health"}
    other = {**first, "check": "users"}

    assert refutation(findings({"proofs": [first, second]})) is None
    assert refutation(findings({"proofs": [second, first]})) is not None
    assert refutation(findings({"proofs": [other, second]})) is not None
