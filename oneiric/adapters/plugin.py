"""What the house offers of its own, as data: listing it imports no provider and no library.

All offers have stack level 0. Priority ranks what is embedded above what needs a
server or an account, so installing an extra never changes who serves.
"""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from types import MappingProxyType

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.core.ref import ComponentRef

EMBEDDED = 50
COMPOSED = 20
REMOTE = 10
_HTTP: Mapping[str, str] = MappingProxyType({"http": "adapter:http"})
_NOTHING: Mapping[str, str] = MappingProxyType({})


def _offer(
    offer: str,
    target: str,
    *,
    priority: int,
    capabilities: Iterable[str],
    requires: Mapping[str, str] = _NOTHING,
    extra: str = "",
    library: str = "",
) -> Candidate:
    """Offer `oneiric.adapters.<target>`, whose settings are `<Class>Settings` beside it.

    With an *extra* it is shown as unavailable while *library* (by default of the
    same name) is not installed; that is looked up without importing it.
    """
    missing = extra and find_spec(library or extra) is None
    ref = ComponentRef[object](offer)
    return Candidate(
        ref.place,
        ref.provider,
        f"oneiric.adapters.{target}",
        requires=requires,
        settings_model=f"oneiric.adapters.{target}Settings",
        capabilities=capabilities,
        priority=priority,
        unavailable=f"install oneiric[{extra}]" if missing else "",
    )


PLUGIN = Plugin(
    [
        _offer(
            "adapter:cache@memory",
            "cache.memory:MemoryCache",
            priority=EMBEDDED,
            capabilities=("kv", "ttl"),
        ),
        _offer(
            "adapter:cache@multitier",
            "cache.multitier:MultiTierCache",
            priority=COMPOSED,
            capabilities=("kv", "ttl", "distributed"),
            requires={"near": "adapter:cache@memory", "far": "adapter:cache@redis"},
            extra="redis",
        ),
        _offer(
            "adapter:cache@redis",
            "cache.redis:RedisCache",
            priority=REMOTE,
            capabilities=("kv", "ttl", "distributed", "invalidation"),
            extra="redis",
        ),
        _offer(
            "adapter:queue@sqlite",
            "queue.sqlite:SqliteQueue",
            priority=EMBEDDED,
            capabilities=("queue", "delay", "dedup", "ordered"),
        ),
        _offer(
            "adapter:queue@redis-streams",
            "queue.redis_streams:RedisStreamsQueue",
            priority=REMOTE,
            capabilities=("queue", "dedup", "distributed"),
            extra="redis",
        ),
        _offer(
            "adapter:secrets@env",
            "secrets.env:EnvSecrets",
            priority=EMBEDDED,
            capabilities=("read",),
        ),
        _offer(
            "adapter:secrets@file",
            "secrets.file:FileSecrets",
            priority=EMBEDDED - 10,
            capabilities=("read",),
        ),
        _offer(
            "adapter:storage@local",
            "storage.local:LocalStorage",
            priority=EMBEDDED,
            capabilities=("blob", "stream", "delete"),
        ),
        _offer(
            "adapter:executor@process",
            "executors.process:ProcessExecutor",
            priority=EMBEDDED,
            capabilities=("process", "stream", "mask"),
        ),
        _offer(
            "adapter:http@aiohttp",
            "http.aiohttp:AiohttpClient",
            priority=EMBEDDED,
            capabilities=("http", "rest", "stream"),
        ),
        _offer(
            "adapter:monitoring@in-process",
            "monitoring.in_process:InProcessMonitor",
            priority=EMBEDDED,
            capabilities=("traces", "metrics"),
        ),
        _offer(
            "adapter:monitoring@otel-otlp",
            "monitoring.otel_otlp:OtelOtlpMonitor",
            priority=REMOTE,
            capabilities=("traces", "metrics", "otlp"),
            requires=_HTTP,
            extra="otel-otlp",
            library="opentelemetry",
        ),
        _offer(
            "adapter:identity@token",
            "identity.token:TokenIdentity",
            priority=EMBEDDED,
            capabilities=("bearer",),
        ),
        _offer(
            "adapter:identity@oidc",
            "identity.oidc:OidcIdentity",
            priority=REMOTE,
            capabilities=("bearer", "oidc"),
            extra="oidc",
            library="jwt",
        ),
        _offer(
            "adapter:messaging@log",
            "messaging.log:LogMessenger",
            priority=EMBEDDED,
            capabilities=("notifications",),
        ),
        _offer(
            "adapter:messaging@webhook",
            "messaging.webhook:WebhookMessenger",
            priority=REMOTE,
            capabilities=("notifications", "signed"),
            requires=_HTTP,
        ),
        _offer(
            "adapter:messaging@teams",
            "messaging.teams:TeamsMessenger",
            priority=REMOTE - 1,
            capabilities=("notifications", "chatops"),
            requires=_HTTP,
        ),
        _offer(
            "adapter:messaging@slack",
            "messaging.slack:SlackMessenger",
            priority=REMOTE - 2,
            capabilities=("notifications", "chatops"),
            requires=_HTTP,
        ),
        _offer(
            "adapter:knowledge@sqlite-fts",
            "knowledge.sqlite:SqliteKnowledge",
            priority=EMBEDDED,
            capabilities=("context", "memory", "swarm", "htask"),
        ),
        _offer(
            "adapter:knowledge@snipara",
            "knowledge.snipara:SniparaKnowledge",
            priority=REMOTE,
            capabilities=("context", "memory", "swarm", "htask", "shared"),
            requires=_HTTP,
        ),
    ]
)
