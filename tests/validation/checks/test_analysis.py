"""Many measurements, judged as one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.runs.proof import ProofOutcome
from oneiric.validation.checks.analysis import Phase, Tally, phase_of
from oneiric.validation.checks.spec import Analysis
from oneiric.validation.providers.validator import LiveValidator
from tests.servers import free_port
from tests.validation.checks.conftest import QuickClock
from tests.validation.checks.service import Service

PASSED, FAILED, UNSURE = ProofOutcome.PASSED, ProofOutcome.FAILED, ProofOutcome.INCONCLUSIVE
POLICIES = st.builds(
    Analysis,
    count=st.integers(1, 12),
    failure_limit=st.integers(0, 5),
    inconclusive_limit=st.integers(0, 5),
    error_limit=st.integers(0, 5),
    minimum_successes=st.none() | st.integers(1, 12),
)
PHASES = st.lists(st.sampled_from(Phase), min_size=12, max_size=12)


def judged(policy: Analysis, phases: list[Phase]) -> Tally:
    """What comes of *phases*, as far as they are needed."""
    tally = Tally(policy)
    for phase in phases[: policy.count]:
        if tally.add(phase):
            break
    return tally


@given(POLICIES, PHASES)
def test_any_pass_has_enough_successes_and_stays_within_every_limit(
    policy: Analysis, phases: list[Phase]
) -> None:
    """No sequence of measurements passes that lacks successes, or breaks a limit."""
    tally = judged(policy, phases)
    assert tally.verdict is not None
    if tally.verdict is PASSED:
        assert tally.counts[Phase.SUCCESSFUL] >= policy.needed
        assert tally.counts[Phase.FAILED] <= policy.failure_limit
        assert tally.counts[Phase.INCONCLUSIVE] <= policy.inconclusive_limit
        assert tally.counts.total() == policy.count
        assert tally.reason == ""
    else:
        assert tally.reason


@given(POLICIES)
def test_any_run_of_errors_alone_is_no_pass(policy: Analysis) -> None:
    """Where every measurement got no answer, nothing passes, whatever the limits say."""
    assert judged(policy, [Phase.ERROR] * 12).verdict in (FAILED, UNSURE)


def test_a_measurement_without_an_answer_is_no_success_unless_fewer_are_enough() -> None:
    """Whoever says nothing needs all that no limit lets be; a flapping service is no pass."""
    phases = [Phase.SUCCESSFUL, Phase.ERROR, Phase.FAILED, Phase.SUCCESSFUL, Phase.SUCCESSFUL]
    strict, enough = Analysis(failure_limit=1), Analysis(failure_limit=1, minimum_successes=3)
    assert (judged(strict, phases).verdict, judged(enough, phases).verdict) == (UNSURE, PASSED)
    assert judged(strict, phases).reason == "fewer than 4 measurements succeeded"


@pytest.mark.parametrize(
    ("succeeds", "fails", "phase"),
    [
        (True, None, Phase.SUCCESSFUL),
        (False, None, Phase.FAILED),
        (None, True, Phase.FAILED),
        (None, False, Phase.SUCCESSFUL),
        (True, False, Phase.SUCCESSFUL),
        (False, True, Phase.FAILED),
        (True, True, Phase.FAILED),
        (False, False, Phase.INCONCLUSIVE),
        (None, None, Phase.INCONCLUSIVE),
    ],
)
def test_conditions_say_what_a_measurement_is(
    succeeds: bool | None, fails: bool | None, phase: Phase
) -> None:
    """One condition alone is its own opposite; of two, neither is inconclusive."""
    assert phase_of(succeeds=succeeds, fails=fails) is phase


async def told(validator: LiveValidator, url: str, **fields: Any) -> tuple[ProofOutcome, Any]:
    """The outcome of a check, and what its proof tells of its measurements."""
    proof = (await validator.prove({"url": url, **fields})).proof
    return proof.outcome, proof.facts["analysis"]


async def test_measurements_begin_at_their_interval_after_a_delay(
    service: Service, validator: LiveValidator, clock: QuickClock
) -> None:
    """The first waits for the delay, each further one for the interval."""
    analysis = {"count": 3, "interval_seconds": 100, "initial_delay_seconds": 30}
    outcome, found = await told(validator, service.at("/health"), analysis=analysis)
    assert (outcome, found["successful"]) == (PASSED, 3)
    waits = [each for each in clock.slept if each]
    assert waits[0] == 30
    assert [round(each, -2) for each in waits[1:]] == [100, 200]  # no time passed meanwhile


async def test_nobody_home_is_no_pass_and_stops_early(validator: LiveValidator) -> None:
    """Too many errors in a row fail at once; fewer than that never make a pass."""
    url = f"http://127.0.0.1:{free_port()}/"
    many = {"count": 100, "interval_seconds": 0}
    outcome, found = await told(validator, url, analysis=many)
    assert (outcome, found["measured"]) == (FAILED, 5)
    few = {"count": 3, "interval_seconds": 0}
    outcome, found = await told(validator, url, analysis=few)
    assert (outcome, found["error"], found["successful"]) == (UNSURE, 3, 0)


async def test_conditions_judge_the_status_that_they_name(
    service: Service, validator: LiveValidator
) -> None:
    """What a condition says counts, and it may ask of everything about an answer."""
    analysis = {
        "count": 4,
        "interval_seconds": 0,
        "success": "status == 200 and json.ok and headers['content-type'] != ''",
        "failure": "status == 500 or duration_ms > 60000",
        "inconclusive_limit": 2,
    }
    outcome, found = await told(validator, service.at("/flapping"), analysis=analysis)
    assert (outcome, found["successful"], found["inconclusive"]) == (PASSED, 2, 2)
    strict = {**analysis, "inconclusive_limit": 0}
    outcome, found = await told(validator, service.at("/flapping"), analysis=strict)
    assert (outcome, found["measured"]) == (UNSURE, 1)


@pytest.mark.parametrize(
    ("asked", "conditions", "expected"),
    [
        ({}, {"failure": "duration_ms > 60000"}, FAILED),
        ({}, {"success": "duration_ms < 60000"}, FAILED),
        ({}, {"success": "ok or duration_ms < 60000"}, PASSED),
        ({}, {"failure": "status == 500"}, PASSED),
        ({"expected_status": 404}, {"failure": "duration_ms > 60000"}, PASSED),
        (
            {"expected_status": 404, "asserts": ["header x-none exists"]},
            {"failure": "status == 500"},
            FAILED,
        ),
    ],
)
async def test_what_no_condition_speaks_of_has_to_be_so_besides(
    service: Service,
    validator: LiveValidator,
    asked: dict[str, object],
    conditions: dict[str, object],
    expected: ProofOutcome,
) -> None:
    """A condition about one thing does not let pass whatever else is wrong."""
    analysis = {"count": 2, "interval_seconds": 0, **conditions}
    outcome, _ = await told(validator, service.at("/nowhere"), analysis=analysis, **asked)
    assert outcome is expected


async def test_percentiles_are_of_all_samples(service: Service, validator: LiveValidator) -> None:
    """A percentile is judged once, at the end, over everything that was measured."""
    analysis = {"count": 5, "interval_seconds": 0}
    asserts = ["duration p50 < 60s", "duration p95 < 0.001ms"]
    proof = (
        await validator.prove(
            {"url": service.at("/health"), "analysis": analysis, "asserts": asserts}
        )
    ).proof
    assert proof.outcome is FAILED
    assert len(service.seen) == 5
    found: Any = proof.facts["asserts"]
    assert [each["ok"] for each in found] == [True, True, False]
    durations: Any = proof.facts["analysis"]
    assert durations["duration_ms"].keys() == {"p50", "p95", "p100"}


async def test_percentiles_count_what_got_no_answer_as_slowest(
    service: Service, validator: LiveValidator
) -> None:
    """Who answers half of all requests at once is not quick for 95 of 100."""
    asked: dict[str, Any] = {
        "url": service.at("/breaking"),
        "analysis": {"count": 6, "minimum_successes": 1, "interval_seconds": 0},
        "asserts": ["duration p50 < 60s", "duration p95 < 60s"],
    }
    proof = (await validator.prove(asked)).proof
    found: Any = proof.facts["asserts"]
    analysis: Any = proof.facts["analysis"]
    assert proof.outcome is FAILED
    assert [each["ok"] for each in found] == [True, True, False]
    assert "3 of 6 requests got no answer" in str(proof.facts["error"])
    assert analysis["duration_ms"]["p95"] is None
