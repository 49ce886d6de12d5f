"""What a person can ask of workflows and workers: one method a verb."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from oneiric.core.ref import ComponentRef
from oneiric.domains.messages import CATEGORY
from oneiric.domains.metadata import InvalidMetadataError
from oneiric.domains.workflows import WorkflowRun
from oneiric.domains.workflows.topology import topology
from oneiric.errors import InvalidError, InvalidRefError, JSONValue, LockedError, NotFoundError
from oneiric.runtime.runs import RunDesk
from oneiric.runtime.stop import StopSignals
from oneiric.runtime.work import Work
from oneiric.runtime.work_answers import WorkerAnswer, WorkflowAnswer, WorkflowPlans

if TYPE_CHECKING:
    from oneiric.domains.messages import Enqueued
    from oneiric.domains.workflows import Workflow
    from oneiric.domains.workflows.bridge import Unfinished
    from oneiric.reports import RunReport
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.run_answers import RunListing

T = TypeVar("T")

DOMAIN = "workflow"
_PATIENCE_SECONDS = 0.25


class WorkDesk:
    """Answer for commands about workflows, and run them in this process.

    A workflow is named by its key, with or without `workflow:` before it.

    Raises (each verb): NoCandidateError, UnknownSelectionError where nobody may serve it;
    InvalidMetadataError where what it says of itself cannot be followed.
    """

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        self._runtime = runtime

    def plan(self, key: str = "") -> WorkflowPlans:
        """Return the shape of one workflow, or of all; nothing is brought up."""
        bridge = Work(self._runtime, checkpoints=False).workflows
        plans, shapes, problems = {}, {}, []
        for each in [_key(key)] if key else bridge.keys():
            try:
                found = bridge.workflow(each)
            except InvalidMetadataError as error:
                if key:
                    raise
                problems.append(error)
            else:
                plans[found.key] = found.plan
                shapes[found.key] = self._shape(found)
        return WorkflowPlans(plans, shapes, tuple(problems))

    def run(
        self,
        key: str,
        context: JSONValue = None,
        *,
        resume: bool = False,
        force: bool = False,
        checkpoints: bool = True,
        notice: Callable[[str], object] = str,
    ) -> WorkflowAnswer:
        """Run a workflow, or with *resume* go on with its newest unfinished run if there is one.

        With a context only an unfinished run that was begun on the same is gone on with. Without
        *checkpoints* nothing is stored. *notice* is told while another's claim is waited for.

        Raises:
            InvalidError: *resume* without *checkpoints*.
            PlanError: a node refers to what the context does not have.
            PausedError: it takes no new work.
            LockedError: somebody works on the unfinished run.
            PlanChangedError: the workflow changed since it was begun; *force* goes on.
        """
        if resume and not checkpoints:
            raise InvalidError("without checkpoints there is nothing to resume")
        named = _key(key)
        self._runtime.telemetry.begin()

        async def ran(work: Work) -> WorkflowAnswer:
            bridge = work.workflows
            found = await bridge.unfinished(named, context) if resume else None
            run_id = found.run_id if found else ""
            try:
                if found is None:
                    handle = await bridge.start(named, context)
                    run_id = handle.run_id
                    done = WorkflowRun(await handle.settled())
                else:
                    done = await _gone_on(work, named, found, force=force, notice=notice)
            except asyncio.CancelledError:
                if run_id and checkpoints:
                    notice(f"the run {run_id} was left; --resume-checkpoint goes on with it")
                raise
            self._runtime.telemetry.workflow(done.run)
            told = await work.notices.told(done.run.run_id)
            if checkpoints:
                await work.notices.recover()
            return WorkflowAnswer(
                named, done.run, done.resumed, resume, kept=checkpoints, notifications=tuple(told)
            )

        return self._do(ran, checkpoints=checkpoints)

    def enqueue(
        self,
        key: str,
        context: JSONValue = None,
        *,
        metadata: Mapping[str, JSONValue] | None = None,
        category: str = "",
        queue: str = "",
    ) -> Enqueued:
        """Put a message for a worker into a queue, and return which.

        Raises:
            PlanError: a node refers to what the context does not have.
            UnavailableError: the queue did not take it.
        """
        named = _key(key)
        return self._do(
            lambda work: work.workflows.enqueue(
                named, context, metadata=metadata, category=category, queue=queue
            ),
            checkpoints=False,
        )

    def runs(self, key: str = "", *, limit: int = 20) -> RunListing:
        """Return the newest runs of a workflow."""
        named = _key(key)
        self._runtime.resolver.resolve(f"{DOMAIN}:{named}")
        return RunDesk(self._runtime).list(name=f"{DOMAIN}:{named}", limit=limit)

    def show(self, run: str) -> RunReport:
        """Return the report of a run of a workflow.

        Raises:
            NotFoundError: there is no such run, or it is one of something else.
        """
        report = RunDesk(self._runtime).show(run)
        if not report.run.plan.name.startswith(f"{DOMAIN}:"):
            hint = f"oneiric run show {run}"
            raise NotFoundError("run of a workflow", report.run.run_id, hint=hint)
        return report

    def work(
        self,
        *,
        events: bool = False,
        once: bool = False,
        queue: str = "",
        concurrency: int = 0,
        notice: Callable[[str], object] = str,
        stop: StopSignals | None = None,
    ) -> WorkerAnswer:
        """Take messages from a queue until SIGTERM or SIGINT, or with *once* until it is empty.

        *stop* is who heeds the signals already; they mean nothing special to *once*.

        Raises:
            NoCandidateError, UnknownSelectionError: there is no such queue.
            UnavailableError: it cannot be read.
        """
        candidate = self._runtime.resolver.resolve(f"adapter:{CATEGORY}", provider=queue)
        self._runtime.telemetry.begin()

        async def worked(work: Work) -> WorkerAnswer:
            await self._runtime.lifecycle.activate(candidate.offer if queue else candidate.ref)
            worker = work.worker(queue=queue, events=events, concurrency=concurrency)
            ready = partial(notice, f"takes messages from {candidate.offer}")
            if once:
                ready()
                if events:
                    await self._runtime.deliver_deferred()
                report = await worker.run(until_empty=True)
                if not events:
                    await work.notices.recover()
            else:
                report = await work.serve(worker, stop=heeded, events=events, ready=ready)
            return WorkerAnswer(report, str(candidate.offer))

        heeded = stop or StopSignals()
        with nullcontext() if once or stop else heeded:
            return self._do(worked)

    def _shape(self, workflow: Workflow) -> dict[str, JSONValue]:
        category = workflow.queue_category or CATEGORY
        winner = self._runtime.resolver.explain(f"adapter:{category}").winner
        return topology(workflow, category=category, provider=winner.provider if winner else "")

    def _do(self, work: Callable[[Work], Awaitable[T]], *, checkpoints: bool = True) -> T:
        """Do something with everything composed, and close it thereafter."""

        async def done() -> T:
            async with Work(self._runtime, checkpoints=checkpoints) as found:
                return await work(found)

        return asyncio.run(done())


async def _gone_on(
    work: Work, key: str, found: Unfinished, *, force: bool, notice: Callable[[str], object]
) -> WorkflowRun:
    """Go on with a run; the claim of a process that was killed ends by itself, so wait for it."""
    clock = work.runtime.clock
    deadline = clock.monotonic() + work.lease_seconds + 1
    told = False
    while True:
        try:
            return await work.workflows.go_on(key, found, force=force)
        except LockedError:
            if clock.monotonic() > deadline:
                raise
        except InvalidError:
            run = await work.engine.get(found.run_id)
            if not (found.is_open and run.state.is_over):
                raise
            return WorkflowRun(run, resumed=True)  # whom was waited for has finished it
        if not told:
            notice(f"waits until nobody holds the run {found.run_id}")
            told = True
        await clock.sleep(_PATIENCE_SECONDS)


def _key(text: str) -> str:
    """Return the key that *text* names, `KEY`, `workflow:KEY` or either with a provider.

    Raises:
        InvalidRefError: it names something else, or nothing.
    """
    named: ComponentRef[object] = ComponentRef(text if ":" in text else f"{DOMAIN}:{text}")
    if named.domain != DOMAIN:
        raise InvalidRefError(text, f"it names a {named.domain}, not a {DOMAIN}")
    return named.partition(":")[2]
