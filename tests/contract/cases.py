"""Which providers the suites run against, with what settings, beside which servers.

To have a provider held to its port's contract, add a case to `CASES`.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from oneiric.adapters.plugin import PLUGIN
from oneiric.core.build import PhaseLimits
from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.resolver import Resolver
from oneiric.documents.model import validate_settings
from oneiric.errors import JSONValue
from tests.contract.chat import SECRET, TOKEN
from tests.contract.issuer import AUDIENCE, EMAIL, NAME, STATIC

if TYPE_CHECKING:
    from pydantic import BaseModel

PASSWORD = TOKEN
ALLOWED = ("oneiric", "oneiric_example")
SECRETS = {"db-password": PASSWORD, "empty": ""}

Settings = dict[str, JSONValue]
Find = Callable[[str], Awaitable[Any]]


@dataclass(slots=True)
class Surroundings:
    """What a case may use: a folder, a namespace nobody else has, and servers by port."""

    folder: Path
    redis_port: int = 0
    http_port: int = 0
    issuer_keys: str = ""
    project: str = ""
    namespace: str = field(default_factory=lambda: f"contract:{uuid4().hex}:")
    changes: dict[str, Settings] = field(default_factory=dict)

    def settings_for(self, candidate: Candidate, model: "type[BaseModel]") -> "BaseModel":
        """Return the case's settings with this test's changes laid over them."""
        case = CASES[candidate.offer]
        values = case.settings(self) | self.changes.get(candidate.offer, {})
        return validate_settings(
            model, values, key=candidate.offer, origin_of=lambda _: "tests/contract/cases.py"
        )


@dataclass(frozen=True, slots=True)
class ProviderCase:
    """One provider in one setting; *server* names what it cannot do without."""

    offer: str
    settings: Callable[[Surroundings], Settings]
    server: str = ""

    @property
    def key(self) -> str:
        """The port's key, such as `cache`."""
        return self.offer.partition(":")[2].partition("@")[0]


def _nothing(_: Surroundings) -> Settings:
    return {}


def _redis(here: Surroundings) -> Settings:
    return {"port": here.redis_port, "host": "127.0.0.1", "key_prefix": here.namespace}


def _env(here: Surroundings) -> Settings:
    return {"prefix": "TESTS_SECRET_"}


def _file(here: Surroundings) -> Settings:
    path = here.folder / "secrets.json"
    if not path.exists():
        path.write_text(json.dumps(SECRETS))
        path.chmod(0o600)
    return {"path": str(path)}


def _local(here: Surroundings) -> Settings:
    return {"base_path": str(here.folder / "objects"), "durable": False}


def _process(here: Surroundings) -> Settings:
    return {"root": str(here.folder), "kill_grace_seconds": 0.3, "allow_shell": True}


def _aiohttp(here: Surroundings) -> Settings:
    site = f"http://127.0.0.1:{here.http_port}"
    return {"base_url": site, "timeout": 5.0, "headers": {"X-Api-Key": PASSWORD}}


def _slack(here: Surroundings) -> Settings:
    site = f"http://127.0.0.1:{here.http_port}/slack/api"
    return {"base_url": site, "token": TOKEN, "default_channel": "general", **_QUICK}


def _teams(here: Surroundings) -> Settings:
    return {"webhook_url": f"http://127.0.0.1:{here.http_port}/teams/{TOKEN}", **_QUICK}


def _webhook(here: Surroundings) -> Settings:
    url = f"http://127.0.0.1:{here.http_port}/hook/{TOKEN}"
    return {"url": url, "secret": SECRET, "headers": {"X-Api-Key": PASSWORD}, **_QUICK}


def _otlp(here: Surroundings) -> Settings:
    told: Settings = {"service_name": "tests", "resource": {"deployment": "a"}}
    url = f"http://127.0.0.1:{here.http_port}"
    quick: Settings = {"attempts": 2, "retry_seconds": 0.001}
    return {"endpoint": url, "headers": {"x-api-key": PASSWORD}, **told, **quick}


def _tokens(here: Surroundings) -> Settings:
    return {"tokens": {"ci": STATIC, "older": STATIC[::-1]}}


def _oidc(here: Surroundings) -> Settings:
    who: Settings = {"issuer": NAME, "audience": [AUDIENCE], "emails": [EMAIL]}
    return {**who, "jwks_url": here.issuer_keys, "algorithms": ["RS256", "ES256"]}


def _sqlite_queue(here: Surroundings) -> Settings:
    return {"path": str(here.folder / "queue.sqlite"), "durable": False}


def _redis_queue(here: Surroundings) -> Settings:
    return {"port": here.redis_port, "host": "127.0.0.1", "stream": here.namespace + "queue"}


def _sqlite_knowledge(here: Surroundings) -> Settings:
    kept = here.folder / "state" / "knowledge.sqlite"
    return {"path": str(kept), "folder": str(here.folder), "durable": False}


def _snipara(here: Surroundings) -> Settings:
    site = f"http://127.0.0.1:{here.http_port}"
    return {"base_url": site, "api_key": f"snp-{TOKEN}", "project": here.project, **_QUICK}


def _files(here: Surroundings) -> Settings:
    return {"folder": str(here.folder / "cache")}


_QUICK: Settings = {"timeout": 5.0, "attempts": 3, "retry_seconds": 0.001}
_ALL = [
    ProviderCase("adapter:cache@memory", _nothing),
    ProviderCase("adapter:cache@redis", _redis, server="redis"),
    ProviderCase("adapter:cache@multitier", _nothing, server="redis"),
    ProviderCase("adapter:queue@sqlite", _sqlite_queue),
    ProviderCase("adapter:queue@redis-streams", _redis_queue, server="redis"),
    ProviderCase("adapter:secrets@env", _env),
    ProviderCase("adapter:secrets@file", _file),
    ProviderCase("adapter:storage@local", _local),
    ProviderCase("adapter:executor@process", _process),
    ProviderCase("adapter:http@aiohttp", _aiohttp, server="http"),
    ProviderCase("adapter:monitoring@in-process", _nothing),
    ProviderCase("adapter:monitoring@otel-otlp", _otlp, server="collector"),
    ProviderCase("adapter:identity@token", _tokens),
    ProviderCase("adapter:identity@oidc", _oidc, server="issuer"),
    ProviderCase("adapter:knowledge@sqlite-fts", _sqlite_knowledge),
    ProviderCase("adapter:knowledge@snipara", _snipara, server="snipara"),
    ProviderCase("adapter:messaging@log", _nothing),
    ProviderCase("adapter:messaging@webhook", _webhook, server="chat"),
    ProviderCase("adapter:messaging@teams", _teams, server="chat"),
    ProviderCase("adapter:messaging@slack", _slack, server="chat"),
]
CANDIDATES: list[Candidate] = list(PLUGIN.candidates)
if find_spec("oneiric_example") is not None:
    CANDIDATES += import_module("oneiric_example.plugin").ADAPTERS.candidates
    _ALL.append(ProviderCase("adapter:cache@files", _files))

CASES: Mapping[str, ProviderCase] = {case.offer: case for case in _ALL}


def for_each(*keys: str, server: str = "") -> pytest.MarkDecorator:
    """Run a test for the cases of some ports, or of all; only those on *server* if named."""
    chosen = [
        case
        for case in CASES.values()
        if (not keys or case.key in keys) and (not server or case.server == server)
    ]
    ids = [case.offer.partition(":")[2] for case in chosen]
    return pytest.mark.parametrize("case", chosen, ids=ids, indirect=True)


@asynccontextmanager
async def brought_up(here: Surroundings) -> AsyncIterator[Find]:
    """Give a function that brings up an offer and holds it until the end of the block."""
    resolver = Resolver()
    for candidate in CANDIDATES:
        resolver.register(candidate)
    manager = LifecycleManager(
        resolver,
        settings=here,
        limits=PhaseLimits(drain=2.0),
        allowed=ALLOWED,
    )
    async with manager, AsyncExitStack() as held:

        async def find(offer: str) -> Any:
            return await held.enter_async_context(manager.use(offer))

        yield find
