"""Snipara on loopback: its JSON-RPC, its strictness, and every way in which it fails.

What it takes and gives is written here anew, from the published contract, so that a wrong
provider cannot agree with itself. What it keeps is kept by a knowledge of ours.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from oneiric.adapters.knowledge.sqlite import SqliteKnowledge, SqliteKnowledgeSettings
from oneiric.ports import AdapterError, ConflictError
from tests.contract.chat import TOKEN

KEY = f"snp-{TOKEN}"
PROJECT = "acme/shop"
TOOLS: Mapping[str, tuple[str, str]] = {
    "context_query": ("query", "max_tokens search_mode"),
    "remember": ("text", "type category ttl_days"),
    "recall": ("query", "type category limit"),
    "memories": ("", "type category limit offset"),
    "swarm_create": (
        "name",
        "description max_agents task_timeout claim_timeout reuse_existing",
    ),
    "swarm_join": ("swarm_id agent_id", "role capabilities"),
    "state_set": ("swarm_id agent_id key value", "expected_version ttl_seconds"),
    "state_get": ("swarm_id key", ""),
    "broadcast": ("swarm_id agent_id event_type", "payload"),
    "htask_create_feature": (
        "swarm_id title description owner",
        "parent_id workstreams workstream_owners",
    ),
    "htask_create": (
        "swarm_id title description owner",
        (
            "level parent_id priority eta_target execution_target workstream_type "
            "acceptance_criteria context_refs context_query evidence_required is_blocking"
        ),
    ),
    "htask_recommend_batch": (
        "swarm_id",
        "feature_id workstream_type limit owner exclude_blocked",
    ),
    "htask_tree": ("swarm_id", "task_id max_depth include_archived"),
    "htask_complete": (
        "swarm_id task_id",
        "evidence result learnings decision_impact create_memory",
    ),
    "htask_block": ("swarm_id task_id blocker_type blocker_reason", ""),
    "htask_unblock": ("swarm_id task_id", ""),
}
"""Tools, with the arguments that each needs and those that it also takes."""

METHODS = {
    "context_query": "query_context",
    "memories": "list_memories",
    "swarm_create": "create_swarm",
    "swarm_join": "join_swarm",
    "state_set": "set_state",
    "state_get": "get_state",
    "htask_create_feature": "create_htask_feature",
    "htask_create": "create_htask",
    "htask_recommend_batch": "recommend_htask_batch",
    "htask_tree": "get_htask_tree",
    "htask_complete": "complete_htask",
    "htask_block": "block_htask",
    "htask_unblock": "unblock_htask",
}

Mode = Callable[[Any, dict[str, Any]], Any]
"""Gives the answer to a request with an id, whose document is known."""


def envelope(id_: Any, document: Any) -> dict[str, Any]:
    """What the service answers when all is well."""
    text = json.dumps(document)
    return {"jsonrpc": "2.0", "id": id_, "result": {"content": [{"type": "text", "text": text}]}}


def error(id_: Any, code: int, message: str) -> dict[str, Any]:
    """What JSON-RPC answers when it is not."""
    return {"jsonrpc": "2.0", "id": id_, "error": {"code": code, "message": message}}


def status(code: int, **fields: str) -> Mode:
    """Answer with a status, as the service does before any tool is asked."""
    body = {"success": False, "error": f"no, {KEY}", "usage": {"latency_ms": 0}}
    return lambda *_: web.json_response(body, status=code, headers=fields)


def sse(id_: Any, document: dict[str, Any]) -> web.Response:
    """Answer as a stream of events, a ping among them."""
    told = json.dumps(envelope(id_, document))
    text = f": ping\n\nevent: message\ndata: {told}\n\n"
    return web.Response(text=text, content_type="text/event-stream")


def is_error(id_: Any, _: Any) -> web.Response:
    """Answer that the tool failed, in the words of MCP."""
    said = envelope(id_, {"error": f"storage of {KEY} failed"})
    said["result"]["isError"] = True
    return web.json_response(said)


async def slow(*_: Any) -> web.Response:
    """Answer nothing for a long time."""
    await asyncio.sleep(60)
    return web.Response()


GOOD: Mapping[str, Mode] = {
    "envelope": lambda id_, document: web.json_response(envelope(id_, document)),
    "null error": lambda id_, document: web.json_response(
        {**envelope(id_, document), "error": None}
    ),
    "events": sse,
    "batch": lambda id_, document: web.json_response([envelope(id_, document)]),
}
"""Answers that are an answer, whatever they look like."""

BAD: Mapping[str, Mode] = {
    "success false": lambda id_, _: web.json_response(
        envelope(id_, {"success": False, "error": f"storage failed for {KEY}"})
    ),
    "error only": lambda id_, _: web.json_response(envelope(id_, {"error": "storage failed"})),
    "isError": is_error,
    "error object": lambda id_, _: web.json_response(error(id_, -32000, f"failed: {KEY}")),
    "error text": lambda id_, _: web.json_response(
        {"jsonrpc": "2.0", "id": id_, "error": f"failed: {KEY}"}
    ),
    "parse error": lambda *_: web.json_response(error(None, -32700, "parse error"), status=400),
    "no result": lambda id_, _: web.json_response({"jsonrpc": "2.0", "id": id_}),
    "other id": lambda _, document: web.json_response(envelope(424242, document)),
    "401": status(401),
    "403": status(403),
    "404": status(404),
    "429": status(429),
    "429 with a wait": status(429, **{"Retry-After": "3600"}),
    "500": status(500),
    "302": lambda *_: web.Response(status=302, headers={"Location": "/elsewhere"}),
    "html": lambda *_: web.Response(text=f"<html>{KEY}</html>", content_type="text/html"),
    "204": lambda *_: web.Response(status=204),
    "not json": lambda *_: web.Response(text="{", content_type="application/json"),
    "not an object": lambda *_: web.json_response([1, "a", None]),
    "text for a document": lambda id_, _: web.json_response(
        {"jsonrpc": "2.0", "id": id_, "result": {"content": [{"type": "text", "text": "done"}]}}
    ),
    "list for a document": lambda id_, _: web.json_response(envelope(id_, ["done"])),
    "empty document": lambda id_, _: web.json_response(envelope(id_, {})),
    "result of another kind": lambda id_, _: web.json_response(
        {"jsonrpc": "2.0", "id": id_, "result": "done"}
    ),
    "too long": lambda *_: web.Response(body=b"x" * 300_000),
    "slow": slow,
}
"""Answers that are none; most of them show the key, which no error may repeat."""


@dataclass(slots=True)
class Snipara:
    """A server of one project: what arrived, and what to answer next instead of the truth."""

    folder: Path
    port: int = 0
    family: str = "snipara_"
    received: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    modes: list[Mode] = field(default_factory=list)
    listing: list[Mode] = field(default_factory=list)
    kept: SqliteKnowledge = field(init=False)

    def __post_init__(self) -> None:
        self.kept = SqliteKnowledge(
            SqliteKnowledgeSettings(
                path=self.folder / "hosted.sqlite", folder=self.folder, durable=False
            )
        )

    def app(self) -> web.Application:
        """Return the server."""
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/mcp/{project:.+}", self._handle)
        app.on_startup.append(lambda _: self.kept.init())
        app.on_cleanup.append(lambda _: self.kept.cleanup())
        return app

    @property
    def tools(self) -> list[str]:
        """The tools that were called, without their family."""
        return [tool for tool, _ in self.received]

    async def _handle(self, request: web.Request) -> Any:
        self.paths.append(request.raw_path)
        if request.headers.get("X-API-Key") != KEY:
            return web.json_response({"success": False, "error": "Invalid API key"}, status=401)
        if request.match_info["project"] != PROJECT:
            return web.json_response({"success": False, "error": "No such project"}, status=404)
        said = await request.json()
        if said.get("jsonrpc") != "2.0" or not isinstance(said.get("id"), int):
            self.problems.append("it is no request")
        if said["method"] == "tools/list":
            if self.listing:
                return self.listing.pop(0)(said["id"], {})
            tools = [{"name": f"{self.family}{name}"} for name in list(TOOLS)[:3]]
            result = {"jsonrpc": "2.0", "id": said["id"], "result": {"tools": tools}}
            return web.json_response(result)
        name, arguments = said["params"]["name"], said["params"]["arguments"]
        tool = name.removeprefix(self.family)
        if not name.startswith(self.family) or tool not in TOOLS:
            told = f"Tool not available in OSS mode: {name}"
            return web.json_response(error(said["id"], -32602, told))
        self.received.append((tool, arguments))
        answer = self.modes.pop(0) if self.modes else None
        document = (
            {} if answer and answer not in GOOD.values() else await self._done(tool, arguments)
        )
        found = (answer or GOOD["envelope"])(said["id"], document)
        return await found if asyncio.iscoroutine(found) else found

    async def _done(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        needed, others = (set(each.split()) for each in TOOLS[tool])
        self.problems += [f"{tool} without {each}" for each in needed - arguments.keys()]
        self.problems += [f"{tool} with {each}" for each in arguments.keys() - needed - others]
        if "text" in arguments:
            arguments = {**arguments, "content": arguments["text"]}
            del arguments["text"]
        call = getattr(self.kept, METHODS.get(tool, tool))
        first = next(iter(TOOLS[tool][0].split()), "").replace("text", "content")
        try:
            rest = {name: value for name, value in arguments.items() if name != first}
            found = await (call(arguments[first], **rest) if first else call(**rest))
        except ConflictError as refused:
            current = {"current_version": 2} if tool == "state_set" else {}
            return {"success": False, "error": refused.reason, **current}
        except AdapterError as refused:
            return {"success": False, "error": refused.reason}
        return _as_hosted(tool, found)


def _as_hosted(tool: str, found: dict[str, Any]) -> dict[str, Any]:
    """Give what the service gives: no ids by type, and values that come back unwrapped."""
    found.pop("workstream_ids", None)
    value = found.get("value")
    if tool == "state_get" and isinstance(value, dict) and len(value) == 1:
        found["value"] = value.get("value", value.get("raw", value))
    return found
