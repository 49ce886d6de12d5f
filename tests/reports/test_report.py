"""What a run did and when, from its events."""

from oneiric.reports import RunReport
from oneiric.reports.document import document
from oneiric.runs.plan import Plan, Step
from tests.reports.runs import at, imported, story

ONE = Plan("one", (Step("a", "work"),))


def spans(report: RunReport, name: str) -> list[tuple[int, bool, float, float, str]]:
    """Return the spans of a step in short."""
    [step] = [step for step in report.steps if step.name == name]
    return [(s.attempt, s.is_wait, s.begin_ms, s.end_ms, s.outcome) for s in step.spans]


def test_every_attempt_and_every_wait_is_a_span() -> None:
    """Attempts that failed, results from a cache, waits for somebody outside: each is there."""
    report = RunReport.of(imported())

    assert spans(report, "fetch") == [
        (1, False, 0, 100, "failed"),
        (2, False, 200, 300, "succeeded"),
    ]
    assert spans(report, "parse") == [(0, False, 300, 300, "succeeded")]
    assert spans(report, "approve") == [(0, True, 300, 700, "succeeded")]
    assert spans(report, "publish") == [(1, False, 700, 1000, "failed")]
    assert spans(report, "notify") == []
    assert (report.length_ms, report.state) == (1000, "failed")
    assert [step.attempts for step in report.steps] == [2, 1, 0, 1, 0]


def test_steps_stand_in_the_order_in_which_they_began() -> None:
    """Whatever the plan's order; those that did not begin come last."""
    plan = Plan("three", (Step("a", "work"), Step("b", "work"), Step("c", "work")))
    events = story(
        plan,
        (5, "step-started", "c", {"attempt": 1}),
        (9, "step-started", "b", {"attempt": 1}),
    )

    assert [step.name for step in RunReport.of(events).steps] == ["c", "b", "a"]


def test_an_attempt_whose_holder_was_lost_ends_where_another_takes_the_run_up() -> None:
    """Nobody recorded how it ended, so it is lost; the next attempt is a span of its own."""
    events = story(
        ONE,
        (10, "step-started", "a", {"attempt": 1}),
        (500, "run-started", "", {"holder": "other", "token": 2}),
        (510, "step-started", "a", {"attempt": 2}),
        (520, "step-succeeded", "a", {"attempt": 2, "result": 1}),
        (520, "run-ended", "", {"state": "succeeded"}),
    )

    found = spans(RunReport.of(events), "a")

    assert found == [(1, False, 10, 500, "lost"), (2, False, 510, 520, "succeeded")]


def test_an_open_run_is_drawn_until_now() -> None:
    """What is under way lasts until the moment that was given, or else the last event."""
    events = story(ONE, (10, "step-started", "a", {"attempt": 1}))

    assert spans(RunReport.of(events, now=at(250)), "a") == [(1, False, 10, 250, "open")]
    assert spans(RunReport.of(events), "a") == [(1, False, 10, 10, "open")]


def test_notes_after_the_end_do_not_make_a_run_longer() -> None:
    """What a product says of a run later is no part of its time."""
    events = story(
        ONE,
        (10, "step-started", "a", {"attempt": 1}),
        (20, "step-succeeded", "a", {"attempt": 1, "result": 1}),
        (20, "run-ended", "", {"state": "succeeded"}),
        (90_000, "noted", "", {"kind": "seen"}),
    )

    assert RunReport.of(events).length_ms == 20


def test_a_clock_that_was_set_back_makes_no_negative_time() -> None:
    """Time stands still on the axis until the clock has caught up."""
    events = story(
        ONE,
        (100, "step-started", "a", {"attempt": 1}),
        (40, "step-succeeded", "a", {"attempt": 1, "result": 1}),
        (50, "run-ended", "", {"state": "succeeded"}),
    )

    assert spans(RunReport.of(events), "a") == [(1, False, 100, 100, "succeeded")]


def test_a_run_that_waits_for_somebody_outside_is_waiting() -> None:
    """Its own state is still running; what people want to know is that they are asked."""
    events = story(ONE, (5, "step-assigned", "a", {"signal": "go"}))

    report = RunReport.of(events)

    assert (report.state, report.run.state, report.is_waiting) == ("waiting", "running", True)
    assert report.steps[0].why == "waits for the signal go"


def test_a_canceled_run_tells_who_and_why() -> None:
    """The reason is in the event that asked for it."""
    asked = {"actor": "ada", "reason": "wrong day"}
    events = story(
        ONE,
        (5, "run-canceling", "", asked),
        (6, "step-canceled", "a", {"reason": "run-canceled"}),
        (6, "run-ended", "", {"state": "canceled", "error": None}),
    )

    assert RunReport.of(events).problem == "canceled by ada: wrong day"


def test_the_document_holds_everything_but_secrets() -> None:
    """Inputs and results are whole; what is named like a secret is masked."""
    found = document(RunReport.of(imported()))

    assert found["schema"] == "oneiric.run/1"
    steps: dict[str, dict[str, object]] = {each["id"]: each for each in found["steps"]}  # type: ignore[index,union-attr,misc,call-overload]
    assert steps["fetch"]["input"] == {"password": "**********"}
    assert steps["fetch"]["result"] == {"rows": 3}
    assert steps["fetch"]["provenance"] == {
        "provider": "mirror",
        "version": "2.1",
        "decision": "sha256:d",
    }
    assert steps["publish"]["why"] == "timeout: it took longer than 1 s"
