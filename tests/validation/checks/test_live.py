"""Live checks against a real service with many odd routes."""

import asyncio
import json
from typing import Any

import pytest

from oneiric.errors import JSONValue
from oneiric.ports.errors import InvalidRequestError, UnavailableError
from oneiric.runs.proof import EXCERPT_LIMIT, Proof, ProofOutcome
from oneiric.validation.providers.validator import LiveValidator, LiveValidatorSettings
from tests.servers import free_port
from tests.validation.checks.conftest import QuickClock
from tests.validation.checks.service import PATIENCE_SECONDS, Service

PASSED, FAILED, UNSURE = ProofOutcome.PASSED, ProofOutcome.FAILED, ProofOutcome.INCONCLUSIVE


async def proved(validator: LiveValidator, url: str, **fields: Any) -> Proof:
    """The proof of one check of *url*."""
    return (await validator.prove({"kind": "live", "url": url, **fields})).proof


async def test_a_proof_tells_everything_about_one_check(
    service: Service, validator: LiveValidator
) -> None:
    """A proof has all facts that the design names, and digests of what was sent and came."""
    asserts = ['json $.status == "ok"', "header content-type contains json"]
    proof = await proved(validator, service.at("/health"), asserts=asserts, id="health")
    assert proof.outcome is PASSED
    assert proof.kind == "live"
    assert proof.subject == service.at("/health")
    assert proof.by.provider == "live"
    assert proof.by.version
    facts = dict(proof.facts)
    duration: Any = facts.pop("duration_ms")
    assert duration > 0
    assert facts == {
        "check": "health",
        "user": "ada@example.com",
        "attempts": 1,
        "method": "GET",
        "status": 200,
        "asserts": [
            {"what": "status", "expected": 200, "actual": 200, "ok": True},
            {"what": "json $.status ==", "expected": "ok", "actual": "ok", "ok": True},
            {
                "what": "header content-type contains",
                "expected": "json",
                "actual": "application/json; charset=utf-8",
                "ok": True,
            },
        ],
        "curl": f"curl -sS --max-time 30 {service.at('/health')}",
    }
    assert proof.digests.keys() == {"request", "response"}
    assert json.loads(proof.excerpts["response"])["version"] == "1.2.3"
    assert Proof.from_json(proof.as_json()) == proof


@pytest.mark.parametrize(
    ("path", "check", "error"),
    [
        ("/health", 'json $.status == "down"', 'json $.status == "down": it is "ok"'),
        ("/health", "json $.version absent", 'json $.version absent: it is "1.2.3"'),
        (
            "/health",
            "header content-type contains xml",
            'header content-type contains "xml": it is "application/json; charset=utf-8"',
        ),
        (
            "/health",
            {"subject": "schema", "op": "valid", "value": {"type": "array"}},
            "schema valid: $: ",
        ),
        ("/secrets", "json $.password == other", "json $.password ==: it is not so"),
    ],
)
async def test_what_an_assert_found_is_said_where_it_is_not_so(
    service: Service, validator: LiveValidator, path: str, check: Any, error: str
) -> None:
    """Beside what was expected, in one line; what stands under the name of a secret is not."""
    proof = await proved(validator, service.at(path), asserts=[check])
    assert proof.outcome is FAILED
    assert str(proof.facts["error"]).startswith(error)


async def test_defect_validation_a6_a_flapping_service_is_no_pass_by_luck(
    service: Service, validator: LiveValidator
) -> None:
    """Of a service that fails every second call, several measurements are taken, and it fails."""
    analysis = {"count": 6, "interval_seconds": 0, "failure_limit": 1}
    proof = await proved(validator, service.at("/flapping"), analysis=analysis)
    assert proof.outcome is FAILED
    told: Any = proof.facts["analysis"]
    assert (told["successful"], told["failed"], told["measured"]) == (1, 2, 3)
    assert told["reason"] == "more than 1 measurements failed"
    assert len(service.seen) == 3


async def test_a_flapping_service_passes_where_retries_are_allowed_and_told(
    service: Service, validator: LiveValidator, clock: QuickClock
) -> None:
    """A check that passed only later says how often it was tried, and why."""
    retry = {"attempts": 3, "delay_seconds": 2}
    proof = await proved(validator, service.at("/flapping"), retry=retry)
    assert proof.outcome is PASSED
    assert proof.facts["attempts"] == 2
    assert proof.facts["retries"] == ["it answered 503"]
    assert 2.0 in clock.slept


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_defect_validation_a6_what_broke_is_sent_again_only_where_it_is_told(
    method: str, service: Service, validator: LiveValidator
) -> None:
    """One attempt is one request, whatever the method; a further one stands among the retries."""
    asked = {"method": method, "retry": {"attempts": 2, "delay_seconds": 0}}
    once = await proved(validator, service.at("/breaking"), method=method)
    assert (once.outcome, service.asked("/breaking")) == (FAILED, [method])
    service.counts.clear()
    twice = await proved(validator, service.at("/breaking"), **asked)
    assert (twice.outcome, twice.facts["attempts"]) == (PASSED, 2)
    assert twice.facts["retries"] == ["the connection broke (ServerDisconnectedError)"]
    assert service.asked("/breaking") == [method] * 3


async def test_a_connection_that_its_service_has_closed_is_not_used_again(
    validator: LiveValidator,
) -> None:
    """A service may let go of who is idle; the next check opens another, and does not fail."""
    opened = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    for _ in range(3):
        proof = await proved(validator, url)
        assert proof.outcome is PASSED
        await asyncio.sleep(0.1)
    server.close()
    assert opened == 3


async def test_defect_validation_a7_a_page_with_status_200_fails_its_asserts(
    service: Service, validator: LiveValidator
) -> None:
    """What says that it is JSON is held to it; the status alone does not pass."""
    asserts = ["header content-type contains json", "json $.status == ok"]
    proof = await proved(validator, service.at("/html"), asserts=asserts)
    assert proof.outcome is FAILED
    assert "json $.status ==: the answer is no JSON" in str(proof.facts["error"])


@pytest.mark.parametrize(("path", "body"), [("/array", [1, 2, {"three": 3}]), ("/text", "fine")])
async def test_defect_validation_f1_json_of_any_shape_passes_and_is_kept(
    service: Service, validator: LiveValidator, path: str, body: JSONValue
) -> None:
    """An answer that is a list or a text is as good as a table."""
    proof = await proved(validator, service.at(path))
    assert (proof.outcome, proof.facts["status"]) == (PASSED, 200)
    assert json.loads(proof.excerpts["response"]) == body


async def test_defect_validation_f5_only_the_declared_method_is_ever_sent(
    service: Service, validator: LiveValidator
) -> None:
    """A POST route is posted to, one that should be missing is asked once, and nothing probes."""
    posted = await proved(
        validator, service.at("/create"), method="POST", body={"a": 1}, expected_status=201
    )
    missing = await proved(validator, service.at("/gone"), expected_status=404)
    assert (posted.outcome, missing.outcome) == (PASSED, PASSED)
    assert service.asked("/create") == ["POST"]
    assert service.asked("/gone") == ["GET"]
    assert len(service.seen) == 2


async def test_defect_validation_b2_a_slow_drip_ends_at_the_limit_of_the_whole(
    service: Service, validator: LiveValidator
) -> None:
    """A server that sends a byte now and then is given up when the time of the check is over."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        proof = await proved(validator, service.at("/drip"), timeout=0.3)
    assert proof.outcome is FAILED
    assert proof.facts["error"] == "there was no whole answer within 0.3 s"
    with pytest.raises(InvalidRequestError):
        await proved(validator, service.at("/drip"), timeout=0)


async def test_defect_validation_b3_a_huge_answer_is_cut_and_fails(
    service: Service, validator: LiveValidator
) -> None:
    """No more is read than the check allows, and no more is kept than an excerpt."""
    proof = await proved(validator, service.at("/huge"), max_body_bytes=100_000)
    assert proof.outcome is FAILED
    assert "longer than 100000 bytes" in str(proof.facts["error"])
    assert len(proof.excerpts["response"]) <= EXCERPT_LIMIT
    assert len(json.dumps(proof.as_json())) < 10_000


async def test_what_does_not_answer_has_failed_and_says_why(
    service: Service, validator: LiveValidator
) -> None:
    """A refused connection, a broken one and a silent one are failures of what runs."""
    refused = await proved(validator, f"http://127.0.0.1:{free_port()}/")
    broken = await proved(validator, service.at("/cut"))
    silent = await proved(validator, service.at("/hang"), timeout=0.2)
    unknown = await proved(validator, "http://no-such-name.invalid/")
    assert {each.outcome for each in (refused, broken, silent, unknown)} == {FAILED}
    assert "it cannot be reached" in str(refused.facts["error"])
    assert "the connection broke" in str(broken.facts["error"])
    assert "no whole answer" in str(silent.facts["error"])
    assert "the name is not known" in str(unknown.facts["error"])
    assert all(each.facts["status"] is None for each in (refused, broken, silent))


async def test_retries_keep_to_what_the_service_asks_for(
    service: Service, validator: LiveValidator, clock: QuickClock
) -> None:
    """Retry-After is waited for; one that asks for a day is not, and is told."""
    proof = await proved(validator, service.at("/limited"), retry={"attempts": 2})
    assert proof.outcome is PASSED
    assert 7.0 in clock.slept
    patience = await proved(validator, service.at("/patience"), retry={"attempts": 5})
    assert (patience.outcome, patience.facts["attempts"]) == (FAILED, 1)
    assert patience.facts["retries"] == ["it answered 503, and no sooner than in 86400 s: given up"]


async def test_retries_stop_at_once_where_there_is_no_reason(
    service: Service, validator: LiveValidator
) -> None:
    """A status that is not listed, or an assert that is not so, is no reason to try again."""
    retry: dict[str, JSONValue] = {"attempts": 5, "delay_seconds": 0}
    proof = await proved(validator, service.at("/gone"), retry=retry)
    assert (proof.outcome, proof.facts["attempts"]) == (FAILED, 1)
    often = {**retry, "attempts": 3, "on": ["assert", "timeout"]}
    proof = await proved(validator, service.at("/html"), retry=often, asserts=["json $.a"])
    assert (proof.outcome, proof.facts["attempts"]) == (FAILED, 3)


async def test_waits_grow_from_attempt_to_attempt(
    validator: LiveValidator, clock: QuickClock
) -> None:
    """Each wait is twice as long as the one before."""
    retry = {"attempts": 4, "delay_seconds": 1}
    await proved(validator, f"http://127.0.0.1:{free_port()}/", retry=retry)
    assert [each for each in clock.slept if each] == [1.0, 2.0, 4.0]


async def test_a_redirect_is_an_answer_unless_it_is_to_be_followed(
    service: Service, validator: LiveValidator
) -> None:
    """Without leave no redirect is followed; with it, the last answer counts."""
    shown = await proved(
        validator,
        service.at("/hop"),
        expected_status=302,
        asserts=[f"redirect == {service.at('/health')}"],
    )
    assert shown.outcome is PASSED
    assert service.asked("/health") == []
    followed = await proved(validator, service.at("/hop"), max_redirects=1)
    assert (followed.outcome, followed.subject) == (PASSED, service.at("/health"))
    endless = await proved(validator, service.at("/hop_round"), max_redirects=3)
    assert endless.outcome is FAILED
    assert "more than 3 times" in str(endless.facts["error"])
    assert len(service.asked("/hop_round")) == 4


async def test_a_redirect_never_changes_the_method(
    service: Service, validator: LiveValidator
) -> None:
    """One that browsers would follow by GET is not followed; one that keeps the method is."""
    fields = {"method": "POST", "body": {"a": 1}, "max_redirects": 2}
    changed = await proved(validator, service.at("/hop"), **fields)
    kept = await proved(validator, service.at("/hop_keep"), **fields)
    assert (changed.outcome, kept.outcome) == (FAILED, PASSED)
    assert "would change the method" in str(changed.facts["error"])
    assert service.asked("/health") == []
    assert service.asked("/echo") == ["POST"]


async def test_what_cannot_be_checked_is_inconclusive_and_no_pass(
    service: Service, validator: LiveValidator
) -> None:
    """A pattern that had no answer in time, or a contract that nobody reads, is no pass."""
    slow = await proved(validator, service.at("/long"), asserts=["body matches ^(a|a)*$"])
    contract = {"document": "openapi.yaml"}
    unread = await proved(validator, service.at("/health"), conforms_to=contract)
    assert (slow.outcome, unread.outcome) == (UNSURE, UNSURE)
    assert "had no answer within" in str(slow.facts["error"])
    worse = await proved(
        validator, service.at("/health"), conforms_to=contract, expected_status=201
    )
    assert worse.outcome is FAILED


async def test_a_check_that_means_nothing_is_refused_before_anything_is_sent(
    service: Service, validator: LiveValidator
) -> None:
    """What could never be judged is an error of who wrote it, and asks nobody."""
    wrong: list[dict[str, Any]] = [
        {"asserts": ["body matches ("]},
        {"asserts": ["json $.a[ exists"]},
        {"asserts": [{"subject": "schema", "op": "valid", "value": {"type": 3}}]},
        {"capture": {"token": "somewhere"}},
        {"analysis": {"success": "status = 200"}},
        {"analysis": {"success": "latency < 3"}},
        {"headers": {"Authorization": "Bearer ${ captured.token }"}},
        {"expected_status": 999},
        {"nonsense": 1},
    ]
    for fields in wrong:
        with pytest.raises(InvalidRequestError):
            await proved(validator, service.at("/health"), **fields)
        check: dict[str, JSONValue] = {"kind": "live", "url": service.at("/health"), **fields}
        assert validator.problems([check]), fields
    assert service.seen == []


async def test_all_problems_of_all_checks_are_told_at_once(validator: LiveValidator) -> None:
    """Each problem names the number of its check, and none repeats a value."""
    checks: list[dict[str, JSONValue]] = [
        {"url": "https://api.example.com/", "asserts": ["json $.a ==", "body matches ("]},
        {"url": "/health"},
        {"kind": "odd"},
        {"url": "https://api.example.com/", "metod": "GET"},
    ]
    found = [(each.key, each.what) for each in validator.problems(checks)]
    assert [key for key, _ in found] == ["0.asserts.0", "2.kind", "3.metod", "1.url"]
    assert "did you mean method?" in found[2][1]


async def test_a_path_is_asked_below_production(service: Service) -> None:
    """A check that names only a path asks the address of production."""
    validator = LiveValidator(LiveValidatorSettings(prod_url=f"{service.url}/"))
    await validator.init()
    try:
        first = await proved(validator, "/health")
        second = await proved(validator, "health")
        assert first.subject == second.subject == service.at("/health")
        assert first.facts["check"] != second.facts["check"]
    finally:
        await validator.cleanup()
    with pytest.raises(UnavailableError):
        await proved(validator, "/health")


async def test_no_more_is_under_way_than_allowed(service: Service) -> None:
    """Checks wait for a place, however many are asked for at once."""
    validator = LiveValidator(LiveValidatorSettings(max_concurrent=3))
    await validator.init()
    try:
        proofs = await asyncio.gather(
            *(proved(validator, service.at("/together"), id=f"c{n}") for n in range(12))
        )
    finally:
        await validator.cleanup()
    assert {each.outcome for each in proofs} == {PASSED}
    assert 1 < service.most_under_way <= 3


async def test_a_host_is_asked_no_faster_than_it_may_be(
    service: Service, clock: QuickClock
) -> None:
    """Beyond a second's worth at once, requests to one host are spaced."""
    settings = LiveValidatorSettings(requests_per_second=2)
    validator = LiveValidator(settings, clock=clock)
    await validator.init()
    try:
        for number in range(5):
            await proved(validator, service.at("/health"), id=f"c{number}")
    finally:
        await validator.cleanup()
    waits = [each for each in clock.slept if each]
    assert len(waits) == 3
    assert waits == sorted(waits)


async def test_other_kinds_go_to_who_does_them_and_are_inconclusive_without() -> None:
    """A check of a kind that nobody here does is no pass, and no error."""
    validator = LiveValidator(provers={})
    evidence = await validator.prove({"kind": "ui", "url": "https://me:pw@example.com/?token=x"})
    proof = evidence.proof
    assert (proof.outcome, proof.kind) == (UNSURE, "ui")
    assert proof.subject == "https://example.com/?token=**********"
