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
from oneiric.domains.taking import taken_up
from oneiric.domains.workflows import WorkflowRun
from oneiric.domains.workflows.topology import topology
from oneiric.errors import InvalidError, InvalidRefError, JSONValue
from oneiric.runs.plan import Plan
from oneiric.runtime.runs import RunDesk
from oneiric.runtime.stop import StopSignals
from oneiric.runtime.work import Work
from oneiric.runtime.work_answers import EnqueueAnswer, WorkerAnswer, WorkflowAnswer, WorkflowPlans
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.domains.workflows import Workflow
    from oneiric.domains.workflows.bridge import Unfinished
    from oneiric.reports import RunReport
    from oneiric.runtime.operator import Operator
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.run_answers import RunListing

T = TypeVar("T")

DOMAIN = "workflow"


class WorkDesk:
    """Answer for commands about workflows, and run them in this process.

    A workflow is named by its key, with or without `workflow:` before it.

    Raises (each verb): NoCandidateError, UnknownSelectionError where nobody may serve it;
    InvalidMetadataError where what it says of itself cannot be followed.
    """

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        self._runtime = runtime

    def plan(self, workflow: str = "", *, mermaid: bool = False) -> WorkflowPlans:
        """Return the shape of one workflow, or of all; nothing is brought up."""
        work = Work(self._runtime, checkpoints=False)
        return planned(work, workflow, mermaid=mermaid)

    def run(
        self,
        workflow: str,
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
        named = key_of(workflow)
        self._runtime.telemetry.begin()
        return self._do(
            lambda work: ran(
                work, named, context, resume=resume, force=force, kept=checkpoints, notice=notice
            ),
            checkpoints=checkpoints,
        )

    def enqueue(
        self,
        workflow: str,
        context: JSONValue = None,
        *,
        metadata: Mapping[str, JSONValue] | None = None,
        category: str = "",
        queue: str = "",
    ) -> EnqueueAnswer:
        """Put a message for a worker into a queue, and return which.

        Raises:
            PlanError: a node refers to what the context does not have.
            UnavailableError: the queue did not take it.
        """
        named = key_of(workflow)

        async def enqueued(work: Work) -> EnqueueAnswer:
            return EnqueueAnswer(
                await work.workflows.enqueue(
                    named, context, metadata=metadata, category=category, queue=queue
                )
            )

        return self._do(enqueued, checkpoints=False)

    def runs(self, key: str = "", *, limit: int = 20) -> RunListing:
        """Return the newest runs of a workflow."""
        named = key_of(key)
        self._runtime.resolver.resolve(f"{DOMAIN}:{named}")
        return RunDesk(self._runtime).list(name=f"{DOMAIN}:{named}", limit=limit)

    def show(self, run: str) -> RunReport:
        """Return the report of a run of a workflow.

        Raises:
            NotFoundError: there is no such run, or it is one of something else.
        """
        return RunDesk(self._runtime).show(run, prefix=f"{DOMAIN}:")

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

    def _do(self, work: Callable[[Work], Awaitable[T]], *, checkpoints: bool = True) -> T:
        """Do something with everything composed, and close it thereafter."""

        async def done() -> T:
            entered = Work(self._runtime, checkpoints=checkpoints, is_entered=True)
            async with self._runtime.once(), entered as found:
                return await work(found)

        return run_to_end(done())


def desk_of(operator: Operator) -> WorkDesk:
    """Return who answers about workflows for an operator."""
    return WorkDesk(operator.orchestrator)


def planned(
    work: Work, workflow: str = "", *, mermaid: bool = False, applied: str = "local"
) -> WorkflowPlans:
    """Return the shape of one workflow, or of all; `WorkDesk.plan` tells more."""
    bridge, problems = work.workflows, []
    plans, shapes = dict[str, Plan](), dict[str, dict[str, JSONValue]]()
    for each in [key_of(workflow)] if workflow else bridge.keys():
        try:
            found = bridge.workflow(each)
        except InvalidMetadataError as error:
            if workflow:
                raise
            problems.append(error)
        else:
            plans[found.key] = found.plan
            shapes[found.key] = _shape(work, found)
    return WorkflowPlans(plans, shapes, tuple(problems), mermaid, applied)


def _shape(work: Work, workflow: Workflow) -> dict[str, JSONValue]:
    category = workflow.queue_category or CATEGORY
    winner = work.runtime.resolver.explain(f"adapter:{category}").winner
    return topology(workflow, category=category, provider=winner.provider if winner else "")


async def ran(
    work: Work,
    key: str,
    context: JSONValue = None,
    *,
    resume: bool = False,
    force: bool = False,
    kept: bool = True,
    notice: Callable[[str], object] = str,
    applied: str = "local",
) -> WorkflowAnswer:
    """Run a workflow, or go on with it; `WorkDesk.run` tells more."""
    bridge = work.workflows
    found = await bridge.unfinished(key, context) if resume else None
    run_id = found.run_id if found else ""
    try:
        if found is None:
            handle = await bridge.start(key, context)
            run_id = handle.run_id
            if resume:
                notice("no run was left unfinished, so a new one was begun")
            done = WorkflowRun(await handle.settled())
        else:
            done = await _gone_on(work, key, found, force=force, notice=notice)
    except asyncio.CancelledError:
        if run_id and kept:
            notice(f"the run {run_id} was left; --resume-checkpoint goes on with it")
        raise
    work.runtime.telemetry.workflow(done.run)
    told = await work.notices.told(done.run.run_id)
    if kept and applied == "local":  # who runs on sees to that all the time
        await work.notices.recover()
    return WorkflowAnswer(key, done.run, done.resumed, kept, applied, notifications=tuple(told))


async def _gone_on(
    work: Work, key: str, found: Unfinished, *, force: bool, notice: Callable[[str], object]
) -> WorkflowRun:
    try:
        return await taken_up(
            found.run_id,
            partial(work.workflows.go_on, key, found, force=force),
            clock=work.clock,
            seconds=work.lease_seconds,
            notice=notice,
        )
    except InvalidError:
        run = await work.engine.get(found.run_id)
        if not (found.is_open and run.state.is_over):
            raise
        return WorkflowRun(run, resumed=True)  # whom was waited for has finished it


def key_of(text: str) -> str:
    """Return the key that *text* names, `KEY`, `workflow:KEY` or either with a provider.

    Raises:
        InvalidRefError: it names something else, or nothing.
    """
    named: ComponentRef[object] = ComponentRef(text if ":" in text else f"{DOMAIN}:{text}")
    if named.domain != DOMAIN:
        raise InvalidRefError(text, f"it names a {named.domain}, not a {DOMAIN}")
    return named.partition(":")[2]
