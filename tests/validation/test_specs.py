"""Files of tests of Playwright, run by a program that is called npx."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.handle import Link
from oneiric.errors import JSONValue
from oneiric.ports.errors import InvalidRequestError
from oneiric.ports.executor import Executor
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.checks.spec import SpecCheck
from oneiric.validation.providers.specs import SpecProver
from oneiric.validation.providers.validator import LiveValidator, LiveValidatorSettings
from tests.validation.programs import Program, executing

USER = "test@example.com"
NONE = {"expected": 0, "unexpected": 0, "flaky": 0, "skipped": 0}


def report(*tests: str, errors: tuple[str, ...] = ()) -> str:
    """Return a report as Playwright writes it, with one test for each status."""
    specs = [
        {
            "title": f"does {number}",
            "ok": status in ("expected", "flaky"),
            "tests": [
                {
                    "status": status,
                    "results": [
                        {
                            "retry": 0,
                            "error": {"message": "\x1b[31mError: no\x1b[39m button\n at x"},
                        }
                    ]
                    if status == "unexpected"
                    else [{"retry": 0}],
                }
            ],
        }
        for number, status in enumerate(tests, 1)
    ]
    suites = [{"title": "login.spec.ts", "specs": [], "suites": [{"title": "in", "specs": specs}]}]
    stats = {**NONE, **{status: tests.count(status) for status in tests}, "duration": 3.5}
    return json.dumps(
        {
            "config": {"version": "1.57.0"},
            "suites": suites,
            "errors": [{"message": text} for text in errors],
            "stats": stats,
        },
        indent=2,
    )


@pytest.fixture
def npx(tmp_path: Path) -> Program:
    """A program named npx."""
    return Program(tmp_path / "bin", "npx")


@pytest.fixture
async def executor(tmp_path: Path) -> AsyncIterator[Link[Executor]]:
    """An executor whose PATH has that program alone."""
    (tmp_path / "repo").mkdir()
    async with executing(tmp_path, path=str(tmp_path / "bin")) as link:
        yield link


async def proved(executor: Link[Executor], path: str = "tests/login.spec.ts", **more: Any) -> Proof:
    """Run the tests of a file."""
    check = SpecCheck(path=path, timeout=more.pop("timeout", 60.0))
    return await SpecProver(executor).prove(check, user=USER, repo_path="repo", **more)


async def test_tests_that_passed_are_proved(npx: Program, executor: Link[Executor]) -> None:
    """By an argument list, in the repository, with the address of production at hand."""
    npx.answers({"stdout": f"[dotenv] loaded {{}}\n{report('expected', 'skipped')}\n"})
    proof = await proved(executor, prod_url="https://shop.example.com")
    assert (proof.outcome, proof.kind, proof.subject) == (
        ProofOutcome.PASSED,
        "ui",
        "tests/login.spec.ts",
    )
    assert proof.facts["tests"] == {**NONE, "expected": 1, "skipped": 1}
    assert (proof.facts["flaky"], proof.facts["exit_code"], proof.facts["error"]) == (
        False,
        0,
        None,
    )
    (call,) = npx.heard()
    assert call["args"] == ["playwright", "test", r"/tests/login\.spec\.ts$", "--reporter=json"]
    assert call["cwd"].endswith("/repo")
    told = {name: call["env"].get(name) for name in ("BASE_URL", "TEST_USER", "npm_config_yes")}
    assert told == {
        "BASE_URL": "https://shop.example.com",
        "TEST_USER": USER,
        "npm_config_yes": "false",
    }


async def test_a_test_that_failed_fails_the_check_and_is_named(
    npx: Program, executor: Link[Executor]
) -> None:
    """With what it said."""
    npx.answers({"stdout": report("expected", "unexpected"), "exit": 1})
    proof = await proved(executor)
    assert proof.outcome is ProofOutcome.FAILED
    assert proof.facts["failed"] == ["login.spec.ts > in > does 2: Error: no button"]
    assert "does 2" in str(proof.facts["error"])


async def test_flaky_tests_are_told(npx: Program, executor: Link[Executor]) -> None:
    """They pass."""
    npx.answers({"stdout": report("expected", "flaky")})
    proof = await proved(executor)
    assert (proof.outcome, proof.facts["flaky"]) == (ProofOutcome.PASSED, True)


@pytest.mark.parametrize(
    "answer",
    [
        {"stdout": report(errors=("Error: No tests found",)), "exit": 1},
        {"stdout": report(), "exit": 0},
        {"stdout": report("skipped"), "exit": 0},
        {"stdout": report("expected", errors=("SyntaxError: x",)), "exit": 1},
        {"stdout": report("expected"), "exit": 1},
    ],
    ids=["none found", "none", "only skipped", "a file that cannot be read", "exit code"],
)
async def test_defect_validation_a1_tests_that_did_not_run_are_no_pass(
    npx: Program, executor: Link[Executor], answer: dict[str, Any]
) -> None:
    """However the program ended: a spec that is not there can never make a task done."""
    npx.answers(answer)
    proof = await proved(executor)
    assert (proof.outcome, bool(proof.facts["error"])) == (ProofOutcome.FAILED, True)


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "all fine\n",
        "{}",
        '{"suites": [], "stats": {}}',
        "[" * 200_000,
        report("expected")[:-40],
    ],
    ids=["nothing", "no JSON", "empty", "no figures", "too deep", "cut off"],
)
async def test_a_report_that_cannot_be_read_proves_nothing(
    npx: Program, executor: Link[Executor], stdout: str
) -> None:
    """Even when the program ended with 0."""
    npx.answers({"stdout": stdout})
    assert (await proved(executor)).outcome is ProofOutcome.INCONCLUSIVE


async def test_a_report_that_contradicts_itself_proves_nothing(
    npx: Program, executor: Link[Executor]
) -> None:
    """Figures without tests are no evidence."""
    told = json.loads(report("expected"))
    told["suites"] = []
    npx.answers({"stdout": json.dumps(told)})
    assert (await proved(executor)).outcome is ProofOutcome.INCONCLUSIVE


async def test_without_npx_nothing_is_proved(executor: Link[Executor]) -> None:
    """It could not be checked."""
    proof = await proved(executor)
    assert (proof.outcome, proof.facts["exit_code"]) == (ProofOutcome.INCONCLUSIVE, None)
    assert "npx" in str(proof.facts["error"])


async def test_tests_that_take_too_long_fail(npx: Program, executor: Link[Executor]) -> None:
    """They are ended, and what they said is kept."""
    npx.answers({"stdout": "begun\n", "seconds": 600})
    proof = await proved(executor, timeout=2.0)
    assert proof.outcome is ProofOutcome.FAILED
    assert "took longer than 2 s" in str(proof.facts["error"])


async def test_defect_validation_c1_a_path_is_never_read_by_a_shell(
    npx: Program, executor: Link[Executor], tmp_path: Path
) -> None:
    """It is one argument, whatever it holds, and no option either."""
    npx.answers({"stdout": report(errors=("Error: No tests found",)), "exit": 1})
    proof = await proved(executor, "x; touch f #")
    assert proof.outcome is ProofOutcome.FAILED
    (call,) = npx.heard()
    assert call["args"] == ["playwright", "test", "/x; touch f #$", "--reporter=json"]
    assert "f" not in [name for _, _, names in os.walk(tmp_path) for name in names]
    for path in ("--global-setup=evil.js", "-c", "../evil.spec.ts", "/etc/x", "a\nb"):
        with pytest.raises(InvalidRequestError):
            await proved(executor, path)
    assert len(npx.heard()) == 1


async def test_defect_validation_b3_output_is_bounded(
    npx: Program, executor: Link[Executor]
) -> None:
    """A report that is longer than what is kept proves nothing, and costs no more than that."""
    npx.answers({"stdout": " " * (5 << 20) + report("expected")})
    proof = await proved(executor)
    assert proof.outcome is ProofOutcome.INCONCLUSIVE
    assert len(json.dumps(proof.as_json())) < 20_000


async def test_defect_validation_c3_what_was_captured_shows_nowhere(
    npx: Program, executor: Link[Executor]
) -> None:
    """Not in what the tests say either."""
    text = report("unexpected").replace("button", "s3cr3t-of-session")
    npx.answers({"stdout": text, "stderr": "s3cr3t-of-session", "exit": 1})
    proof = await proved(executor, captured={"token": "s3cr3t-of-session"})
    assert proof.outcome is ProofOutcome.FAILED
    assert "s3cr3t" not in json.dumps(proof.as_json())


async def test_what_may_not_be_looked_at_is_told_before_anything_is_done(
    executor: Link[Executor],
) -> None:
    """A page of a foreign host and a path that leads elsewhere are problems of their checks."""
    settings = LiveValidatorSettings(prod_url="https://shop.example.com", allow_hosts=["cdn.test"])
    checks: list[dict[str, JSONValue]] = [
        {"kind": "ui", "url": "https://evil.test/"},
        {"kind": "ui", "url": "https://cdn.test/"},
        {"kind": "ui", "url": "/orders?of=${ captured.user }"},
        {"kind": "spec", "path": "../evil.spec.ts"},
        {"kind": "spec", "path": "tests/login.spec.ts"},
    ]
    found = LiveValidator(settings, executor).problems(checks)
    assert [each.key for each in found] == ["0.url", "3.path"]
    assert "evil.test is none of the hosts" in found[0].what
