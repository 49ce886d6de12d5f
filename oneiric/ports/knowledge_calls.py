"""The calls of the port as requests: a name and what was given, checked before anybody sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from oneiric.errors import JSONValue
from oneiric.ports.knowledge import Document
from oneiric.ports.knowledge_words import check_request


class KnowledgeCalls(ABC):
    """Give a provider that answers requests all the calls of the port `Knowledge`.

    A request has the name that the hosted service gives its tool, less the prefix, and the
    arguments in its words, those left out that nobody gave.
    """

    @abstractmethod
    async def _ask(self, tool: str, given: dict[str, JSONValue]) -> Document:
        """Answer one request, whose arguments were checked."""

    async def query_context(
        self, query: str, *, max_tokens: int = 6000, search_mode: str = "hybrid"
    ) -> Document:
        """Find the passages that say most about *query*."""
        asked = {"query": query, "max_tokens": max_tokens, "search_mode": search_mode}
        return await self._ask("context_query", check_request(asked))

    async def remember(
        self,
        content: str,
        *,
        type: str = "decision",
        category: str = "orchestrator",
        ttl_days: int | None = 30,
    ) -> Document:
        """Keep *content* for so many days, or without end."""
        asked = {"content": content, "type": type, "category": category}
        others = {"ttl_days": ttl_days}
        return await self._ask("remember", check_request(asked, others))

    async def recall(
        self, query: str, *, limit: int = 5, type: str | None = None, category: str | None = None
    ) -> Document:
        """Find what was remembered about *query*."""
        asked = {"query": query, "limit": limit}
        others = {"type": type, "category": category}
        return await self._ask("recall", check_request(asked, others))

    async def list_memories(
        self,
        *,
        limit: int = 20,
        offset: int = 0,
        type: str | None = None,
        category: str | None = None,
    ) -> Document:
        """List memories, the newest first."""
        asked = {"limit": limit, "offset": offset}
        others = {"type": type, "category": category}
        return await self._ask("memories", check_request(asked, others))

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
        """Make a swarm, or take the one of that name with `reuse_existing`."""
        asked = {
            "name": name,
            "description": description,
            "max_agents": max_agents,
            "reuse_existing": reuse_existing,
        }
        others = {"task_timeout": task_timeout, "claim_timeout": claim_timeout}
        return await self._ask("swarm_create", check_request(asked, others))

    async def join_swarm(
        self,
        swarm_id: str,
        *,
        agent_id: str,
        name: str | None = None,
        role: str = "worker",
        capabilities: Sequence[str] | None = None,
    ) -> Document:
        """Take part under *agent_id*; who already does says only that they are still there."""
        asked = {"swarm_id": swarm_id, "agent_id": agent_id, "role": role}
        others = {"name": name, "capabilities": capabilities}
        return await self._ask("swarm_join", check_request(asked, others))

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
        """Put *value* under *key*, if its version is the one expected."""
        asked = {"swarm_id": swarm_id, "agent_id": agent_id, "key": key, "value": value}
        others = {"expected_version": expected_version, "ttl_seconds": ttl_seconds}
        return await self._ask("state_set", check_request(asked, others))

    async def get_state(self, swarm_id: str, *, key: str) -> Document:
        """Return the value of *key* as it was put, if there is one."""
        asked = {"swarm_id": swarm_id, "key": key}
        return await self._ask("state_get", check_request(asked))

    async def broadcast(
        self,
        swarm_id: str,
        *,
        agent_id: str,
        event_type: str,
        payload: Mapping[str, JSONValue] | None = None,
    ) -> Document:
        """Tell all agents of an event."""
        asked = {"swarm_id": swarm_id, "agent_id": agent_id, "event_type": event_type}
        others = {"payload": payload}
        return await self._ask("broadcast", check_request(asked, others))

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
        """Make a feature with its workstreams."""
        asked = {"swarm_id": swarm_id, "title": title, "description": description, "owner": owner}
        others = {
            "parent_id": parent_id,
            "workstreams": workstreams,
            "workstream_owners": workstream_owners,
        }
        return await self._ask("htask_create_feature", check_request(asked, others))

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
        """Make a task below a parent of a higher level."""
        asked = {
            "swarm_id": swarm_id,
            "title": title,
            "description": description,
            "owner": owner,
            "level": level,
            "priority": priority,
            "is_blocking": is_blocking,
        }
        others = {
            "parent_id": parent_id,
            "eta_target": eta_target,
            "execution_target": execution_target,
            "workstream_type": workstream_type,
            "acceptance_criteria": acceptance_criteria,
            "context_refs": context_refs,
            "context_query": context_query,
            "evidence_required": evidence_required,
        }
        return await self._ask("htask_create", check_request(asked, others))

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
        """Name the tasks to do next, the most urgent first."""
        asked = {"swarm_id": swarm_id, "limit": limit, "exclude_blocked": exclude_blocked}
        others = {"feature_id": feature_id, "workstream_type": workstream_type, "owner": owner}
        return await self._ask("htask_recommend_batch", check_request(asked, others))

    async def get_htask_tree(
        self,
        swarm_id: str,
        *,
        task_id: str | None = None,
        max_depth: int = 4,
        include_archived: bool = False,
    ) -> Document:
        """Return the tree below a task, or all trees."""
        asked = {"swarm_id": swarm_id, "max_depth": max_depth, "include_archived": include_archived}
        others = {"task_id": task_id}
        return await self._ask("htask_tree", check_request(asked, others))

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
        """Complete a task that has the evidence it requires."""
        asked = {"swarm_id": swarm_id, "task_id": task_id, "create_memory": create_memory}
        others = {
            "evidence": evidence,
            "result": result,
            "learnings": learnings,
            "decision_impact": decision_impact,
        }
        return await self._ask("htask_complete", check_request(asked, others))

    async def block_htask(
        self, swarm_id: str, *, task_id: str, blocker_type: str, blocker_reason: str
    ) -> Document:
        """Say that work on a task, and on what is below it, cannot go on, and why."""
        asked = {
            "swarm_id": swarm_id,
            "task_id": task_id,
            "blocker_type": blocker_type,
            "blocker_reason": blocker_reason,
        }
        return await self._ask("htask_block", check_request(asked))

    async def unblock_htask(self, swarm_id: str, *, task_id: str) -> Document:
        """Say that what blocked a task is gone."""
        asked = {"swarm_id": swarm_id, "task_id": task_id}
        return await self._ask("htask_unblock", check_request(asked))
