"""No provider escapes its contract."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import pytest

from oneiric.adapters.cache.memory import MemoryCache
from oneiric.adapters.cache.multitier import MultiTierCache
from oneiric.adapters.cache.redis import RedisCache
from oneiric.adapters.executors.process import ProcessExecutor
from oneiric.adapters.http.aiohttp import AiohttpClient
from oneiric.adapters.identity.oidc import OidcIdentity
from oneiric.adapters.identity.token import TokenIdentity
from oneiric.adapters.knowledge.snipara import SniparaKnowledge
from oneiric.adapters.knowledge.sqlite import SqliteKnowledge
from oneiric.adapters.messaging.log import LogMessenger
from oneiric.adapters.messaging.slack import SlackMessenger
from oneiric.adapters.messaging.teams import TeamsMessenger
from oneiric.adapters.messaging.webhook import WebhookMessenger
from oneiric.adapters.monitoring.in_process import InProcessMonitor
from oneiric.adapters.monitoring.otel_otlp import OtelOtlpMonitor
from oneiric.adapters.plugin import PLUGIN
from oneiric.adapters.queue.redis_streams import RedisStreamsQueue
from oneiric.adapters.queue.sqlite import SqliteQueue
from oneiric.adapters.secrets.env import EnvSecrets
from oneiric.adapters.secrets.file import FileSecrets
from oneiric.adapters.storage.local import LocalStorage
from oneiric.core.candidate import Candidate
from oneiric.core.registry import Registry
from oneiric.core.resolver import Resolver
from oneiric.ports import (
    CACHE,
    EXECUTOR,
    HTTP,
    IDENTITY,
    KNOWLEDGE,
    MESSAGING,
    MONITORING,
    QUEUE,
    SECRETS,
    STORAGE,
)
from oneiric.ports.adapter import Managed
from oneiric.ports.cache import Cache, InvalidationFeed
from oneiric.ports.executor import Executor
from oneiric.ports.http import HTTPClient
from oneiric.ports.identity import Identity
from oneiric.ports.knowledge import Knowledge
from oneiric.ports.messaging import Messenger
from oneiric.ports.monitoring import Monitor
from oneiric.ports.queue import Queue
from oneiric.ports.secrets import SecretStore, SecretWriter
from oneiric.ports.storage import ObjectStore, Presign
from tests.contract.cases import CANDIDATES, CASES

PORTS: Mapping[str, type] = {
    CACHE: Cache,
    SECRETS: SecretStore,
    STORAGE: ObjectStore,
    EXECUTOR: Executor,
    HTTP: HTTPClient,
    QUEUE: Queue,
    IDENTITY: Identity,
    KNOWLEDGE: Knowledge,
    MESSAGING: Messenger,
    MONITORING: Monitor,
}
ABILITIES: Mapping[str, type] = {
    "invalidation": InvalidationFeed,
    "write": SecretWriter,
    "presign": Presign,
}
each_candidate = pytest.mark.parametrize("offer", CANDIDATES, ids=lambda offer: offer.offer)


def target(text: object) -> Any:
    assert isinstance(text, str)
    module, _, name = text.partition(":")
    return getattr(import_module(module), name)


def methods(protocol: type) -> dict[str, Any]:
    members = inspect.getmembers(protocol, inspect.isfunction)
    return {name: method for name, method in members if name[0] != "_"}


def shape(method: Any) -> list[tuple[str, object, object]]:
    parameters = inspect.signature(method).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters]


def test_every_offer_has_a_case() -> None:
    """And every case an offer."""
    assert sorted(CASES) == sorted(candidate.offer for candidate in CANDIDATES)


@each_candidate
def test_every_method_of_the_port_is_there_with_its_signature(offer: Candidate) -> None:
    """The same names, kinds and defaults; async where the port is."""
    factory = target(offer.factory)
    wanted = methods(PORTS[offer.ref]) | methods(Managed)
    for capability in offer.capabilities:
        wanted |= methods(ABILITIES[capability]) if capability in ABILITIES else {}

    for name, promised in wanted.items():
        real = getattr(factory, name)
        assert shape(real) == shape(promised), name
        assert inspect.iscoroutinefunction(inspect.unwrap(real)) == inspect.iscoroutinefunction(
            promised
        ), name


@each_candidate
def test_the_class_carries_the_capabilities_it_is_offered_with(offer: Candidate) -> None:
    """Class and candidate say the same."""
    assert target(offer.factory).capabilities == offer.capabilities


@each_candidate
def test_settings_refuse_unknown_keys_and_hide_what_was_typed(offer: Candidate) -> None:
    """A typing error is an error, and its report repeats no value."""
    model = target(offer.settings_model)

    with pytest.raises(ValueError, match="unknown_key") as caught:
        model(unknown_key="hunter2")

    assert model.model_config["extra"] == "forbid"
    if offer in PLUGIN.candidates:
        assert "hunter2" not in str(caught.value)


def test_installing_an_extra_changes_no_winner() -> None:
    """Whoever wins with all extras wins without any: it needs none."""
    for ref in {candidate.ref for candidate in PLUGIN.candidates}:
        everybody, embedded = Resolver(Registry()), Resolver(Registry())
        for candidate in PLUGIN.candidates:
            if candidate.ref == ref:
                everybody.register(_available(candidate))
                if "redis" not in str(candidate.factory) and not candidate.requires:
                    embedded.register(_available(candidate))

        assert everybody.resolve(ref).provider == embedded.resolve(ref).provider


def test_all_built_ins_share_the_lowest_level() -> None:
    """So any stack that a user adds outranks them."""
    assert {candidate.stack_level for candidate in PLUGIN.candidates} == {0}


def _available(candidate: Candidate) -> Candidate:
    return Candidate(
        candidate.ref, candidate.provider, candidate.factory, priority=candidate.priority
    )


def test_no_two_of_our_providers_share_a_name() -> None:
    """Settings stand under the provider's name, so a second one would get those of the first."""
    names = [candidate.provider for candidate in PLUGIN.candidates]
    assert len(set(names)) == len(names)


def typed_as_the_port_says(
    memory: MemoryCache,
    redis: RedisCache,
    tiers: MultiTierCache,
    env: EnvSecrets,
    file: FileSecrets,
    local: LocalStorage,
    process: ProcessExecutor,
    client: AiohttpClient,
    queue: SqliteQueue,
    streams: RedisStreamsQueue,
    log: LogMessenger,
    webhook: WebhookMessenger,
    teams: TeamsMessenger,
    slack: SlackMessenger,
    kept: InProcessMonitor,
    otlp: OtelOtlpMonitor,
    token: TokenIdentity,
    oidc: OidcIdentity,
    notes: SqliteKnowledge,
    snipara: SniparaKnowledge,
) -> None:
    """Never called: mypy checks here that each provider is what its port says."""
    caches: tuple[Cache, ...] = (memory, redis, tiers)
    feed: InvalidationFeed = redis
    stores: tuple[SecretStore, ...] = (env, file)
    objects: ObjectStore = local
    executors: Executor = process
    clients: HTTPClient = client
    queues: tuple[Queue, ...] = (queue, streams)
    messengers: tuple[Messenger, ...] = (log, webhook, teams, slack)
    monitors: tuple[Monitor, ...] = (kept, otlp)
    identities: tuple[Identity, ...] = (token, oidc)
    knowledge: tuple[Knowledge, ...] = (notes, snipara)
    managed: tuple[Managed, ...] = (memory, redis, tiers, env, file, local, client, queue, streams)
    also: tuple[Managed, ...] = (log, webhook, teams, slack, kept, otlp, token, oidc, process)
    assert caches, (
        feed,
        stores,
        objects,
        executors,
        clients,
        queues,
        messengers,
        monitors,
        identities,
        knowledge,
    )
    knowing: tuple[Managed, ...] = (notes, snipara)
    assert managed, (also, knowing)
