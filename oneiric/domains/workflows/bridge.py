"""Run workflows by their keys, take them up where they stopped, or have them run elsewhere."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.domains.bridge import ActivityVerbs, DomainBridge
from oneiric.domains.messages import Enqueued, message_of, put
from oneiric.domains.steps import decision_digest
from oneiric.domains.workflows.spec import read_workflow
from oneiric.errors import InvalidError, JSONValue, PlanError
from oneiric.runs.check import check_plan
from oneiric.runs.plan import Limits
from oneiric.runs.state import RunState

if TYPE_CHECKING:
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.core.ref import ComponentRef
    from oneiric.domains.domain import Domain
    from oneiric.domains.steps import ComponentBodies
    from oneiric.domains.workflows.spec import Workflow
    from oneiric.runs.engine import RunEngine, RunHandle
    from oneiric.runs.journal import Journal, RunRecord
    from oneiric.runs.plan import Plan
    from oneiric.runs.run import Run

DECISIONS = "decisions"
"""Where the metadata of a run keeps why each target was chosen when the run began."""

_MOST_LOOKED_AT = 100
_MOST_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A run that stopped before it was done: `is_open` is one that was left, else it failed."""

    run_id: str
    is_open: bool


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """A run of a workflow, over or waiting; `resumed` tells that it was begun earlier."""

    run: Run
    resumed: bool = False


class WorkflowBridge(DomainBridge):
    """Run the workflows that candidates bring as data, under `dag` in their metadata.

    Every run is a run of its plan, `workflow:KEY`: what it did is in the journal, step by
    step, and belongs to that run alone. The component itself is not brought up, as its data
    is all that counts.

    Args:
        domain: the workflows domain.
        lifecycle: who brings the components of the steps up.
        engine: does the work.
        journal: where the engine keeps runs.
        bodies: who does the steps; the engine's own.
    """

    __slots__ = ("_bodies", "_decided", "_generation", "_journal", "_kept", "engine")

    def __init__(
        self,
        domain: Domain,
        lifecycle: LifecycleManager,
        *,
        engine: RunEngine,
        journal: Journal,
        bodies: ComponentBodies,
        verbs: ActivityVerbs | None = None,
    ) -> None:
        super().__init__(domain, lifecycle, verbs=verbs)
        self.engine = engine
        self._journal = journal
        self._bodies = bodies
        self._kept: dict[ComponentRef[object], Workflow] = {}
        self._decided: dict[tuple[str, str], dict[str, JSONValue]] = {}
        self._generation = -1

    def workflow(self, key: str, *, provider: str = "") -> Workflow:
        """Return the workflow *key* as whoever serves it brings it.

        Raises:
            NoCandidateError, UnknownSelectionError: nobody may serve it.
            InvalidMetadataError: every problem with its table, its nodes and their order.
        """
        candidate = self.lifecycle.resolver.resolve(self.ref(key), provider=provider)
        return read_workflow(candidate, self._bodies)

    def plan(self, key: str, *, provider: str = "") -> Plan:
        """Return the plan of a run of *key*; `workflow` tells what is raised."""
        return self.workflow(key, provider=provider).plan

    async def start(
        self,
        key: str,
        context: JSONValue = None,
        *,
        provider: str = "",
        run_id: str = "",
        metadata: Mapping[str, JSONValue] | None = None,
    ) -> RunHandle:
        """Begin a run of *key* on *context*, a table, and return at once.

        Raises:
            NoCandidateError, UnknownSelectionError: nobody may serve it.
            InvalidMetadataError: every problem with its table, its nodes and their order.
            PlanError: a node refers to what the context does not have.
            PausedError: it takes no new work.
            RunExistsError: there is a run of that id.
        """
        plan = self._known(key, provider).plan
        self.lifecycle.activity.check(self.ref(key))
        said = {**(metadata or {}), DECISIONS: self._decisions(key, plan)}
        try:
            return await self.engine.start(plan, _table(context), run_id=run_id, metadata=said)
        except PlanError:
            self.plan(key, provider=provider)  # which tells where it stands, if it stands there
            raise

    async def run(
        self,
        key: str,
        context: JSONValue = None,
        *,
        provider: str = "",
        run_id: str = "",
        metadata: Mapping[str, JSONValue] | None = None,
    ) -> WorkflowRun:
        """Run *key*, and return the run when it is over or waits for somebody outside.

        `start` tells what is raised; that a step failed is not, for the run tells it.
        """
        handle = await self.start(key, context, provider=provider, run_id=run_id, metadata=metadata)
        return WorkflowRun(await handle.settled())

    async def unfinished(self, key: str, context: JSONValue = None) -> Unfinished | None:
        """Return the newest run of *key* that stopped before it was done, if there is one.

        That is the newest that has not ended; without such the newest of all, if it failed.
        With a context only runs that were begun on the same are looked at.
        """
        async for record in self._records(key, context, open_only=True):
            return Unfinished(record.run_id, is_open=True)
        async for record in self._records(key, context, most=_MOST_LOOKED_AT):
            failed = record.state is RunState.FAILED
            return Unfinished(record.run_id, is_open=False) if failed else None
        return None

    async def _records(
        self, key: str, context: JSONValue, *, open_only: bool = False, most: float = math.inf
    ) -> AsyncIterator[RunRecord]:
        """Give the runs of *key*, the newest first; with a context only those begun on the same."""
        name, before, left = str(self.ref(key).place), "", most
        while left > 0:
            page = await self._journal.runs(name=name, open_only=open_only, before=before)
            for record in page:
                if context is None or (await self.engine.get(record.run_id)).input == context:
                    yield record
            if not page:
                return
            before, left = page[-1].run_id, left - len(page)

    async def go_on(self, key: str, found: Unfinished, *, force: bool = False) -> WorkflowRun:
        """Go on with a run that stopped: what it recorded is kept, and not done again.

        Raises:
            LockedError: somebody works on it.
            PausedError: the workflow takes no new work.
            PlanChangedError: the workflow has changed since; carries what differs. With *force*
                only steps that are the same, and come after such, keep their results.
        """
        self.lifecycle.activity.check(self.ref(key))
        take_up = self.engine.resume if found.is_open else self.engine.retry
        handle = await take_up(found.run_id, self.plan(key), force=force)
        return WorkflowRun(await handle.settled(), resumed=True)

    async def enqueue(
        self,
        key: str,
        context: JSONValue = None,
        *,
        metadata: Mapping[str, JSONValue] | None = None,
        category: str = "",
        queue: str = "",
    ) -> Enqueued:
        """Put a message into a queue, for whichever worker takes it.

        *category* is the key of the adapter: by default what the workflow says, else `queue`;
        *queue* is its provider. `start` tells what is raised, and `messages.put`.
        """
        workflow, given = self.workflow(key), _table(context)
        check_plan(workflow.plan, self._bodies, Limits(), given=given)
        self.lifecycle.activity.check(self.ref(key))
        message = message_of(self.lifecycle, "workflow", self.ref(key), given, metadata)
        to = category or workflow.queue_category
        return await put(self.lifecycle, message, category=to, provider=queue)

    async def runs(self, key: str = "", *, limit: int = 20) -> Sequence[RunRecord]:
        """Return the newest runs of *key*."""
        return await self._journal.runs(name=str(self.ref(key).place), limit=limit)

    def under_way(self, ref: ComponentRef[object]) -> tuple[str, ...]:
        """Return the runs of a workflow that are worked on here, for whoever drains it.

        Those that wait for somebody outside are not. A run counts for the offer that served
        when it was begun.
        """
        found = [run for run in self.engine.under_way if run.plan.name == ref.place]
        return tuple(
            f"run {run.run_id}"
            for run in found
            if not run.is_waiting and ref.provider in ("", provider_of(run))
        )

    def _known(self, key: str, provider: str) -> Workflow:
        """Return what `workflow` does, read once for each candidate: the engine checks again."""
        candidate = self.lifecycle.resolver.resolve(self.ref(key), provider=provider)
        known = self._kept.get(candidate.offer)
        if known is None or known.candidate is not candidate:
            known = read_workflow(candidate, self._bodies)
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[candidate.offer] = known
        return known

    def _decisions(self, key: str, plan: Plan) -> dict[str, JSONValue]:
        """Return who would serve the workflow and its steps now, and why.

        It is found out once for as long as no offer and no rule changes.
        """
        generation = self.lifecycle.resolver.registry.generation
        if generation != self._generation or len(self._decided) >= _MOST_KEPT:
            self._decided, self._generation = {}, generation
        found = self._decided.get((key, plan.digest))
        if found is None:
            found = self._decided[key, plan.digest] = self._decide(key, plan)
        return found

    def _decide(self, key: str, plan: Plan) -> dict[str, JSONValue]:
        targets = {str(self.ref(key)): None}
        targets.update((step.target, None) for step in plan.steps if step.target)
        targets.update((step.compensation, None) for step in plan.steps if step.compensation)
        found: dict[str, JSONValue] = {}
        for target in targets:
            decision = self.lifecycle.resolver.explain(target)
            if decision.winner is not None:
                why = decision.standing(decision.winner.provider).why
                provider = decision.winner.provider
                said = {"provider": provider, "why": why, "digest": decision_digest(decision)}
                found[target] = said
        return found


def provider_of(run: Run) -> JSONValue:
    """Return who served a workflow when a run of it was begun."""
    kept = run.metadata.get(DECISIONS)
    said = kept.get(run.plan.name) if isinstance(kept, Mapping) else None
    return said.get("provider") if isinstance(said, Mapping) else None


def _table(context: JSONValue) -> JSONValue:
    """Return the context of a run: a table, empty without one."""
    if context is None:
        return {}
    if not isinstance(context, Mapping):
        raise InvalidError("the context of a workflow is a table", hint='as in {"order_id": 7}')
    return context
