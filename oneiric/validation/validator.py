"""Collect proofs from a service that runs, without any host: the face of the validator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Self

from oneiric.errors import InvalidError, JSONValue, OneiricError
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.checks.captures import capture_problems, groups
from oneiric.validation.checks.spec import LiveCheck, SpecCheck, UICheck
from oneiric.validation.models import Task
from oneiric.validation.proof import Proof, proved
from oneiric.validation.providers.validator import LiveValidator, LiveValidatorSettings, Prover

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.ports.executor import Executor

REQUIRED_PROOFS = 3


class Validator:
    """Ask what runs, and return proofs of what it answered.

    Used as `async with` it keeps its connections; without, they last as long as a call does.
    Every host that a check names may be asked, but redirects lead to no other.

    Args:
        test_user: as whom checks say that they test.
        timeout: seconds that one attempt may take in all, for checks that say nothing else.
        executor: who runs programs, for checks in a browser.
        settings: whom checks may ask, and how fast; else the defaults.
        provers: who does checks of other kinds than live ones.
    """

    def __init__(
        self,
        test_user: str = "test@example.com",
        timeout: float = 30.0,
        executor: Link[Executor] | None = None,
        *,
        settings: LiveValidatorSettings | None = None,
        provers: Mapping[str, Prover] | None = None,
    ) -> None:
        if not timeout > 0:
            raise InvalidError("the timeout is seconds above zero")
        given = settings or LiveValidatorSettings()
        self.test_user = test_user
        self.timeout = timeout
        self._validator = LiveValidator(
            given.model_copy(update={"test_user": test_user}), executor, provers=provers
        )
        self._users = 0

    async def __aenter__(self) -> Self:
        await self._enter()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self._leave()

    async def run_live_check(self, check: LiveCheck) -> Proof:
        """Do one check and return its proof, whatever it found.

        Raises:
            InvalidRequestError: the check itself is wrong, or refers to captures of others.
            PermissionDeniedError: it asks for a host or method that is not allowed.
        """
        async with self._up():
            evidence = await self._validator.prove_check(self._timed(check))
            return Proof.of(evidence.proof)

    async def run_all_live_checks(
        self,
        checks: Sequence[LiveCheck],
        parallel: bool = True,  # noqa: FBT001, FBT002  the brief's
    ) -> list[Proof]:
        """Do all *checks* and return their proofs in the same order.

        Those that captures join are done in their order; one that needs what was not captured, or
        that is refused, is inconclusive and loses no other.

        Raises:
            InvalidError: nobody captures what a check refers to, or captures wait for each other.
        """
        if problems := list(capture_problems(checks)):
            raise InvalidError("; ".join(f"{each.key}: {each.what}" for each in problems))
        proofs: dict[int, Proof] = {}
        async with self._up():
            if parallel:
                async with asyncio.TaskGroup() as tasks:
                    for group in groups(checks):
                        tasks.create_task(self._run_group(checks, group, proofs))
            else:
                for group in groups(checks):
                    await self._run_group(checks, group, proofs)
        return [proofs[number] for number in range(len(checks))]

    async def run_ui_test(self, spec: str | UICheck | SpecCheck) -> Proof:
        """Do one check in a browser: a file of tests, or a page, and return its proof."""
        check = SpecCheck(path=spec) if isinstance(spec, str) else spec
        async with self._up():
            return Proof.of((await self._validator.prove_check(check)).proof)

    async def run_all_ui_tests(
        self,
        specs: Sequence[str | UICheck | SpecCheck],
        parallel: bool = False,  # noqa: FBT001, FBT002
    ) -> list[Proof]:
        """Do all checks in a browser and return their proofs in the same order."""
        async with self._up():
            if not parallel:
                return [await self.run_ui_test(spec) for spec in specs]
            async with asyncio.TaskGroup() as tasks:
                begun = [tasks.create_task(self.run_ui_test(spec)) for spec in specs]
            return [each.result() for each in begun]

    async def validate_task(self, task: Task, parallel: bool = True) -> list[Proof]:  # noqa: FBT001, FBT002
        """Do the live checks and UI tests of a task and return their proofs, in that order.

        The task stays as it is; no gate is asked.
        """
        async with self._up():
            live = await self.run_all_live_checks(task.criteria.live_checks, parallel)
            return live + await self.run_all_ui_tests(task.criteria.ui_tests)

    def has_minimum_proofs(
        self, proofs: Task | Sequence[Proof], required: int | None = None
    ) -> bool:
        """Tell whether as many different checks passed as are required; none is never enough."""
        if required is None:
            required = (
                proofs.criteria.required_proofs if isinstance(proofs, Task) else REQUIRED_PROOFS
            )
        return proved(_of(proofs)) >= max(1, required)

    def all_proofs_pass(self, proofs: Task | Sequence[Proof]) -> bool:
        """Tell whether there are proofs, and all passed."""
        found = _of(proofs)
        return bool(found) and all(each.passed for each in found)

    def generate_proof_summary(self, proofs: Task | Sequence[Proof]) -> dict[str, JSONValue]:
        """Return how many proofs there are, how many passed, and which did not.

        >>> summary = Validator().generate_proof_summary([Proof("/health", "me", "pass")])
        >>> summary["total"], summary["pass_rate"], summary["all_pass"]
        (1, 1.0, True)
        """
        found = _of(proofs)
        passing = [each for each in found if each.passed]
        failing = [each for each in found if not each.passed]
        unsure = [each for each in failing if each.result == ProofOutcome.INCONCLUSIVE]
        return {
            "total": len(found),
            "passing": len(passing),
            "failing": len(failing),
            "inconclusive": len(unsure),
            "pass_rate": len(passing) / len(found) if found else 0.0,
            "failing_endpoints": [each.endpoint for each in failing],
            "all_pass": self.all_proofs_pass(found),
        }

    async def close(self) -> None:
        """Close every connection, whoever still uses them."""
        self._users = 0
        await self._validator.cleanup()

    def _timed(self, check: LiveCheck) -> LiveCheck:
        """Return the check with the validator's time, where it names none of its own."""
        if "timeout" in check.model_fields_set or check.timeout == self.timeout:
            return check
        return check.model_copy(update={"id": check.identity, "timeout": self.timeout})

    async def _run_group(
        self, checks: Sequence[LiveCheck], group: Sequence[int], proofs: dict[int, Proof]
    ) -> None:
        captured: dict[str, JSONValue] = {}
        for number in group:
            check = self._timed(checks[number])
            try:
                evidence = await self._validator.prove_check(check, captured=captured)
            except OneiricError as error:
                proofs[number] = Proof.of(self._validator.undone(check, error.message))
                continue
            captured.update(evidence.captured)
            proofs[number] = Proof.of(evidence.proof)

    @asynccontextmanager
    async def _up(self) -> AsyncIterator[None]:
        await self._enter()
        try:
            yield
        finally:
            await self._leave()

    async def _enter(self) -> None:
        self._users += 1
        try:
            await self._validator.init()
        except BaseException:
            await self._leave()
            raise

    async def _leave(self) -> None:
        self._users = max(0, self._users - 1)
        if not self._users:
            await self._validator.cleanup()


def _of(proofs: Task | Sequence[Proof]) -> Sequence[Proof]:
    return proofs.proofs if isinstance(proofs, Task) else proofs
