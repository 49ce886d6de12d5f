"""The calls of the port as requests: a name and what was given, checked before anybody sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from functools import wraps
from inspect import signature
from typing import Any, Concatenate, ParamSpec, TypeAlias

from oneiric.errors import JSONValue
from oneiric.ports.knowledge import Document, HierarchicalTasks, Notes, Swarm
from oneiric.ports.knowledge_words import check_request

P = ParamSpec("P")
Answered: TypeAlias = Coroutine[Any, Any, Document]


def _asks(
    tool: str, call: Callable[Concatenate[Any, P], Answered]
) -> Callable[Concatenate[KnowledgeCalls, P], Answered]:
    """Return *call* of the port as one that asks *tool*; what may be None is then left out."""
    declared = signature(call)
    optional = [
        name
        for name, each in declared.parameters.items()
        if str(each.annotation).endswith("| None")
    ]

    @wraps(call)
    async def ask(self: KnowledgeCalls, /, *args: P.args, **given: P.kwargs) -> Document:
        bound = declared.bind(self, *args, **given)
        bound.apply_defaults()
        asked = dict(bound.arguments)
        del asked["self"]
        others = {name: asked.pop(name) for name in optional}
        return await self._ask(tool, check_request(asked, others))

    return ask


class KnowledgeCalls(ABC):
    """Give a provider that answers requests all the calls of the port `Knowledge`.

    A request has the name that the hosted service gives its tool, less the prefix, and the
    arguments in its words, those left out that nobody gave.
    """

    @abstractmethod
    async def _ask(self, tool: str, given: dict[str, JSONValue]) -> Document:
        """Answer one request, whose arguments were checked."""

    query_context = _asks("context_query", Notes.query_context)
    remember = _asks("remember", Notes.remember)
    recall = _asks("recall", Notes.recall)
    list_memories = _asks("memories", Notes.list_memories)
    create_swarm = _asks("swarm_create", Swarm.create_swarm)
    join_swarm = _asks("swarm_join", Swarm.join_swarm)
    set_state = _asks("state_set", Swarm.set_state)
    get_state = _asks("state_get", Swarm.get_state)
    broadcast = _asks("broadcast", Swarm.broadcast)
    create_htask_feature = _asks("htask_create_feature", HierarchicalTasks.create_htask_feature)
    create_htask = _asks("htask_create", HierarchicalTasks.create_htask)
    recommend_htask_batch = _asks("htask_recommend_batch", HierarchicalTasks.recommend_htask_batch)
    get_htask_tree = _asks("htask_tree", HierarchicalTasks.get_htask_tree)
    complete_htask = _asks("htask_complete", HierarchicalTasks.complete_htask)
    block_htask = _asks("htask_block", HierarchicalTasks.block_htask)
    unblock_htask = _asks("htask_unblock", HierarchicalTasks.unblock_htask)
