"""Try tasks: each as a run, of which the journal is the only truth."""

from __future__ import annotations

import asyncio
import math
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from contextlib import AsyncExitStack, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from oneiric.core.guard import Guard
from oneiric.core.precedence import Selection
from oneiric.domains.following import Tell, told
from oneiric.domains.host import Host, host
from oneiric.domains.settings import DomainSettings
from oneiric.domains.taking import taken_up
from oneiric.errors import (
    ClosedError,
    ComponentError,
    InvalidError,
    JSONValue,
    NotFoundError,
    OneiricError,
    Problem,
)
from oneiric.kept import Kept
from oneiric.ports.secrets import SECRETS
from oneiric.ports.validator import VALIDATOR
from oneiric.runs import proof as kernel
from oneiric.validation.compiling import PREFIX, Compiled, compile_task, declared
from oneiric.validation.config import OrchestratorConfig
from oneiric.validation.errors import TaskBusyError, TaskError
from oneiric.validation.given import GivenSettings
from oneiric.validation.ledger import Ledger, LedgerError
from oneiric.validation.lent import Lent
from oneiric.validation.models import Proof, Task, TaskOutcome
from oneiric.validation.parts import problems_of, question_problems_of
from oneiric.validation.plugin import (
    DRIFT,
    EXECUTOR,
    GATEKEEPER,
    KNOWLEDGE,
    LEDGER,
    SESSIONS,
)
from oneiric.validation.projection import Projection, begun_with, project
from oneiric.validation.recording import unborne, unsealed
from oneiric.validation.secrets import names_in, read_secrets
from oneiric.validation.sessions import Session, Sessions
from oneiric.validation.settings import ValidationSettings
from oneiric.validation.unchanged import check_unchanged

if TYPE_CHECKING:
    from oneiric.runs.engine import RunHandle

_END_SECONDS = 20.0


class Orchestrator:
    """Try tasks until production has proved them, and not call any done before.

    Use it as `async with`, or call `initialize` first and `close` last; what nobody closed is
    closed when `asyncio.run` ends. A task is one run, whose journal, with the ledger, is kept in
    `.oneiric_cache` of the repository. One task has one run under way at a time; a second one is
    refused as long as the first is held by a process that lives. A run that was left by a process
    that died goes on with `resume`; to try its task anew begins another run, with proofs of its
    own.

    Args:
        config: where production and the repository are.
        path: the configuration file, if it is not the repository's own.
        profile: the profile laid over it.
    """

    def __init__(
        self,
        config: OrchestratorConfig,
        *,
        path: Path | None = None,
        profile: str | None = None,
    ) -> None:
        self.config = config
        self._path = path
        self._profile = profile
        self._host: Host | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._up: AsyncGenerator[None] | None = None
        self._under_way: set[str] = set()
        self._kept = Kept()

    async def initialize(self) -> None:
        """Bring up what tasks are done with; knowledge that cannot be asked stops nothing.

        Raises:
            ConfigError: the configuration is wrong.
            ClosedError: it is up on another event loop.
        """
        self._check_loop()
        if self._host is not None:
            return
        on = host(path=self._path, profile=self._profile, folder=self.config.repo_path)
        builder = on.lifecycle.builder
        builder.settings = GivenSettings(builder.settings, self._given(on))
        up = self._held(on)
        await anext(up)
        self._up, self._loop = up, asyncio.get_running_loop()

    async def _held(self, on: Host) -> AsyncGenerator[None]:
        """Hold the host; a loop that ends closes the generators that are left, and so this."""
        try:
            async with on:
                self._host = on
                self._choose(on)
                with suppress(GeneratorExit):  # to be closed is no failure
                    yield
            await self._kept.settle(_END_SECONDS)
        finally:
            self._host = None

    async def close(self) -> None:
        """Let go of everything; runs under way can be resumed.

        Raises:
            ClosedError: it is up on another event loop; nothing was closed.
        """
        self._check_loop()
        up, self._up = self._up, None
        if up is not None:
            await up.aclose()

    def _check_loop(self) -> None:
        if self._host is not None and self._loop is not asyncio.get_running_loop():
            hint = "use and close it on the loop that initialized it"
            raise ClosedError("this orchestrator belongs to another event loop", hint=hint)

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def host(self) -> Host:
        """What runs are done on: its components, engine and journal.

        Raises:
            ClosedError: it was not initialized, or is closed.
        """
        if self._host is None:
            raise ClosedError("the orchestrator is not up", hint="await orchestrator.initialize()")
        return self._host

    @property
    def settings(self) -> ValidationSettings:
        """The section `[validation]`, with what this orchestrator was told laid over it."""
        found = self.host.section("validation")
        assert isinstance(found, ValidationSettings)
        return self.config.over(found)

    @property
    def snipara(self) -> Any:
        """What is known and remembered: the methods of the port, done by whoever serves it."""
        return Lent(self.host.lifecycle, KNOWLEDGE)

    async def compile(self, task: Task) -> Compiled:
        """Return the plan that a run of *task* would have; nothing is begun.

        Raises:
            TaskError: everything that is wrong with the task.
            UnavailableError: the validator cannot say what is wrong with checks.
        """
        resolver = self.host.lifecycle.resolver
        notes = resolver.explain("task:validation.note").winner is not None
        async with AsyncExitStack() as held:
            validator = await held.enter_async_context(self.host.lifecycle.use(VALIDATOR))
            asks: dict[str, Any] = {"faults": partial(problems_of, validator), "notes": notes}
            if task.criteria.drift.enabled:
                with suppress(ComponentError):  # the step tells that it cannot be brought up
                    detector = await held.enter_async_context(self.host.lifecycle.use(DRIFT))
                    asks["doubts"] = partial(question_problems_of, detector)
            return compile_task(task, self.settings, **asks)

    async def execute_task(self, task: Task, *, tell: Tell | None = None) -> Task:
        """Try *task* in a new run, and return it as it stands then.

        *tell* is told each event as it is stored. What the task brings of status and proofs
        counts for nothing. That it failed is no error: the task tells. Whoever stops waiting does
        not stop the run.

        Raises:
            TaskError: everything that is wrong with it; nothing was begun.
            TaskBusyError: another run of it is under way.
        """
        await self.initialize()
        compiled = await self.compile(task)
        with self._alone(task.id):
            await self._check_alone(task.id)
            await self._check_secrets(compiled)
            run_id = self.host.clock.new_id()
            await self._ended(run_id, partial(self._begun, compiled, run_id), tell)
        return await self.task(run_id)

    async def _check_secrets(self, compiled: Compiled) -> None:
        """Pass if the store has every secret that the task refers to; none is kept here."""
        store = self.host.lifecycle.link(SECRETS)
        found = await read_secrets(store, names_in(dict(compiled.input)))
        if found.missing:
            what = "the store of secrets does not have it"
            problems = [Problem(f"secret.{name}", what, "task") for name in found.missing]
            raise TaskError(compiled.task.id, problems)

    async def run_batch(self, tasks: Sequence[Task], *, parallel: bool = False) -> list[Task]:
        """Try tasks, and return them in their order; what becomes of one is nothing to others.

        One that could not be tried is as it was given, with the reason as its `error`.
        """
        await self.initialize()
        most = self.settings.max_parallel_tasks if parallel else 1
        places, guard = asyncio.Semaphore(most), Guard()

        async def tried(task: Task) -> Task:
            async with places:
                work = partial(self.execute_task, task)
                outcome = await guard.call(work, limit=math.inf)
            if isinstance(outcome.value, Task):
                return outcome.value
            error = outcome.error
            why = str(error) if isinstance(error, OneiricError) else outcome.reason
            return task.model_copy(update={"error": why, "outcome": TaskOutcome.ERROR})

        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(tried(task)) for task in tasks]
        return [each.result() for each in waiting]

    async def resume(
        self,
        run_id: str,
        *,
        of: Task | None = None,
        tell: Tell | None = None,
        notice: Callable[[str], object] = str,
    ) -> Task:
        """Go on with a run that was left open, and return its task as it stands then.

        What was recorded is not done again. *of* is the task that it is taken to be a run of.
        *tell* is told each event as it is stored, and *notice* that another's claim is waited for.

        Raises:
            NotFoundError: there is no such run, or it is no task's.
            InvalidError: it has ended.
            TaskChangedError: the task, or what the configuration says of it, is not what the run
                was begun with; carries what differs.
            LedgerError: its journal says that it was begun with something else than it was.
            LockedError: a process that lives holds it.
            TaskBusyError: another run of its task is under way.
        """
        await self.initialize()
        found = await self.standing(run_id)
        if found.state.is_over:
            hint = "to try the task anew, run it again"
            raise InvalidError(f"the run {run_id} is {found.state}", hint=hint)
        task = str((found.task or {}).get("id", ""))
        compiled = await self.compile(of or Task.model_validate(found.task))
        check_unchanged(await self.host.engine.get(run_id), compiled)
        async with self.host.lifecycle.use(LEDGER) as lent:
            book = cast("Ledger", lent)
            if problems := await asyncio.to_thread(unsealed, book, found):
                raise LedgerError(task, problems)
        with self._alone(task):
            await self._check_alone(task, but=run_id)
            await self._ended(run_id, partial(self._taken_up, task, run_id, notice), tell)
        return await self.task(run_id)

    async def standing(self, run_id: str) -> Projection:
        """Return how the task of a run stands, as its journal says.

        Raises:
            NotFoundError: there is no such run, or it is no task's.
        """
        found = project(await self.host.journal.read(run_id))
        if found.task is None:
            raise NotFoundError("run of a task:", run_id, hint="oneiric run list")
        return found

    async def task(self, run_id: str) -> Task:
        """Return the task of a run, with its status, proofs and error.

        Raises:
            NotFoundError: as for `standing`.
            LedgerError: its ledger was touched.
        """
        found = await self.standing(run_id)
        assert found.task is not None
        task = Task.model_validate(found.task)
        proofs = await self.proofs(task.id, run_id, found)
        facts: dict[str, Any] = {"code": found.code}
        if warnings := found.warnings:
            facts["warnings"] = warnings
        if context := found.results.get("context", {}).get("titles"):
            facts["context"] = context
        return task.model_copy(
            update={
                "status": found.status,
                "outcome": found.outcome,
                "proofs": [Proof.of(proof) for proof in proofs],
                "error": found.reason or None,
                "created_at": task.created_at or found.created_at,
                "completed_at": found.ended_at if found.outcome is TaskOutcome.DONE else None,
                "run_id": run_id,
                "metadata": {**task.metadata, **facts},
            }
        )

    async def proofs(
        self, task: str, run_id: str, found: Projection | None = None
    ) -> list[kernel.Proof]:
        """Return the proofs of a run that its journal and the ledger both know, in order.

        Raises:
            LedgerError: the ledger was touched, or does not have what the journal knows, such as
                the word of the gate of a task that is done; not for a task that was refused for
                that very reason.
        """
        found = found or await self.standing(run_id)
        made = found.digests
        if found.opened is None and (not made or found.code == LedgerError.code):
            return []
        async with self.host.lifecycle.use(LEDGER) as lent:
            book = cast("Ledger", lent)
            entries = await asyncio.to_thread(book.read, task, run_id)
            problems = unborne(run_id, made, entries, opened=found.opened)
            if found.opened is not None:
                problems += await asyncio.to_thread(unsealed, book, found)
        if problems:
            raise LedgerError(task, problems)
        known = {each.digest: each for each in entries}
        proofs = [known[digest] for digest in made]
        outcomes = [str(proof["outcome"]) for proof in found.proofs]
        if outcomes != [str(proof.outcome) for proof in proofs]:
            what = "the journal says more of its proofs than the ledger"
            raise LedgerError(task, [Problem(run_id, what, "journal")])
        return proofs

    async def _ended(
        self, run_id: str, begin: Callable[[], Awaitable[RunHandle]], tell: Tell | None
    ) -> None:
        """Wait until a run is over; it goes on when nobody waits any more."""
        carried = self._kept.start(self._carried(run_id, begin, tell))
        try:
            await asyncio.shield(carried)
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if waiting is not None and waiting.cancelling():
                raise
            hint = "resume it when an orchestrator is up again"
            raise ClosedError(f"the run {run_id} was left open", hint=hint) from None

    async def _carried(
        self, run_id: str, begin: Callable[[], Awaitable[RunHandle]], tell: Tell | None
    ) -> None:
        lifecycle, key = self.host.lifecycle, self.config.snipara_api_key
        mask = [key.get_secret_value()] if key else []
        async with lifecycle.use(SESSIONS) as found:
            sessions = cast("Sessions", found)
            with sessions.held(run_id, Session(lifecycle, mask)):
                handle = await begin()
                telling = (
                    told(self.host.journal, run_id, 0, tell, lifecycle.builder.guard)
                    if tell
                    else nullcontext()
                )
                async with telling:
                    await handle

    async def _begun(self, compiled: Compiled, run_id: str) -> RunHandle:
        task = declared(compiled.task)
        begun = begun_with(compiled.plan.as_json(), dict(compiled.input), task)
        async with self.host.lifecycle.use(LEDGER) as lent:
            seal = partial(cast("Ledger", lent).seal, compiled.task.id, run_id, begun)
            metadata: dict[str, JSONValue] = {"task": task, "seal": await asyncio.to_thread(seal)}
        handle = await self.host.engine.start(
            *(compiled.plan, compiled.input), run_id=run_id, metadata=metadata
        )
        await self._check_still_alone(compiled.task.id, handle)
        return handle

    async def _taken_up(self, task: str, run_id: str, notice: Callable[[str], object]) -> RunHandle:
        on = self.host
        take = partial(on.engine.resume, run_id)
        handle = await taken_up(
            run_id, take, clock=on.clock, seconds=on.lease_seconds, notice=notice
        )
        await self._check_still_alone(task, handle)
        return handle

    async def _check_still_alone(self, task: str, handle: RunHandle) -> None:
        """Cancel and end a run that is under way here if another was begun in the same moment."""
        try:
            await self._check_alone(task, but=handle.run_id)
        except TaskBusyError as error:
            await self.host.engine.cancel(handle.run_id, reason=error.message)
            await handle
            raise

    @contextmanager
    def _alone(self, task: str) -> Iterator[None]:
        if task in self._under_way:
            raise TaskBusyError(task, "")
        self._under_way.add(task)
        try:
            yield
        finally:
            self._under_way.discard(task)

    async def _check_alone(self, task: str, *, but: str = "") -> None:
        """Pass if no living process has a run of the task under way."""
        name = f"{PREFIX}{task}"
        for record in await self.host.journal.runs(name=name, open_only=True):
            if record.is_held and record.run_id != but:
                raise TaskBusyError(task, record.run_id)

    def _given(self, on: Host) -> dict[str, dict[str, object]]:
        """Return what the parts are told, where the configuration does not say it."""
        config, cache = self.config, on.folder / ".oneiric_cache"
        found = on.section("validation")
        assert isinstance(found, ValidationSettings)
        said = config.over(found)
        here = {name: getattr(said, name) for name in _TOLD}
        hosted = {
            "api_key": config.snipara_api_key,
            "project": config.snipara_project,
            "base_url": config.snipara_api_url,
        }
        return {
            str(VALIDATOR): here,
            DRIFT: here,
            f"{GATEKEEPER}@strict": {"id": config.gatekeeper_id},
            f"{EXECUTOR}@process": {"root": config.repo_path},
            f"{LEDGER}@signed-files": {
                "folder": cache / "ledger",
                "key": cache / "keys" / "ledger.json",
            },
            f"{KNOWLEDGE}@snipara": {name: each for name, each in hosted.items() if each},
            f"{KNOWLEDGE}@sqlite-fts": {
                "path": cache / "knowledge.sqlite",
                "folder": config.repo_path,
            },
            f"{DRIFT}@compare": {"baselines": cache / "baselines"},
        }

    def _choose(self, on: Host) -> None:
        """Have the hosted knowledge serve where there is a key, unless somebody chose.

        Where there is none it serves nobody, whatever it outranks.
        """
        adapters, resolver = on.section("adapters"), on.lifecycle.resolver
        assert isinstance(adapters, DomainSettings)
        if "knowledge" in adapters.selections:
            return
        offered = {each.provider for each in resolver.registry.offers(KNOWLEDGE)}
        said = [adapters.provider_settings.get(name, {}) for name in _HOSTED]
        has_key = any("api_key" in each for each in said)
        winner = resolver.explain(KNOWLEDGE).winner
        if self.config.snipara_api_key and "snipara" in offered:
            resolver.select(Selection.of(KNOWLEDGE, "snipara", origin="snipara_api_key"))
            return
        is_hosted = winner is not None and winner.provider == "snipara"
        if is_hosted and not has_key and "sqlite-fts" in offered:
            resolver.select(Selection.of(KNOWLEDGE, "sqlite-fts", origin="no snipara_api_key"))


_HOSTED = ("snipara", "knowledge@snipara")
_TOLD = ("prod_url", "repo_path", "test_user", "allow_hosts", "read_only")


async def create_orchestrator(
    config: OrchestratorConfig | None = None, **fields: Any
) -> Orchestrator:
    """Return an orchestrator that is up, made from *config* or from the fields of one.

    Raises:
        ConfigError: the configuration is wrong.
    """
    found = Orchestrator(config or OrchestratorConfig(**fields))
    await found.initialize()
    return found
