"""Tasks: components whose `run` does one piece of work, and the way to have one done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from oneiric.domains.bridge import ActivityVerbs, DomainBridge
from oneiric.domains.messages import Enqueued, message_of, put
from oneiric.domains.metadata import InvalidMetadataError, problem_of, seconds_of
from oneiric.domains.retry import read_retry
from oneiric.errors import InvalidError, JSONValue
from oneiric.runs.plan import Plan, Retry, Step

if TYPE_CHECKING:
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.domains.domain import Domain
    from oneiric.runs.engine import RunEngine, RunHandle
    from oneiric.runs.run import Run

STEP = "run"
"""The id of the one step of a task's run."""


class TaskBridge(DomainBridge):
    """Have tasks done by their keys: each time as a run of one step, which is recorded.

    How often a task is tried and how long it may take stand in its metadata, `retry_policy`
    and `timeout_seconds`.
    """

    __slots__ = ("engine",)

    def __init__(
        self,
        domain: Domain,
        lifecycle: LifecycleManager,
        *,
        engine: RunEngine,
        verbs: ActivityVerbs | None = None,
    ) -> None:
        super().__init__(domain, lifecycle, verbs=verbs)
        self.engine = engine

    def plan(self, key: str, *, provider: str = "") -> Plan:
        """Return the plan of a run of *key*; `key@provider` names one offer.

        Raises:
            NoCandidateError, UnknownSelectionError: nobody may serve it.
            InvalidMetadataError: its retry policy or time limit is wrong.
        """
        ref = self.ref(key)
        candidate = self.lifecycle.resolver.resolve(ref, provider=provider)
        seconds, problems = seconds_of(candidate, "timeout_seconds")
        retry = Retry()
        try:
            retry = read_retry(candidate.metadata.get("retry_policy"), errors=True)
        except InvalidError as error:
            problems.append(problem_of(candidate, "retry_policy", error))
        if problems:
            raise InvalidMetadataError(candidate, problems)
        target = ref.offer(provider) if provider else ref
        step = Step(STEP, str(target), "${ input }", retry=retry, timeout_seconds=seconds)
        return Plan(str(ref.place), (step,), version=candidate.version)

    async def start(
        self,
        key: str,
        payload: JSONValue = None,
        *,
        provider: str = "",
        run_id: str = "",
        metadata: Mapping[str, JSONValue] | None = None,
    ) -> RunHandle:
        """Begin a run of *key* and return at once.

        Raises:
            NoCandidateError, UnknownSelectionError: nobody may serve it.
            InvalidMetadataError: its retry policy or time limit is wrong.
            PausedError: it takes no new work.
            RunExistsError: there is a run of that id.
        """
        plan = self.plan(key, provider=provider)
        self.lifecycle.activity.check(self.ref(key))
        return await self.engine.start(plan, payload, run_id=run_id, metadata=metadata or {})

    async def run(
        self,
        key: str,
        payload: JSONValue = None,
        *,
        provider: str = "",
        run_id: str = "",
        metadata: Mapping[str, JSONValue] | None = None,
    ) -> Run:
        """Run *key*, and return the run when it is over or waits for somebody outside.

        The result is `run.results["run"]`. `start` tells what is raised; that the task failed
        is not, for the run tells it.
        """
        handle = await self.start(key, payload, provider=provider, run_id=run_id, metadata=metadata)
        return await handle.settled()

    async def enqueue(
        self,
        key: str,
        payload: JSONValue = None,
        *,
        metadata: Mapping[str, JSONValue] | None = None,
        category: str = "",
        queue: str = "",
    ) -> Enqueued:
        """Put a message into a queue, for whichever worker takes it.

        *category* is the key of the adapter, `queue` without one, and *queue* its provider.
        `start` tells what is raised, and `messages.put`.
        """
        self.plan(key)
        self.lifecycle.activity.check(self.ref(key))
        message = message_of(self.lifecycle, "task", self.ref(key), payload, metadata)
        return await put(self.lifecycle, message, category=category, provider=queue)
