"""Knowledge that Snipara keeps, hosted or on a server of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, TypeAlias
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, SecretStr

from oneiric.adapters.knowledge.snipara_answers import Answers, UnknownToolError
from oneiric.adapters.knowledge.snipara_line import Line, UnansweredError
from oneiric.adapters.messaging.post import PostSettings
from oneiric.clock import Clock, SystemClock
from oneiric.core.handle import Link
from oneiric.core.health import HealthReport
from oneiric.documents.model import refused
from oneiric.errors import JSONValue
from oneiric.ports.errors import AdapterError, RateLimitedError, UnavailableError
from oneiric.ports.http import HTTPClient, origin
from oneiric.ports.knowledge import Document
from oneiric.ports.knowledge_calls import KnowledgeCalls
from oneiric.remote.errors import AddressError
from oneiric.remote.origin import Origin
from oneiric.text.masking import Masking

HOSTED, OPEN = "snipara_", "rlm_"
"""What the names of tools begin with: those of the hosted service, those of the open server."""

ENVELOPE = "oneiric"
READS = frozenset(
    (
        "context_query",
        "recall",
        "memories",
        "state_get",
        "htask_recommend_batch",
        "htask_tree",
        "swarm_join",
    )
)
"""What changes nothing when it is asked a second time."""

_NEEDED: Mapping[str, str] = MappingProxyType(
    {
        "context_query": "sections",
        "remember": "memory_id",
        "recall": "memories",
        "memories": "memories",
        "swarm_create": "swarm_id",
        "swarm_join": "agent_id",
        "state_set": "version",
        "state_get": "found",
        "broadcast": "event_id",
        "htask_create_feature": "feature_id",
        "htask_create": "task_id",
        "htask_recommend_batch": "tasks",
        "htask_complete": "task_id",
    }
)
"""What an answer has to hold, or nothing was done that one could rely on."""

Change: TypeAlias = Callable[[dict[str, JSONValue]], Document]


def _is_address(url: str) -> str:
    try:
        Origin.of(url)
    except AddressError as error:
        raise refused(error.message) from None
    return url.rstrip("/")


def _is_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise refused("a key holds no spaces, and nothing beyond ASCII")
    return key


class SniparaKnowledgeSettings(PostSettings):
    """Give the key of a project, and where Snipara serves.

    `project` is its id, its slug, or `owner/repo`. A `base_url` that has `/mcp/` in it is the
    endpoint itself, as an open server tells it.
    """

    api_key: Annotated[SecretStr, Field(min_length=1), AfterValidator(_is_key)]
    project: str = Field(default="", max_length=500)
    base_url: Annotated[str, AfterValidator(_is_address)] = "https://api.snipara.com"

    @property
    def endpoint(self) -> str:
        """The address that is called."""
        if "/mcp/" in urlsplit(self.base_url).path:
            return self.base_url
        return f"{self.base_url}/mcp/{quote(self.project, safe='')}"


class SniparaKnowledge(KnowledgeCalls):
    """Ask Snipara over JSON-RPC, by whichever names of tools it knows.

    Whatever it answers, a call ends with a document or an error of the port: a refusal is an
    error in every shape that it may have, also where its status says that all is well. What is
    kept under a key comes back as it was put, for it is wrapped on the way.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset(
        {"context", "memory", "swarm", "htask", "shared"}
    )

    def __init__(
        self,
        settings: SniparaKnowledgeSettings,
        *,
        http: Link[HTTPClient],
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        key = settings.api_key.get_secret_value()
        self._backend = origin(settings.endpoint)
        self._answers = Answers(self._backend, Masking([key]))
        self._line = Line(
            settings.endpoint,
            key,
            settings=settings,
            http=http,
            clock=self._clock,
            answers=self._answers,
        )
        self._family = ""

    async def init(self) -> None:
        """Do nothing: the HTTP client is up."""

    async def health(self) -> HealthReport:
        """Ask for the list of tools; being asked too often is no illness, nor is one bad answer."""
        try:
            self._learn(await self._listed())
        except RateLimitedError:
            return HealthReport(healthy=True)
        except AdapterError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Do nothing: the HTTP client closes itself."""

    async def _ask(self, tool: str, given: dict[str, JSONValue]) -> Document:
        arguments = _SENT[tool](given) if tool in _SENT else given
        document = await self._call(tool, arguments)
        needed = _NEEDED.get(tool)
        if needed is not None and document.get(needed) is None:
            raise AdapterError(self._backend, f"answered {tool} without {needed}")
        if tool == "htask_create_feature":
            return self._with_ids(document)
        return _GOT[tool](document) if tool in _GOT else document

    async def _call(self, tool: str, arguments: dict[str, JSONValue]) -> Document:
        """Call a tool by the names that the endpoint knows, which the first call finds out."""
        refusals: list[UnknownToolError] = []
        for family in [self._family] if self._family else [HOSTED, OPEN]:
            params: dict[str, JSONValue] = {"name": family + tool, "arguments": arguments}
            try:
                result = await self._line.call("tools/call", params, is_repeatable=tool in READS)
            except UnknownToolError as error:
                refusals.append(error)
                continue
            self._family = family
            return self._answers.document(result)
        raise next((each for each in refusals if not each.is_about_name), refusals[0])

    async def _listed(self) -> JSONValue:
        """Ask for the list of tools, and once more where somebody answered: not now."""
        limit = self._settings.healthcheck_timeout
        try:
            return await self._line.once("tools/list", {}, timeout=limit)
        except UnansweredError:
            raise
        except UnavailableError:
            await self._clock.sleep(self._settings.retry_seconds)
            return await self._line.once("tools/list", {}, timeout=limit)

    def _learn(self, listed: JSONValue) -> None:
        tools = listed.get("tools") if isinstance(listed, dict) else None
        entries = tools if isinstance(tools, list) else []
        names = [str(each.get("name")) for each in entries if isinstance(each, dict)]
        for family in (HOSTED, OPEN):
            if any(name.startswith(family) for name in names):
                self._family = family
                return

    def _with_ids(self, document: Document) -> Document:
        """Return a feature with the ids of its workstreams by their types, if all were made."""
        listed = document.get("workstreams")
        ids: dict[str, JSONValue] = {}
        missing = []
        for each in listed if isinstance(listed, list) else []:
            found = each if isinstance(each, dict) else {}
            kind, id_ = str(found.get("workstream_type")), found.get("task_id")
            if found.get("success", True) is True and isinstance(id_, str):
                ids[kind] = id_
            else:
                missing.append(kind)
        if missing:
            reason = f"made {document['feature_id']} without {', '.join(missing)}"
            raise AdapterError(self._backend, reason)
        return {**document, "workstream_ids": ids}


def _as_text(given: dict[str, JSONValue]) -> Document:
    rest = {name: value for name, value in given.items() if name != "content"}
    return {"text": given["content"], **rest}


def _nameless(given: dict[str, JSONValue]) -> Document:
    return {name: value for name, value in given.items() if name != "name"}


def _wrapped(given: dict[str, JSONValue]) -> Document:
    return {**given, "value": {ENVELOPE: 1, "value": given["value"]}}


def _unwrapped(document: Document) -> Document:
    """Return a value as it was put; the service unwraps tables of one key, and not ours of two."""
    value = document.get("value")
    if isinstance(value, dict) and value.keys() == {ENVELOPE, "value"}:
        value = value["value"]
    return {**document, "found": bool(document.get("found")), "value": value}


def _with_relevance(document: Document) -> Document:
    memories = document["memories"]
    found = (
        [each for each in memories if isinstance(each, dict)] if isinstance(memories, list) else []
    )
    return {**document, "memories": [{**each, "relevance": _relevance(each)} for each in found]}


def _relevance(memory: Mapping[str, JSONValue]) -> float:
    told = memory.get("relevance", memory.get("relevance_score"))
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    return min(1.0, max(0.0, float(told))) if is_number else 0.0  # type: ignore[arg-type]


_SENT: Mapping[str, Change] = MappingProxyType(
    {"remember": _as_text, "swarm_join": _nameless, "state_set": _wrapped}
)
_GOT: Mapping[str, Change] = MappingProxyType({"recall": _with_relevance, "state_get": _unwrapped})
