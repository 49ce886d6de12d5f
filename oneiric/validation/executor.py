"""Run commands below a repository, without any runtime: the face of the command runner."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.clock import SystemClock, rfc3339
from oneiric.errors import InvalidError
from oneiric.runs import proof as kernel
from oneiric.validation.commands import arguments, deployment, shown
from oneiric.validation.local import Ended, LocalRun, name_of, proof_of, ran
from oneiric.validation.models import Deployment, LocalTest, Task
from oneiric.validation.programs import own_programs
from oneiric.validation.tools import Tool, builders, checkers, linters

if TYPE_CHECKING:
    from oneiric.ports.executor import Executor as Programs

NOT_RUN = 127
ENDED = -1
_NEEDED = ("node", "npm", "git", "python3")


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """How a command ended, and the last of what it said.

    `return_code` is 127 for one that could not be run, and -1 for one that was ended, by its time
    or by a signal.
    """

    success: bool
    stdout: str = field(repr=False)
    stderr: str = field(repr=False)
    return_code: int
    command: str
    duration_ms: float

    def __bool__(self) -> bool:
        return self.success


@dataclass(frozen=True, slots=True)
class LocalResults:
    """What came of the local tests of a task: each command, and a proof of it.

    True when all passed; unpacked, it is that and the message.
    """

    passed: bool
    message: str
    results: Sequence[ExecutionResult] = ()
    proofs: Sequence[kernel.Proof] = ()

    def __bool__(self) -> bool:
        return self.passed

    def __iter__(self) -> Iterator[bool | str]:
        return iter((self.passed, self.message))


class Executor:
    """Run programs below a folder: no shell reads them, and they read nothing.

    A program sees few variables of this process, is ended with all that it started when its time
    is over, and of its output the last is kept.

    Args:
        working_dir: where programs run.
        timeout: seconds that one may take.
        env: variables that each gets beside those few.
        deployments: deployment providers by name, each a program and its arguments.
        programs: who runs programs; processes of this machine when left out.
    """

    def __init__(
        self,
        working_dir: Path | str = ".",
        timeout: float = 300.0,
        env: Mapping[str, str] | None = None,
        *,
        deployments: Mapping[str, Sequence[str]] = MappingProxyType({}),
        programs: Programs | None = None,
    ) -> None:
        self.working_dir = Path(working_dir).resolve()
        self.timeout = _seconds(timeout)
        self.env = dict(env or {})
        self.deployments = deployments
        self._programs = programs
        self._clock = SystemClock()

    async def run_command(
        self, command: str | Sequence[str], timeout: float | None = None, cwd: str = ""
    ) -> ExecutionResult:
        """Run one command and tell how it ended; that it failed is no error.

        Raises:
            InvalidError: it names no program, is meant for a shell, or its time is none.
        """
        args = arguments(command)
        ended = await self._ran(args, timeout=timeout, cwd=cwd)
        return _result(args, ended)

    async def run_local_tests(self, task: Task) -> LocalResults:
        """Run the local tests of a task, each to its end; none is no pass without a reason.

        Raises:
            InvalidError: a test cannot be meant.
        """
        tests = task.criteria.local_tests
        parted = [(test, arguments(test.command)) for test in tests]
        results, proofs = list[ExecutionResult](), list[kernel.Proof]()
        async with self._up() as programs:
            for test, args in parted:
                run = self._run(args, test)
                at = rfc3339(self._clock.now())
                ended = await ran(programs, run)
                results.append(_result(args, ended))
                proofs.append(proof_of(run, ended, at=at))
        if not tests:
            why = task.criteria.without_local_tests
            return LocalResults(bool(why), why or "no local test was declared, and no reason why")
        failed = [each for each in proofs if each.outcome is not kernel.ProofOutcome.PASSED]
        told = "; ".join(f"{each.subject}: {each.facts['error']}" for each in failed)
        return LocalResults(not failed, told or f"{len(proofs)} passed", results, proofs)

    async def run_deployment(
        self,
        service: str,
        environment: str = "production",
        provider: str = "",
        timeout: float | None = None,
    ) -> ExecutionResult:
        """Deploy a service by one of the providers that are configured or built in.

        Raises:
            InvalidError: there is no such provider; nothing was run.
        """
        if not provider:
            raise InvalidError("name the provider that deploys", hint="provider='vercel'")
        asked = Deployment(provider=provider, service=service, environment=environment)
        args = deployment(asked, self.deployments)
        return _result(args, await self._ran(args, timeout=timeout))

    async def run_lint(self) -> ExecutionResult:
        """Run the first linter that the repository is made for and that is installed."""
        return await self._first(linters(self.working_dir), "linter")

    async def run_typecheck(self) -> ExecutionResult:
        """Run the first checker of types that the repository is made for and that is installed."""
        return await self._first(checkers(self.working_dir), "checker of types")

    async def run_build(
        self,
        skip_env_validation: bool = True,  # noqa: FBT001, FBT002
    ) -> ExecutionResult:
        """Build by the first tool that the repository is made for and that is installed."""
        env = {"SKIP_ENV_VALIDATION": "1"} if skip_env_validation else {}
        return await self._first(builders(self.working_dir), "build tool", env=env)

    async def check_prerequisites(self, names: Sequence[str] = _NEEDED) -> dict[str, bool]:
        """Tell which programs can be run here."""
        found: dict[str, bool] = {}
        for name in names:
            ended = await self._ran([name, "--version"], timeout=30.0)
            found[name] = ended.result is not None
        return found

    async def _first(
        self, tools: Sequence[Tool], what: str, *, env: Mapping[str, str] = MappingProxyType({})
    ) -> ExecutionResult:
        tried = []
        for args in tools:
            ended = await self._ran(args, env=env)
            if ended.result is not None:
                return _result(args, ended)
            tried.append(args[0])
        names = f"; not installed: {', '.join(tried)}" if tried else ""
        reason = f"there is no {what} for this repository{names}"
        return ExecutionResult(
            success=False,
            stdout="",
            stderr=reason,
            return_code=NOT_RUN,
            command="",
            duration_ms=0.0,
        )

    async def _ran(
        self,
        args: Sequence[str],
        *,
        timeout: float | None = None,
        cwd: str = "",
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> Ended:
        run = LocalRun(
            check=name_of(args),
            args=args,
            cwd=str(self.working_dir / cwd),
            timeout=self.timeout if timeout is None else _seconds(timeout),
            env={**self.env, **env},
        )
        async with self._up() as programs:
            return await ran(programs, run)

    def _run(self, args: Sequence[str], test: LocalTest) -> LocalRun:
        return LocalRun(
            check=test.name or name_of(args),
            args=args,
            cwd=str(self.working_dir),
            timeout=test.timeout,
            env={**self.env, **test.env},
        )

    def _up(self) -> AbstractAsyncContextManager[Programs]:
        programs = self._programs
        return own_programs(self.working_dir) if programs is None else nullcontext(programs)


def _result(args: Sequence[str], ended: Ended) -> ExecutionResult:
    result, command = ended.result, shlex.join(shown(args))
    if result is None:
        return ExecutionResult(
            success=False,
            stdout="",
            stderr=ended.reason,
            return_code=NOT_RUN,
            command=command,
            duration_ms=0.0,
        )
    code = result.exit_code
    if result.timed_out or code is None:
        code = ENDED
    stderr = result.stderr.decode(errors="replace")
    if ended.reason and (result.timed_out or result.signal):
        stderr = f"{stderr}\n{ended.reason}".lstrip()
    return ExecutionResult(
        success=result.ok,
        stdout=result.stdout.decode(errors="replace"),
        stderr=stderr,
        return_code=code,
        command=command,
        duration_ms=result.duration_ms,
    )


def _seconds(timeout: float) -> float:
    if not timeout > 0:
        raise InvalidError("a timeout is seconds above zero")
    return timeout
