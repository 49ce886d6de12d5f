"""Events as recorded runs: one that is delivered again is told to nobody twice."""

from __future__ import annotations

from oneiric.runs.plan import Plan, Retry, Step

DISPATCH = "event:dispatch"
"""The name of such a run, and the target of its one step."""

_RETRY = Retry(attempts=3, on=("unavailable",))

PLAN = Plan(DISPATCH, (Step("dispatch", DISPATCH, "${ input }", retry=_RETRY),))
"""What such a run does: its input is the event in the JSON format of CloudEvents."""
