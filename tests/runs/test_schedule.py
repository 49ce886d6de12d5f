"""Deciding by itself: no loop, no journal, no body."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from oneiric.backoff import Backoff
from oneiric.clock import rfc3339
from oneiric.errors import IllegalMoveError, JSONValue
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.plan import OnError, Plan, Retry, Step
from oneiric.runs.run import Run, fold
from oneiric.runs.schedule import Schedule

DAY = datetime(2026, 11, 21, 9, tzinfo=UTC)


def begun(*steps: Step, **more: object) -> Run:
    """Return a run of *steps* that has started."""
    plan = Plan("p", steps, **more)  # type: ignore[arg-type]
    data: dict[str, JSONValue] = {"plan": plan.as_json(), "digest": plan.digest, "input": 3}
    at = rfc3339(DAY)
    created = RunEvent("r", EventKind.RUN_CREATED, at, "", data, 1)
    return fold([created, RunEvent("r", EventKind.RUN_STARTED, at, "", {}, 2)])


def schedule(run: Run, *, now: float = 0.0, date: datetime = DAY) -> Schedule:
    """Return the schedule of a run that was just taken up."""
    made = Schedule(run, lambda: 0.0, 1000)
    made.tick(now, date)
    made.index()
    return made


def told(made: Schedule) -> list[tuple[str, str]]:
    """Return what was decided: kinds and steps."""
    return [(str(event.kind), event.step) for event in made.events]


def test_what_is_ready_is_launched_in_the_order_of_the_plan() -> None:
    """Only what waits for nobody is launched, each once, with its input made."""
    run = begun(Step("c", "t", "${ input }"), Step("a", "t", 1), Step("b", "t", None, ("a",)))
    made = schedule(run)
    assert [(each.step.id, each.input) for each in made.decide()] == [("c", 3), ("a", 1)]
    assert made.decide() == []
    made.emit(EventKind.STEP_STARTED, "a", {"attempt": 1})
    made.emit(EventKind.STEP_SUCCEEDED, "a", {"attempt": 1, "result": None})
    assert [each.step.id for each in made.decide()] == ["b"]


def test_a_condition_that_fails_cascades_in_one_decision() -> None:
    """What follows without any body is decided at once, to the end of the run."""
    run = begun(
        Step("a", "t", condition="input > 5"),
        Step("b", "t", "${ steps.a.output }", ("a",), on_error=OnError.CONTINUE),
        Step("c", "t", None, ("b",), condition="steps.b.state == 'succeeded'"),
    )
    made = schedule(run)
    assert made.decide() == []
    assert told(made) == [
        ("step-canceled", "a"),
        ("step-failed", "b"),
        ("step-canceled", "c"),
        ("run-ended", ""),
    ]
    assert run.state == "succeeded"
    assert "steps.a.output" in str((run.steps["b"].error or {})["message"])


@pytest.mark.parametrize(
    ("passed", "left"), [(0, 60.0), (20, 40.0), (100, 0.0), (-86_400, 60.0), (86_400, 0.0)]
)
def test_a_wait_survives_a_crash_and_a_clock_that_jumps(passed: float, left: float) -> None:
    """The rest of a delay is waited; a date that went back or ahead costs no more than all."""
    retry = Retry(attempts=2, backoff=Backoff(base_seconds=60))
    run = begun(Step("a", "t", retry=retry))
    first = schedule(run)
    assert len(first.decide()) == 1
    first.emit(EventKind.STEP_STARTED, "a", {"attempt": 1})
    first.fail("a", {"code": "failed", "message": "no"}, frozenset())
    assert first.wake_at == 60.0
    later = schedule(run, now=1000.0, date=DAY + timedelta(seconds=passed))
    assert later.wake_at == 1000.0 + left


def test_a_first_step_that_is_final_stops_nobody_from_being_stopped() -> None:
    """Failure, cancellation and timeout stop the others, wherever a final step stands."""
    run = begun(Step("z", "t", is_final=True), Step("a", "t"), Step("b", "t", None, ("a",)))
    made = schedule(run)
    made.decide()
    made.emit(EventKind.STEP_STARTED, "a", {"attempt": 1})
    made.fail("a", {"code": "failed", "message": "no"}, frozenset())
    assert [each.step.id for each in made.decide()] == ["z"]
    assert told(made)[-1] == ("step-canceled", "b")


def test_what_cannot_happen_is_refused() -> None:
    """The fold knows which moves are legal, of steps and of the run."""
    run = begun(Step("a", "t"))
    for step in ("a", "nobody"):
        with pytest.raises(IllegalMoveError):
            run.apply(RunEvent("r", EventKind.STEP_RETRIED, "", "nobody", {}, 3))
        with pytest.raises(IllegalMoveError):
            run.apply(RunEvent("r", EventKind.RUN_REOPENED, "", step, {"steps": []}, 3))
    with pytest.raises(IllegalMoveError):
        fold([])


def test_a_step_that_waits_outside_keeps_its_place_in_the_group() -> None:
    """Assigned counts as at work, before a crash as after; what ran then may go on running."""
    steps = (Step("a", "t", group="one"), Step("b", signal="go", group="one"))
    run = begun(*steps, groups={"one": 1})
    made = schedule(run)
    assert [each.step.id for each in made.decide()] == ["a"]
    made.emit(EventKind.STEP_STARTED, "a", {"attempt": 1})
    again = schedule(run)
    assert [each.step.id for each in again.decide()] == ["a"]
    assert run.steps["b"].state == "queued"
    again.emit(EventKind.STEP_SUCCEEDED, "a", {"attempt": 1, "result": None})
    again.decide()
    assert run.steps["b"].state == "assigned"
