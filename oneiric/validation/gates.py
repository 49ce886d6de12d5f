"""Both gates without a run: the face of the gatekeeper, which counts what it saw itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from oneiric.clock import SystemClock, rfc3339
from oneiric.core.guard import Guard
from oneiric.core.policy import Policy, Verdict
from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftReport
from oneiric.ports.gatekeeper import Gate, GateCode, GateQuestion
from oneiric.runs import proof as kernel
from oneiric.validation.checks.spec import LiveCheck
from oneiric.validation.compiling import Compiled, compile_task
from oneiric.validation.executor import Executor
from oneiric.validation.facing import asked_of, drift_of
from oneiric.validation.models import LocalTestSpec, Proof, Task, TaskStatus
from oneiric.validation.parts import verdict_of
from oneiric.validation.providers.gatekeeper import StrictGatekeeper, StrictGatekeeperSettings
from oneiric.validation.settings import ValidationSettings
from oneiric.validation.steps.gate_step import overruled

MOST_AT_ONCE = 16
"""How many checks are under way at once."""

_SECONDS = 30.0
_MAX_TOKENS = 4_000
_MOST_SECTIONS = 3


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate said: true when it opened; unpacked, that and the message.

    `task` is the task as it stands then, with what was seen.
    """

    passed: bool
    message: str
    details: Mapping[str, Any]
    verdict: Verdict
    task: Task = field(repr=False)

    def __bool__(self) -> bool:
        return self.passed

    def __iter__(self) -> Iterator[bool | str]:
        return iter((self.passed, self.message))


@dataclass(frozen=True, slots=True)
class CutoverCheck:
    """One line of a checklist: a check, and others of which one is as good.

    Lines of one `group` are done together, in their order: one may need what another captured.
    """

    name: str
    description: str
    check: LiveCheck
    required: bool = True
    others: Sequence[LiveCheck] = ()
    group: str = ""


@dataclass(frozen=True, slots=True)
class CutoverChecklist:
    """What is asked of production before a task counts as done."""

    task_id: str
    generated_at: str
    generated_by: str
    checks: Sequence[CutoverCheck]
    context_from_snipara: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class CutoverResult:
    """What came of a checklist; unpacked, whether all that is required passed, and the proofs."""

    passed: bool
    proofs: Sequence[Proof]

    def __bool__(self) -> bool:
        return self.passed

    def __iter__(self) -> Iterator[bool | Sequence[Proof]]:
        return iter((self.passed, self.proofs))


class Gatekeeper:
    """Decide at both gates, without a journal: whatever a task brings along counts for nothing.

    It runs the local tests and does the checks itself. For proofs that last use `Orchestrator`.

    Args:
        snipara: the knowledge to ask and to tell; one that cannot be asked stops nothing.
        validator: who does checks: a `Validator` of this package, or a provider of the port.
        drift_detector: who finds what has drifted, likewise; None for nobody.
        fail_fast_on_drift: whether drift shuts the first gate.
        gatekeeper_id: by which name it decides.
        auto_remember: whether what came of a task is told to the knowledge.
        executor: who runs local tests.
        prod_url: the address of production; that of the drift detector when left out.
        policy: who judges what was seen.
    """

    def __init__(
        self,
        snipara: Any = None,
        validator: Any = None,
        drift_detector: Any = None,
        fail_fast_on_drift: bool = True,  # noqa: FBT001, FBT002
        *,
        gatekeeper_id: str = "orchestrator-gatekeeper",
        auto_remember: bool = True,
        executor: Executor | None = None,
        prod_url: str = "",
        policy: Policy[GateQuestion] | None = None,
    ) -> None:
        self.snipara = snipara
        self.validator = validator
        self.drift_detector = drift_detector
        self.gatekeeper_id = gatekeeper_id
        self.auto_remember = auto_remember
        folder = getattr(drift_detector, "repo_path", ".")
        self.executor = executor or Executor(folder)
        self._settings = ValidationSettings(
            prod_url=prod_url or getattr(drift_detector, "prod_url", ""),
            repo_path=str(self.executor.working_dir),
            test_user=getattr(validator, "test_user", "test@example.com"),
            fail_fast_on_drift=fail_fast_on_drift,
            deployments={name: list(args) for name, args in self.executor.deployments.items()},
        )
        self._policy = policy or StrictGatekeeper(StrictGatekeeperSettings(id=gatekeeper_id))
        self._seen: dict[str, list[kernel.Proof]] = {}
        self._tested: dict[str, Sequence[LocalTestSpec]] = {}
        self._let_in: dict[str, tuple[Task, Task]] = {}
        self._guard, self._clock = Guard(), SystemClock()
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def gate_local_to_validation(self, task: Task) -> GateResult:
        """Run the local tests of a task that is `local_ok`, look for drift, and decide.

        Raises:
            TaskError: everything that is wrong with the task.
            UnavailableError: the policy failed, took too long, or gave no verdict.
        """
        compiled = self._compiled(task)
        if task.status is not TaskStatus.LOCAL_OK:
            return await self._judged(task, self._question(compiled, Gate.VALIDATION, task.status))
        await self._test(task)
        question = self._question(compiled, Gate.VALIDATION, task.status, await self._drift(task))
        result = await self._judged(task, question)
        self._let_in.pop(task.id, None)
        if result:
            self._let_in[task.id] = (task, result.task)
        if result.verdict.code is GateCode.DRIFT_FOUND:
            await self._tell(task, "learning", "drift", "stopped: the environment drifted")
        return result

    async def gate_validation_to_prod(self, task: Task) -> GateResult:
        """Do all checks of a task that is `validating`, and decide.

        Its local tests are run where this gatekeeper did not see these very ones run. The task
        that our own first gate let in may be given as it was before that gate.

        Raises:
            TaskError: everything that is wrong with the task.
            UnavailableError: the policy failed, took too long, or gave no verdict.
        """
        before, after = self._let_in.get(task.id, (None, task))
        task = after if task == before else task
        compiled = self._compiled(task)
        if task.status is not TaskStatus.VALIDATING:
            return await self._judged(task, self._question(compiled, Gate.PRODUCTION, task.status))
        if self._tested.get(task.id) != task.criteria.local_tests:
            await self._test(task)
        self._seen[task.id] += await self._asked(compiled)
        question = self._question(compiled, Gate.PRODUCTION, task.status)
        result = await self._judged(task, question)
        if not result and not _is_inconclusive(result.verdict):
            return self._with_drift(result, await self._drift(task))
        if result:
            await self._tell(task, "decision", "validation", "proved by production")
        return result

    async def generate_cutover_checklist(self, task: Task) -> CutoverChecklist:
        """Return what is asked of production for a task; nothing is asked yet.

        Raises:
            TaskError: everything that is wrong with the task.
        """
        checks = []
        for name, given in _asking(self._compiled(task)).items():
            listed = [each for each in given["checks"] if each["kind"] == "live"]
            models = [LiveCheck.model_validate(each) for each in listed]
            alike = bool(given.get("is_one_enough"))
            firsts = models[:1] if alike else models
            others = tuple(models[1:]) if alike else ()
            for each in firsts:
                label = each.name or name.replace("check.", "task_check_")
                what = f"{each.method} {each.url} answers {each.expected_status}"
                checks.append(CutoverCheck(label, what, each, each.required, others, name))
        return CutoverChecklist(
            task.id, rfc3339(self._clock.now()), self.gatekeeper_id, checks, await self._context()
        )

    async def run_cutover_checklist(self, checklist: CutoverChecklist) -> CutoverResult:
        """Do the checks of a list, several at once, and tell whether all required ones passed."""

        groups: dict[str, list[CutoverCheck]] = {}
        for number, line in enumerate(checklist.checks):
            groups.setdefault(line.group or str(number), []).append(line)

        async def done(lines: Sequence[CutoverCheck]) -> list[kernel.Proof]:
            listed = [
                each.model_dump(mode="json") | {"id": line.check.identity}
                for line in lines
                for each in (line.check, *line.others)
            ]
            return await self._group(listed, is_one_enough=bool(lines[0].others))

        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(done(lines)) for lines in groups.values()]
        seen = [proof for each in waiting for proof in each.result()]
        last = {str(proof.facts["check"]): proof.outcome for proof in seen}
        passed = bool(last) and all(
            last.get(line.check.identity) is kernel.ProofOutcome.PASSED
            for line in checklist.checks
            if line.required
        )
        return CutoverResult(passed, [Proof.of(proof) for proof in seen])

    async def full_validation_flow(self, task: Task) -> GateResult:
        """Take a task that is `local_ok` through both gates; its local tests are run here.

        Raises:
            TaskError: everything that is wrong with the task.
        """
        first = await self.gate_local_to_validation(task)
        if not first:
            return first
        return await self.gate_validation_to_prod(first.task)

    async def _test(self, task: Task) -> None:
        """Run the local tests of a task; what was seen of it before counts no more."""
        found = await self.executor.run_local_tests(task)
        self._seen[task.id] = list(found.proofs)
        self._tested[task.id] = task.criteria.local_tests

    def _compiled(self, task: Task) -> Compiled:
        return compile_task(task, self._settings, notes=False)

    async def _asked(self, compiled: Compiled) -> list[kernel.Proof]:
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(
                    self._group(given["checks"], is_one_enough=bool(given.get("is_one_enough")))
                )
                for given in _asking(compiled).values()
            ]
        return [proof for each in waiting for proof in each.result()]

    async def _group(
        self, checks: Sequence[Mapping[str, Any]], *, is_one_enough: bool
    ) -> list[kernel.Proof]:
        async with self._places:
            return await asked_of(
                self.validator,
                checks,
                user=self._settings.test_user,
                now=lambda: rfc3339(self._clock.now()),
                is_one_enough=is_one_enough,
            )

    async def _drift(self, task: Task) -> DriftReport | None:
        drift = task.criteria.drift
        if self.drift_detector is None or not drift.enabled:
            return None
        return await drift_of(
            self.drift_detector,
            {"prod_url": self._settings.prod_url, "repo_path": self._settings.repo_path},
            drift,
            at=rfc3339(self._clock.now()),
        )

    def _question(
        self,
        compiled: Compiled,
        gate: Gate,
        status: TaskStatus,
        drift: DriftReport | None = None,
    ) -> GateQuestion:
        criteria = compiled.task.criteria
        return GateQuestion(
            gate=gate,
            status=str(status),
            checks=compiled.asked,
            seen=tuple(self._seen.get(compiled.task.id, ())),
            required_proofs=criteria.required_proofs,
            minimum_score=criteria.minimum_score,
            without_local_tests=criteria.without_local_tests,
            drift=drift,
            fail_fast_on_drift=self._settings.fail_fast_on_drift,
        )

    async def _judged(self, task: Task, question: GateQuestion) -> GateResult:
        verdict = overruled(await verdict_of(self._policy, question), question)
        status = _status_after(task.status, question.gate, verdict)
        proofs = [Proof.of(proof) for proof in question.seen]
        error = None if verdict else verdict.reason or str(verdict.code)
        after = task.model_copy(update={"status": status, "proofs": proofs, "error": error})
        message = verdict.reason or str(verdict.code)
        return GateResult(bool(verdict), message, dict(verdict.facts), verdict, after)

    def _with_drift(self, result: GateResult, report: DriftReport | None) -> GateResult:
        if report is None:
            return result
        task, details = result.task, {**result.details, "drift": report.as_json()}
        if report.has_drift:
            task = task.model_copy(update={"status": task.status.to(TaskStatus.ENV_DRIFT)})
        return GateResult(result.passed, result.message, details, result.verdict, task)

    async def _context(self) -> list[Mapping[str, Any]]:
        if self.snipara is None:
            return []
        query = "deployment checklist production"
        asked = partial(self.snipara.query_context, query, max_tokens=_MAX_TOKENS)
        outcome = await self._guard.call(asked, limit=_SECONDS)
        found = cast("Any", outcome.value)
        sections = found.get("sections") if isinstance(found, Mapping) else None
        return list(sections or ())[:_MOST_SECTIONS]

    async def _tell(self, task: Task, kind: str, category: str, what: str) -> None:
        """Remember what came of a task: its title and that, nothing of output or answers."""
        if self.snipara is not None and self.auto_remember:
            text = f"{task.title} ({task.id}) was {what}"
            told = partial(self.snipara.remember, text, type=kind, category=category)
            await self._guard.call(told, limit=_SECONDS)


def _asking(compiled: Compiled) -> dict[str, Mapping[str, Any]]:
    """Return what the steps are given that ask production, by their ids."""
    steps = cast("Mapping[str, Mapping[str, JSONValue]]", compiled.input["steps"])
    return {name: given for name, given in steps.items() if _is_asking(name)}


def _is_asking(name: str) -> bool:
    return name.partition(".")[0] in ("check", "ui", "cutover")


def _is_inconclusive(verdict: Verdict) -> bool:
    code = verdict.code
    return isinstance(code, GateCode) and (code.is_inconclusive or code is GateCode.WRONG_STATUS)


def _status_after(status: TaskStatus, gate: Gate, verdict: Verdict) -> TaskStatus:
    if _is_inconclusive(verdict):
        return status
    if gate is Gate.VALIDATION:
        if verdict:
            return status.to(TaskStatus.VALIDATING)
        return status.to(TaskStatus.ENV_DRIFT) if verdict.code is GateCode.DRIFT_FOUND else status
    return status.to(TaskStatus.PROD_OK if verdict else TaskStatus.PROD_FAIL)
