"""What one check takes from its answer for those after it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.clock import SystemClock
from oneiric.errors import InvalidError, JSONValue
from oneiric.ports.http import Headers
from oneiric.runs.body import NOBODY
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.checks.accounts import Account, proof_of
from oneiric.validation.checks.answer import Answer
from oneiric.validation.checks.captures import filled, groups
from oneiric.validation.checks.judge import judged
from oneiric.validation.checks.masks import Masks
from oneiric.validation.checks.spec import LiveCheck
from oneiric.validation.providers.validator import LiveValidator
from oneiric.validation.validator import Validator
from tests.validation.checks.service import Service

TOKEN = "tok-9f8e7d6c5b"
PASSWORD = "hunter2-and-more"


def login(service: Service, **fields: Any) -> dict[str, Any]:
    """The check that logs in, and takes what it is given."""
    return {
        "url": service.at("/login"),
        "method": "POST",
        "body": {"user": "ada", "password": PASSWORD},
        "capture": {
            "token": "json $.access.bearer",
            "user": "json $.user.id",
            "session": "header X-Session",
            "short": 'body "bearer": "(tok-[a-f0-9]{4})',
        },
        **fields,
    }


def me(service: Service, **fields: Any) -> dict[str, Any]:
    """The check that needs the token."""
    headers = {"Authorization": "Bearer ${ captured.token }"}
    return {"url": service.at("/me"), "headers": headers, **fields}


async def test_what_one_check_captures_the_next_one_uses(
    service: Service, validator: LiveValidator
) -> None:
    """A token of a login opens what only those who are logged in may see."""
    first = await validator.prove(login(service))
    assert first.captured == {
        "token": TOKEN,
        "user": 4711,
        "session": "sess-31415926",
        "short": "tok-9f8e",
    }
    second = await validator.prove(
        me(service, asserts=["json $.name == Ada"]), captured=first.captured
    )
    assert (first.proof.outcome, second.proof.outcome) == (ProofOutcome.PASSED,) * 2


async def test_defect_validation_c3_no_secret_of_checks_or_answers_is_in_a_proof(
    service: Service, validator: LiveValidator
) -> None:
    """Passwords, tokens, users in addresses, secrets in queries and answers: none is kept."""
    address = service.url.replace("http://", "http://ada:pa55word@")
    first = await validator.prove(login(service))
    proofs = [
        first.proof,
        (await validator.prove(me(service), captured=first.captured)).proof,
        (
            await validator.prove(
                {
                    "url": service.at("/secrets"),
                    "asserts": [
                        "json $.password == pa55-w0rd",
                        "json $.nested[0].api_key matches k",
                    ],
                }
            )
        ).proof,
        (await validator.prove({"url": f"{address}/echo?api_key=sk-query-secret&page=2"})).proof,
        (await validator.prove(login(service, body={"password": "wrong-pa55word"}))).proof,
    ]
    text = json.dumps([each.as_json() for each in proofs])
    secrets = (TOKEN, "tok-9f8e", "sess-31415926", PASSWORD, "pa55word", "pa55-w0rd")
    assert [each for each in (*secrets, "sk-query-secret", "k-1") if each in text] == []
    assert proofs[3].subject == f"{service.url}/echo?api_key=**********&page=2"
    assert [str(each.outcome) for each in proofs] == ["pass", "pass", "pass", "pass", "fail"]
    assert "authorization: **********" in str(proofs[1].facts["curl"]).lower()


async def test_a_short_value_that_was_captured_leaves_the_proof_readable(
    service: Service, validator: LiveValidator
) -> None:
    """The id 4 takes no address, no status and no time apart; a short token is masked."""
    taken = {"id": 'body "id": (4)', "token": 'body "bearer": "(tok)'}
    first = await validator.prove(login(service, capture=taken))
    asked: dict[str, Any] = {
        "url": service.at("/echo?page=${ captured.id }"),
        "headers": {"X-A": "${ captured.token }"},
    }
    second = await validator.prove(asked, captured=first.captured)

    assert first.captured == {"id": "4", "token": "tok"}
    assert first.proof.subject == service.at("/login")
    assert second.proof.subject == service.at("/echo?page=4")
    assert second.proof.facts["status"] == 200
    assert "X-A: **********" in str(second.proof.facts["curl"])


@given(st.text(min_size=8, max_size=40).filter(lambda text: text.strip() and not text.isdigit()))
def test_any_captured_secret_is_in_no_proof(secret: str) -> None:
    """Wherever an answer repeats what was captured, and in whatever form, its proof does not."""
    secret = f"§{secret}"
    declared = LiveCheck.model_validate(
        {
            "url": "https://api.example.com/a?next=${ captured.it }",
            "headers": {"X-Anything": "said ${ captured.it }"},
            "body": {"note": "${ captured.it }"},
            "asserts": ["json $.said == other", "body contains nothing"],
        }
    )
    check = filled(declared, {"it": secret})
    body = json.dumps({"said": secret, "list": [f"x{secret}y"]}).encode("utf-8", "replace")
    answer = Answer(200, check.url, Headers(), body)
    account = Account(attempts=1, answer=answer, findings=tuple(judged(check, answer)))
    proof = proof_of(
        check,
        account,
        Masks(check, [secret]),
        at=SystemClock().now(),
        user="ada",
        by=NOBODY,
        took_ms=1.0,
    )
    written = json.dumps(proof.as_json(), ensure_ascii=False)
    for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        assert form not in written
        assert json.dumps(form, ensure_ascii=False)[1:-1] not in written


async def test_nothing_is_captured_from_a_check_that_did_not_pass(
    service: Service, validator: LiveValidator
) -> None:
    """What failed hands nothing on, and what cannot be taken fails the check."""
    failed = await validator.prove(login(service, expected_status=201))
    lacking = await validator.prove(login(service, capture={"token": "json $.nowhere"}))
    assert failed.captured == lacking.captured == {}
    assert lacking.proof.outcome is ProofOutcome.FAILED
    assert lacking.proof.facts["error"] == "capture token: it is not there"


async def test_a_filled_check_is_still_the_declared_one(service: Service) -> None:
    """What was captured changes no identity, so that repeats are known as such."""
    check = LiveCheck.model_validate(me(service))
    one, other = (filled(check, {"token": token}) for token in ("a", "b"))
    assert one.identity == other.identity == check.identity
    assert one.headers != other.headers


async def test_unknown_captures_repeated_ones_and_cycles_are_problems_before(
    service: Service, validator: LiveValidator
) -> None:
    """Everything about captures that cannot work is told before anything is sent."""
    there = service.at("/x?v=${ captured.b }")
    back = service.at("/x?v=${ captured.a }")
    checks: list[dict[str, JSONValue]] = [
        {"url": service.at("/x?v=${ captured.nobody }")},
        {"url": there, "capture": {"a": "json $.a"}},
        {"url": back, "capture": {"b": "json $.b"}},
        {"url": service.at("/x"), "capture": {"a": "json $.a"}},
        {"url": service.at("/x?v=${ context.a }")},
        {"url": service.at("/x?v=${ captured.a")},
    ]
    found = [(each.key, each.what) for each in validator.problems(checks)]
    assert ("0", "no check captures nobody") in found
    assert ("1", "it waits for captures that wait for it") in found
    assert ("2", "it waits for captures that wait for it") in found
    assert ("3.capture.a", "check 1 captures one of that name") in found
    assert {key for key, _ in found} == {"0", "1", "2", "3.capture.a", "4", "5"}
    with pytest.raises(InvalidError, match="no check captures nobody"):
        await Validator().run_all_live_checks([LiveCheck.model_validate(checks[0])])
    assert service.seen == []


def test_checks_that_captures_join_are_one_group_in_their_order() -> None:
    """Whatever the order they are declared in, who captures comes first; strangers stay apart."""
    url = "https://api.example.com/${ captured.%s }"
    checks = [
        LiveCheck(url=url % "b"),
        LiveCheck(url="https://api.example.com/", capture={"a": "json $.a"}),
        LiveCheck(url="https://api.example.com/alone"),
        LiveCheck(url=url % "a", capture={"b": "json $.b"}),
    ]
    assert groups([*checks, None]) == [[1, 3, 0], [2], [4]]


async def test_all_checks_are_done_in_the_order_of_their_captures(service: Service) -> None:
    """A batch may name the one who needs before the one who gives."""
    checks = [LiveCheck.model_validate(each) for each in (me(service), login(service))]
    proofs = await Validator().run_all_live_checks(checks)
    assert [each.result for each in proofs] == ["pass", "pass"]
    assert [each.path for each in service.seen] == ["/login", "/me"]


async def test_a_check_without_what_it_needs_is_inconclusive(service: Service) -> None:
    """Where the login fails, what needs its token is not done, and is no pass."""
    checks = [
        LiveCheck.model_validate(each)
        for each in (login(service, body={"password": "no"}), me(service))
    ]
    proofs = await Validator().run_all_live_checks(checks)
    assert [each.result for each in proofs] == ["fail", "inconclusive"]
    assert [each.path for each in service.seen] == ["/login"]
