"""Checks by files of tests of Playwright for Node, which the repository brings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, Field, NonNegativeInt, ValidationError

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.core.handle import Link
from oneiric.documents import DocumentLimits, parse
from oneiric.errors import JSONValue, OneiricError
from oneiric.ports.errors import InvalidRequestError
from oneiric.ports.executor import Command, CommandResult, Executor
from oneiric.runs.body import NOBODY, Provenance
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.text.printable import printable
from oneiric.validation.checks.spec import SpecCheck
from oneiric.validation.parts import result_of

__all__ = ["SpecProver"]

BACKEND = "spec"
MAX_REPORT_BYTES = 4 << 20
_LIMITS = DocumentLimits(max_bytes=MAX_REPORT_BYTES, max_nodes=1_000_000)
_HINT = "npm install --save-dev @playwright/test"
_PATTERN = re.compile(r"[.\[\](){}+*?^$|\\]")
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_SHOWN = 20
_LENGTH = 300
_NOTHING: Mapping[str, JSONValue] = MappingProxyType({})


class _Error(BaseModel):
    message: str = ""


class _Result(BaseModel):
    error: _Error | None = None
    retry: int = 0


class _Test(BaseModel):
    status: str
    results: list[_Result] = []


class _Spec(BaseModel):
    title: str = ""
    tests: list[_Test] = []


class _Suite(BaseModel):
    title: str = ""
    specs: list[_Spec] = []
    suites: list[_Suite] = []


class _Stats(BaseModel):
    expected: NonNegativeInt
    unexpected: NonNegativeInt
    flaky: NonNegativeInt
    skipped: NonNegativeInt


class _Report(BaseModel):
    suites: list[_Suite]
    stats: _Stats
    errors: list[_Error] = Field(default_factory=list)

    def failed(self) -> Iterator[str]:
        """Yield the tests that failed, each with what it said last."""
        for name, test in _tests(self.suites, ""):
            if test.status == "unexpected":
                errors = [each.error.message for each in test.results if each.error]
                yield f"{name}: {_first_line(errors[-1])}" if errors else name

    def is_consistent(self) -> bool:
        """Tell whether the figures are those of the tests that it lists."""
        states = [test.status for _, test in _tests(self.suites, "")]
        figures = self.stats.model_dump()
        return all(states.count(name) == count for name, count in figures.items())


@dataclass(frozen=True, slots=True)
class _Judgement:
    outcome: ProofOutcome
    error: str = ""
    hint: str = ""
    report: _Report | None = None


class SpecProver:
    """Run a file of tests by `npx playwright`, and prove what its report says.

    What is run is a list of arguments, read by no shell. It passes when at least one test ran, and
    every test that did passed. No test at all, and nothing but skipped ones, fail. A report that
    cannot be read, and a program that is not installed, prove nothing; npx installs none by itself.

    The tests find production's address in `BASE_URL` and `PLAYWRIGHT_TEST_BASE_URL`, and the user
    in `TEST_USER`.
    """

    def __init__(
        self, executor: Link[Executor], *, clock: Clock | None = None, by: Provenance = NOBODY
    ) -> None:
        self._executor = executor
        self._clock = clock or SystemClock()
        self._by = by

    async def cleanup(self) -> None:
        """Let go of nothing: programs end with their check."""

    def refusal(self, check: SpecCheck) -> str:
        """Return why a file may not be run, or an empty text."""
        try:
            _arguments(check.path)
        except InvalidRequestError as error:
            return error.reason
        return ""

    async def prove(
        self,
        check: SpecCheck,
        *,
        user: str,
        prod_url: str = "",
        repo_path: str = "",
        captured: Mapping[str, JSONValue] = _NOTHING,
    ) -> Proof:
        """Run the tests in *repo_path*, and prove what came of them; a failure is a proof too.

        Texts of *captured* are masked in whatever the tests say.

        Raises:
            InvalidRequestError: the path could be taken for an option, or leads elsewhere.
        """
        args = _arguments(check.path)
        mask = [text for text in captured.values() if isinstance(text, str) and text]
        command = Command(
            args,
            cwd=repo_path,
            env=_variables(user, prod_url),
            timeout=check.timeout,
            max_output_bytes=MAX_REPORT_BYTES,
            mask=mask,
        )
        at, begun = rfc3339(self._clock.now()), self._clock.monotonic()
        result: CommandResult | None = None
        try:
            async with self._executor.use() as executor:
                result = await result_of(executor, command)
        except OneiricError as error:
            judged = _Judgement(ProofOutcome.INCONCLUSIVE, error.message, error.hint)
        else:
            judged = _judged(result, check.timeout)
        facts: dict[str, JSONValue] = {
            "check": check.identity,
            "user": user,
            "duration_ms": round((self._clock.monotonic() - begun) * 1000, 3),
            "attempts": 1,
            "command": [*args],
            "exit_code": result.exit_code if result else None,
            "error": judged.error or None,
            **({"hint": judged.hint} if judged.hint else {}),
            **_counts(judged.report),
        }
        return Proof(
            claim=check.name or f"the tests of {check.path} pass",
            subject=check.path,
            kind="ui",
            outcome=judged.outcome,
            at=at,
            by=self._by,
            excerpts=_excerpts(result),
            facts=facts,
        )


def _arguments(path: str) -> list[str]:
    parts = path.split("/")
    if path.startswith(("-", "/")) or ".." in parts or not path.isprintable():
        hint = "name a file below the repository, as in tests/login.spec.ts"
        raise InvalidRequestError(BACKEND, "the path leads elsewhere, or is an option", hint=hint)
    escaped = _PATTERN.sub(lambda found: f"\\{found[0]}", path.removeprefix("./"))
    # It is read as a pattern, which any part of a path may match: it is to be the whole of its end.
    return ["npx", "playwright", "test", f"/{escaped}$", "--reporter=json"]


def _variables(user: str, prod_url: str) -> dict[str, str]:
    env = {"npm_config_yes": "false", "NO_COLOR": "1", "TEST_USER": user}
    if prod_url:
        env |= {"BASE_URL": prod_url, "PLAYWRIGHT_TEST_BASE_URL": prod_url}
    return env


def _judged(result: CommandResult, limit: float) -> _Judgement:
    failed, unsure = ProofOutcome.FAILED, ProofOutcome.INCONCLUSIVE
    if result.timed_out:
        return _Judgement(failed, f"the tests took longer than {limit:g} s")
    report, why = _read(result)
    if report is None:
        return _Judgement(unsure, f"no report can be read: {why}; npx {_ending(result)}", _HINT)
    if not report.is_consistent():
        return _Judgement(unsure, "the report contradicts itself", "", report)
    return _Judgement(*_verdict(report, result), "", report)


def _verdict(report: _Report, result: CommandResult) -> tuple[ProofOutcome, str]:
    stats = report.stats
    if stats.unexpected:
        told = "; ".join(list(report.failed())[:_SHOWN])
        return ProofOutcome.FAILED, f"{stats.unexpected} failed: {told}"
    if report.errors:
        return ProofOutcome.FAILED, _first_line(report.errors[0].message) or "an error was reported"
    if not stats.expected + stats.flaky:
        skipped = f", {stats.skipped} were skipped" if stats.skipped else ""
        return ProofOutcome.FAILED, f"no test ran{skipped}"
    if not result.ok:
        return ProofOutcome.FAILED, f"npx playwright {result.reason}"
    return ProofOutcome.PASSED, ""


def _read(result: CommandResult) -> tuple[_Report | None, str]:
    """Return the report, wherever other programs wrote beside it, or why there is none."""
    if result.stdout_dropped:
        return None, f"it is longer than {MAX_REPORT_BYTES} bytes"
    begins = [0, *(found.end() - 1 for found in re.finditer(rb"\n\{", result.stdout))][:_SHOWN]
    end = result.stdout.rfind(b"}") + 1
    for begin in begins:
        try:
            told: Any = parse(result.stdout[begin:end], "json", limits=_LIMITS)
            return _Report.model_validate(told), ""
        except (OneiricError, ValidationError, RecursionError):
            continue
    return None, "it is not there" if not end else "it is none of Playwright's"


def _tests(suites: list[_Suite], above: str) -> Iterator[tuple[str, _Test]]:
    for suite in suites:
        name = f"{above} > {suite.title}" if above else suite.title
        for spec in suite.specs:
            yield from ((f"{name} > {spec.title}", test) for test in spec.tests)
        yield from _tests(suite.suites, name)


def _counts(report: _Report | None) -> dict[str, JSONValue]:
    if report is None:
        return {"flaky": False}
    return {
        "flaky": report.stats.flaky > 0,
        "tests": {**report.stats.model_dump()},
        "failed": [*report.failed()][:_SHOWN],
    }


def _excerpts(result: CommandResult | None) -> dict[str, str]:
    texts = {"stdout": result.stdout, "stderr": result.stderr} if result else {}
    return {name: _shown(data[-_LENGTH * 10 :]) for name, data in texts.items() if data}


def _shown(data: bytes) -> str:
    return printable(_COLORS.sub("", data.decode("utf-8", "replace")))


def _first_line(text: str) -> str:
    lines = [line for line in _COLORS.sub("", text).splitlines() if line.strip()]
    return printable(lines[0].strip())[:_LENGTH] if lines else ""


def _ending(result: CommandResult) -> str:
    return result.reason or "ended with exit code 0"
