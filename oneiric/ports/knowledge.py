"""Find what is written, remember what was learned, and share what several work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from oneiric.core.ref import ComponentRef
from oneiric.errors import JSONValue
from oneiric.ports.adapter import Adapter

Document: TypeAlias = dict[str, JSONValue]
"""A JSON document, in the words of the hosted service."""


class Notes(Protocol):
    """Find what is written about a project, and remember what was learned."""

    async def query_context(
        self, query: str, *, max_tokens: int = 6000, search_mode: str = "hybrid"
    ) -> Document:
        """Find the passages that say most about *query*, the best first.

        `sections` holds a `title`, `content`, `file`, the first and last of its `lines` and a
        `relevance_score` for each, with `max_tokens` of text at most; `search_mode_downgraded`
        tells that the mode asked for is not had.
        """
        ...

    async def remember(
        self,
        content: str,
        *,
        type: str = "decision",
        category: str = "orchestrator",
        ttl_days: int | None = 30,
    ) -> Document:
        """Keep *content* for so many days, or without end; the document holds its `memory_id`."""
        ...

    async def recall(
        self, query: str, *, limit: int = 5, type: str | None = None, category: str | None = None
    ) -> Document:
        """Find what was remembered about *query*.

        `memories` holds `memory_id`, `content`, `type`, `category` and a `relevance` from 0 to 1
        for each, the most relevant first; what has expired is not among them.
        """
        ...

    async def list_memories(
        self,
        *,
        limit: int = 20,
        offset: int = 0,
        type: str | None = None,
        category: str | None = None,
    ) -> Document:
        """List `memories`, the newest first; `total_count` tells how many there are."""
        ...


class Swarm(Protocol):
    """Share a state, events and a list of who takes part."""

    async def create_swarm(
        self,
        name: str,
        *,
        description: str = "",
        max_agents: int = 10,
        task_timeout: int | None = None,
        claim_timeout: int | None = None,
        reuse_existing: bool = False,
    ) -> Document:
        """Make a swarm, or take the one of that name with `reuse_existing`; gives `swarm_id`."""
        ...

    async def join_swarm(
        self,
        swarm_id: str,
        *,
        agent_id: str,
        name: str | None = None,
        role: str = "worker",
        capabilities: Sequence[str] | None = None,
    ) -> Document:
        """Take part under *agent_id*; who already does says only that they are still there.

        Raises:
            ConflictError: there are as many agents as the swarm takes.
        """
        ...

    async def set_state(
        self,
        swarm_id: str,
        *,
        agent_id: str,
        key: str,
        value: JSONValue,
        expected_version: int | None = None,
        ttl_seconds: int | None = None,
    ) -> Document:
        """Put *value* under *key*; the document holds its new `version`, from 1.

        Raises:
            ConflictError: it has another version than expected; 0 expects that there is none.
        """
        ...

    async def get_state(self, swarm_id: str, *, key: str) -> Document:
        """Return the `value` of *key* as it was put, with its `version`, if `found`."""
        ...

    async def broadcast(
        self,
        swarm_id: str,
        *,
        agent_id: str,
        event_type: str,
        payload: Mapping[str, JSONValue] | None = None,
    ) -> Document:
        """Tell all agents of an event; the document holds its `event_id`."""
        ...


class HierarchicalTasks(Protocol):
    """Split work into initiatives (N0), features (N1), workstreams (N2) and tasks (N3).

    A parent stands on a higher level than its child. Tasks alone are completed; when the last
    child that is blocking is, the parent is completed as well.
    """

    async def create_htask_feature(
        self,
        swarm_id: str,
        *,
        title: str,
        description: str,
        owner: str,
        parent_id: str | None = None,
        workstreams: Sequence[str] | None = None,
        workstream_owners: Mapping[str, str] | None = None,
    ) -> Document:
        """Make a feature with its workstreams, by default one of each usual type.

        `feature_id` is its id, and `workstream_ids` those of its workstreams by their types.

        Raises:
            AdapterError: the feature was made, and not all of its workstreams.
        """
        ...

    async def create_htask(
        self,
        swarm_id: str,
        *,
        title: str,
        description: str,
        owner: str,
        level: str = "N3_TASK",
        parent_id: str | None = None,
        priority: str = "P1",
        eta_target: str | None = None,
        execution_target: str | None = None,
        workstream_type: str | None = None,
        acceptance_criteria: Sequence[JSONValue] | None = None,
        context_refs: Sequence[str] | None = None,
        context_query: str | None = None,
        evidence_required: Sequence[Mapping[str, JSONValue]] | None = None,
        is_blocking: bool = True,
    ) -> Document:
        """Make a task; the document holds its `task_id`.

        Raises:
            NotFoundError: there is no such swarm, or no such parent in it.
            ConflictError: the parent is completed.
        """
        ...

    async def recommend_htask_batch(
        self,
        swarm_id: str,
        *,
        feature_id: str | None = None,
        workstream_type: str | None = None,
        limit: int = 5,
        owner: str | None = None,
        exclude_blocked: bool = True,
    ) -> Document:
        """Name the `tasks` to do next, the most urgent first, with their number in `total`.

        Each has its `id`, and as `path` the titles of what it is part of.
        """
        ...

    async def get_htask_tree(
        self,
        swarm_id: str,
        *,
        task_id: str | None = None,
        max_depth: int = 4,
        include_archived: bool = False,
    ) -> Document:
        """Return the `tree` below a task, or all `trees`; each task holds its `children`."""
        ...

    async def complete_htask(
        self,
        swarm_id: str,
        *,
        task_id: str,
        evidence: Sequence[Mapping[str, JSONValue]] | None = None,
        result: Mapping[str, JSONValue] | None = None,
        learnings: Sequence[str] | None = None,
        decision_impact: str | None = None,
        create_memory: bool = True,
    ) -> Document:
        """Complete a task; the document tells its `status`, and which parent that completed.

        Raises:
            InvalidRequestError: it is no task (N3), or evidence that it requires is missing.
            ConflictError: it is blocked, or completed already.
        """
        ...

    async def block_htask(
        self, swarm_id: str, *, task_id: str, blocker_type: str, blocker_reason: str
    ) -> Document:
        """Say that work on a task, and on what is below it, cannot go on, and why."""
        ...

    async def unblock_htask(self, swarm_id: str, *, task_id: str) -> Document:
        """Say that what blocked a task is gone."""
        ...


class Knowledge(Adapter, Notes, Swarm, HierarchicalTasks, Protocol):
    """Keep what a project knows: what is written, what was learned, who does what.

    Documents are in the words of the hosted service, whoever keeps them; a provider may add
    fields. What no service takes is refused before anything is sent or written.

    Where the capability `shared` is announced, several machines see the same.

    Every call may raise `InvalidRequestError`, `NotFoundError` (no such swarm or task),
    `ConflictError`, `PermissionDeniedError`, `RateLimitedError`, `UnavailableError`, and
    `AdapterError` for what has no better name; no other error, whatever the other side answers.
    """


KNOWLEDGE: ComponentRef[Knowledge] = ComponentRef("adapter:knowledge")
