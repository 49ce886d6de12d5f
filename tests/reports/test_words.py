"""The words and widths of which reports are made."""

from __future__ import annotations

import pytest

from oneiric.reports import RunReport
from oneiric.reports.cells import cells, wrapped
from oneiric.reports.markdown import markdown
from oneiric.runs.plan import Plan, Step
from tests.reports.runs import story

WAIT = {"signal": "ok", "prompt": None}
BAD = {"error": {"code": "failed", "message": "rejected"}}


def test_a_wait_that_ends_badly_is_no_attempt() -> None:
    """Nobody tried for the zeroth time: the report says what ended."""
    plan = Plan("p", (Step("c", signal="ok"), Step("d", "x", "${ input.a.b }")))
    events = story(
        plan,
        (0, "step-assigned", "c", WAIT),
        (1000, "step-failed", "c", {"attempt": 0, **BAD}),
        (1000, "step-failed", "d", {"attempt": 0, **BAD}),
        (1000, "run-ended", "", {"state": "failed", **BAD}),
    )
    told = markdown(RunReport.of(events))
    assert "waiting, 1.00 s:" in told
    assert "not begun, 0 ms:" in told
    assert "attempt 0" not in told


@pytest.mark.parametrize("columns", [-1, 0, 1, 2, 3])
def test_any_text_is_wrapped_at_any_width(columns: int) -> None:
    """A character of two columns is not broken for ever where only one is left."""
    lines = wrapped("実実 a実", columns)
    assert "".join(lines).replace(" ", "") == "実実a実"
    assert max(map(cells, lines)) <= max(columns, 2)
