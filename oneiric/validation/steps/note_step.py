"""Steps that ask what is known before a task, and remember what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from oneiric.core.guard import Guard
from oneiric.errors import JSONValue, OneiricError

if TYPE_CHECKING:
    from oneiric.core.handle import Link

KNOWLEDGE_SECONDS = 30.0
"""How long a question to what is known, or a note to it, may take."""

MAX_TOKENS = 6_000
_MOST_SECTIONS = 10
_DAYS = 30


class NoteStep:
    """Ask what is known, or remember; that it cannot be done is a warning, and stops nothing.

    Remembered are the title, how the task stands, and the code of what stopped it: nothing that
    a program said, and nothing of an answer.
    """

    def __init__(self, knowledge: Link[Any]) -> None:
        self.knowledge = knowledge
        self._guard = Guard()

    async def run(self, payload: JSONValue) -> JSONValue:
        """Return what was found or kept, and the warnings."""
        asked = cast("dict[str, Any]", payload)
        is_context = asked["given"]["mode"] == "context"
        work = self._context if is_context else self._remember
        outcome = await self._guard.call(lambda: work(asked), limit=KNOWLEDGE_SECONDS)
        if isinstance(outcome.value, Mapping):
            return {**outcome.value, "warnings": []}
        error = outcome.error
        why = error.message if isinstance(error, OneiricError) else outcome.reason
        doing = "what is known could not be asked" if is_context else "it could not be remembered"
        return {"warnings": [f"{doing}: {why}"]}

    async def _context(self, asked: Mapping[str, Any]) -> JSONValue:
        given = asked["given"]
        query = f"{given['title']} {given['description']}".strip()
        async with self.knowledge.use() as knowledge:
            found = await knowledge.query_context(query, max_tokens=MAX_TOKENS)
        sections = cast("list[Mapping[str, Any]]", found.get("sections") or [])
        titles = [str(each.get("title", ""))[:200] for each in sections[:_MOST_SECTIONS]]
        return {"sections": len(sections), "titles": titles}

    async def _remember(self, asked: Mapping[str, Any]) -> JSONValue:
        given = asked["given"]
        is_done = asked["states"]["done"] == "succeeded"
        code = next((found for each in asked["errors"].values() if (found := _code(each))), "")
        status = "done: production has proved it" if is_done else f"not done: {code or 'stopped'}"
        is_drift = code.startswith("drift")
        async with self.knowledge.use() as knowledge:
            kept = await knowledge.remember(
                f"{given['title']} ({given['task']}) is {status}",
                type="decision" if is_done else "learning",
                category="drift" if is_drift else "validation",
                ttl_days=_DAYS,
            )
        return {"memory_id": str(kept.get("memory_id", ""))}


def _code(error: Mapping[str, Any] | None) -> str:
    """Return the code of a verdict, or that of another error; never its words."""
    if not error:
        return ""
    verdict = (error.get("details") or {}).get("verdict") or {}
    return str(verdict.get("code") or error.get("code") or "")
