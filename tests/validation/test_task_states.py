"""The status of a task: whatever a journal says, it moves only as it may."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.errors import IllegalMoveError, JSONValue
from oneiric.runs.event import EventKind, RunEvent
from oneiric.validation.models import TaskOutcome, TaskStatus
from oneiric.validation.projection import Projection, project
from oneiric.validation.states import MOVES

AT = "2026-11-20T09:30:00.000000Z"
LIVE: dict[str, Any] = {"digest": "d1", "check": "a", "kind": "live", "outcome": "pass"}
STEPS = ("test.1", "local", "drift", "gate.validation", "check.1", "gate.production", "done")


def event(kind: EventKind, step: str = "", **data: JSONValue) -> RunEvent:
    return RunEvent("r", kind, AT, step, data)


def done(step: str, **result: JSONValue) -> RunEvent:
    return event(EventKind.STEP_SUCCEEDED, step, attempt=1, result=result)


def shut(step: str, code: str, **facts: JSONValue) -> RunEvent:
    verdict: dict[str, JSONValue] = {
        "effect": "deny",
        "code": code,
        "reason": f"it is {code}",
        "facts": facts,
    }
    error: dict[str, JSONValue] = {
        "code": "policy-refused",
        "message": "no",
        "details": {"verdict": verdict},
    }
    return event(EventKind.STEP_FAILED, step, attempt=1, error=error)


CREATED = event(EventKind.RUN_CREATED, metadata={"task": {"id": "t"}})
STARTED = event(EventKind.RUN_STARTED)
GOOD = [
    CREATED,
    STARTED,
    done("test.1", proofs=[{**LIVE, "kind": "local", "digest": "d0"}]),
    done("local"),
    done("gate.validation"),
    done("check.1", proofs=[LIVE]),
    done("gate.production", seen=["d0", "d1"]),
    done("done"),
    event(EventKind.RUN_ENDED, state="succeeded"),
]


def test_a_task_gets_done_by_every_status_on_the_way() -> None:
    """In the order in which the gates opened."""
    found = project(GOOD)
    assert [status for _, status in found.trail] == [
        TaskStatus.IN_PROGRESS,
        TaskStatus.LOCAL_OK,
        TaskStatus.VALIDATING,
        TaskStatus.PROD_OK,
        TaskStatus.DONE,
    ]
    assert (found.outcome, found.reason, found.code) == (TaskOutcome.DONE, "", "")


@pytest.mark.parametrize("left_out", [3, 4, 5, 6])
def test_a_journal_that_leaves_something_out_is_no_tasks(left_out: int) -> None:
    """A gate, or the proof from production: without it nothing after it can be."""
    with pytest.raises(IllegalMoveError):
        project(GOOD[:left_out] + GOOD[left_out + 1 :])


def test_a_gate_that_was_shown_no_proof_of_this_run_opens_nothing() -> None:
    """What it says it saw has to be what the steps of the run have made."""
    forged = [*GOOD[:6], done("gate.production", seen=["elsewhere"]), *GOOD[7:]]
    with pytest.raises(IllegalMoveError, match="no proof is from production"):
        project(forged)


@pytest.mark.parametrize(
    ("events", "status", "outcome"),
    [
        ([*GOOD[:3]], "in_progress", "open"),
        ([*GOOD[:3], shut("local", "local-test-failed")], "local_fail", "failed"),
        ([*GOOD[:3], shut("local", "local-test-inconclusive")], "in_progress", "inconclusive"),
        ([*GOOD[:4], shut("gate.validation", "drift-found")], "env_drift", "failed"),
        ([*GOOD[:4], shut("gate.validation", "drift-unchecked")], "local_ok", "inconclusive"),
        ([*GOOD[:4], shut("gate.validation", "ledger-broken")], "local_ok", "failed"),
        ([*GOOD[:6], shut("gate.production", "not-enough-proofs")], "prod_fail", "failed"),
        ([*GOOD[:6], shut("gate.production", "check-inconclusive")], "validating", "inconclusive"),
        (
            [*GOOD[:6], shut("gate.production", "no-live-proof", drift={"has_drift": True})],
            "env_drift",
            "failed",
        ),
        (
            [*GOOD[:6], shut("gate.production", "no-live-proof", drift={"has_drift": False})],
            "prod_fail",
            "failed",
        ),
    ],
)
def test_where_a_task_ends(events: list[RunEvent], status: str, outcome: str) -> None:
    """What failed is told apart from what could not be found out."""
    ended = [] if outcome == "open" else [event(EventKind.RUN_ENDED, state="failed")]
    found = project([*events, *ended])
    assert (str(found.status), str(found.outcome)) == (status, outcome)


def test_a_run_that_is_tried_again_goes_on_from_what_is_kept() -> None:
    """What is done again leads nowhere until it is."""
    failed = [*GOOD[:6], shut("gate.production", "not-enough-proofs")]
    ended = event(EventKind.RUN_ENDED, state="failed")
    reopened = event(EventKind.RUN_REOPENED, steps=["gate.production", "done"])
    found = project([*failed, ended, reopened])
    assert (found.status, found.outcome) == (TaskStatus.VALIDATING, TaskOutcome.OPEN)
    assert project([*failed, ended, reopened, *GOOD[6:]]).status is TaskStatus.DONE


def any_event() -> st.SearchStrategy[RunEvent]:
    """Return whatever a journal might hold, sensible or not."""
    step = st.sampled_from(STEPS)
    proofs = st.sampled_from(
        [[], [LIVE], [{**LIVE, "kind": "local"}], [{**LIVE, "outcome": "fail"}]]
    )
    seen = st.sampled_from([[], ["d1"], ["d2"]])
    codes = st.sampled_from(["drift-found", "local-test-failed", "check-inconclusive", "made-up"])
    states = st.sampled_from(["succeeded", "failed", "canceled"])
    drift = st.sampled_from([None, {"has_drift": True}, {"has_drift": False}])
    again = st.lists(step, unique=True)
    return st.one_of(
        st.just(STARTED),
        st.builds(lambda name, made, saw: done(name, proofs=made, seen=saw), step, proofs, seen),
        st.builds(lambda name, code, found: shut(name, code, drift=found), step, codes, drift),
        st.builds(lambda steps: event(EventKind.RUN_REOPENED, steps=steps), again),
        st.builds(lambda state: event(EventKind.RUN_ENDED, state=state), states),
        st.builds(lambda name: event(EventKind.STEP_STARTED, name), step),
    )


@given(st.integers(1, len(GOOD)), st.lists(any_event(), max_size=20))
def test_promise_task_any_journal_moves_a_task_only_as_it_may(
    good: int, events: list[RunEvent]
) -> None:
    """Or it is refused; and none is done without a proof from production that was seen."""
    found = Projection()
    found.apply(CREATED)
    for each in [*GOOD[1:good], *events]:
        before = found.status
        try:
            found.apply(each)
        except IllegalMoveError:
            return
        if each.kind is not EventKind.RUN_REOPENED:
            assert _reaches(before, found.status)
        way = [TaskStatus.PENDING, *(status for _, status in found.trail)]
        assert all(after in MOVES[one] for one, after in pairwise(way))
        assert found.status is way[-1]
        if found.status in (TaskStatus.PROD_OK, TaskStatus.DONE):
            assert LIVE in found.proofs


@given(st.permutations(GOOD[1:-1]))
def test_promise_task_steps_in_another_order_never_make_a_task_done(
    events: list[RunEvent],
) -> None:
    """Unless each gate opened after what it stands on."""
    try:
        found = project([CREATED, *events])
    except IllegalMoveError:
        return
    if found.status is TaskStatus.DONE:
        places = {each.step: place for place, each in enumerate(events) if each.step}
        gates = ["local", "gate.validation", "gate.production", "done"]
        assert sorted(gates, key=places.__getitem__) == gates
        assert places["check.1"] < places["gate.production"]


def _reaches(before: TaskStatus, after: TaskStatus) -> bool:
    """Tell whether one event may lead there: one move, or two where production had drifted."""
    if after is before or after in MOVES[before]:
        return True
    return any(after in MOVES[between] for between in MOVES[before])
