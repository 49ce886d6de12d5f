"""The sections of the configuration, and the variables with names of their own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from oneiric.backoff import Backoff
from oneiric.core.build import PhaseLimits
from oneiric.core.precedence import StackOrder
from oneiric.core.quarantine import QuarantinePolicy
from oneiric.documents.model import refused
from oneiric.domains import ALL, DomainSettings, Name
from oneiric.errors import ConfigError
from oneiric.remote.settings import RemoteSettings


def is_safe_endpoint(url: str) -> bool:
    """Tell whether what is sent to *url* stays unread on its way, and no password stands in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port, (parts.hostname or "").encode("idna")
    except ValueError:
        return False
    here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    is_private = parts.scheme == "https" or (parts.scheme == "http" and here)
    return is_private and bool(parts.hostname) and parts.username is None


def _is_sendable(text: str) -> bool:
    """Tell whether *text* can stand in the head of a request."""
    return text.isascii() and text.isprintable()


def _token(token: SecretStr) -> SecretStr:
    if not _is_sendable(token.get_secret_value()):
        raise refused("a token is one line of printable ASCII characters")
    return token


class AppSettings(BaseModel):
    """Who this deployment is, in `oneiric status`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "oneiric"
    """The name of the deployment; told by `config show`."""
    environment: str = "development"
    """Where it runs, such as `production`; told by `config show`."""


def _stack_order(text: str) -> str:
    try:
        StackOrder.parse(text, origin="")
    except ConfigError as error:
        raise refused(f"{error.problems[0].what}; {error.hint}") from error
    return text


class ResolverSettings(BaseModel):
    """How offers are ranked: the stack order, and what an unknown selection means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stack_order: Annotated[str, AfterValidator(_stack_order)] = ""
    """Stacks from bottom to top, as in `base,team,site:50`; empty leaves offers their own level."""
    strict_selections: bool = True
    """Whether a selection that names nobody is an error; else a warning, and the rules go on."""


class LifecycleSettings(BaseModel):
    """How long each phase may take, and what happens to components that fail."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    activation_timeout: float = Field(30.0, gt=0, le=86_400)
    """Seconds for making an instance, and again for its `init`."""
    health_timeout: float = Field(5.0, gt=0, le=86_400)
    """Seconds for one health check."""
    hook_timeout: float = Field(5.0, gt=0, le=86_400)
    """Seconds for one hook, and for `pause` and `resume` of a component."""
    drain_timeout: float = Field(30.0, gt=0, le=86_400)
    """Seconds that holders of an old instance get to finish."""
    cleanup_timeout: float = Field(10.0, gt=0, le=86_400)
    """Seconds for cleaning an instance up."""
    probation_seconds: float = Field(0.0, ge=0, le=86_400)
    """Seconds after which a swapped-in component is probed once more; 0 for no such probe."""
    failover: bool = True
    """Whether the next best serves while a better offer is quarantined or paused."""
    quarantine_after: int = Field(3, ge=1, le=1_000)
    """Failures in a row that exclude an offer."""
    quarantine_seconds: float = Field(5.0, gt=0, le=86_400)
    """Seconds that the first exclusion lasts; each further one lasts twice as long."""
    quarantine_max_seconds: float = Field(300.0, gt=0, le=86_400)
    """Seconds that no exclusion exceeds."""

    @property
    def limits(self) -> PhaseLimits:
        """The limits in the kernel's words."""
        return PhaseLimits(
            create=self.activation_timeout,
            init=self.activation_timeout,
            health=self.health_timeout,
            hook=self.hook_timeout,
            drain=self.drain_timeout,
            cleanup=self.cleanup_timeout,
            probation=self.probation_seconds,
        )

    @property
    def quarantine(self) -> QuarantinePolicy:
        """The quarantine in the kernel's words."""
        backoff = Backoff(
            base_seconds=self.quarantine_seconds, max_seconds=self.quarantine_max_seconds
        )
        return QuarantinePolicy(failures=self.quarantine_after, backoff=backoff)


class ActivitySettings(BaseModel):
    """Where it is kept what is paused or draining, and how soon other processes notice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: str = ""
    """The database, seen from the working folder; empty for the one below `.oneiric_cache`."""
    poll_interval: float = Field(0.5, ge=0.01, le=3_600)
    """Seconds after which a running process looks again at what others stored."""


class RunSettings(BaseModel):
    """How safely runs are stored, and when others may take one up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    durability: Literal["power-loss", "kill"] = "power-loss"
    """What a stored step outlives; with the faster `kill`, a loss of power may undo the last."""
    lease_seconds: float = Field(30.0, ge=1, le=86_400)
    """Seconds after which a run can be taken up whose process is not heard of any more."""
    recover_at_once: int = Field(16, ge=1, le=10_000)
    """Runs that were left, and that a worker works on at the same time beside its messages."""


class WorkerSettings(BaseModel):
    """How much a worker takes on at once, and how long things take."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: int = Field(4, ge=1, le=1_000)
    """Messages that are worked on at the same time."""
    beat_seconds: float = Field(15.0, gt=0, le=86_400)
    """How often messages under way are prolonged; never rarer than thrice a visibility timeout."""
    back_seconds: float = Field(5.0, gt=0, le=86_400)
    """Seconds after which a message that cannot be worked on now is given back."""
    max_deliveries: int = Field(5, ge=1, le=1_000)
    """Deliveries after which a message whose work cannot be begun is set aside."""
    grace_seconds: float = Field(30.0, ge=0, le=86_400)
    """Seconds that work under way gets to finish after SIGTERM or SIGINT."""


class OrchestratorSettings(BaseModel):
    """How a long-running orchestrator tells how it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    health_path: str = ""
    """The file of its health, from the working directory; empty for that below `.oneiric_cache`."""
    health_interval: float = Field(5.0, ge=0.05, le=3_600)
    """Seconds between two writings of it; each change of its own state is written at once."""


class HttpSettings(BaseModel):
    """Where callbacks and questions come in over HTTP, from whom, and how much of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", min_length=1)
    """The address to listen on; where others reach it, nobody is let in without an identity."""
    port: int | None = Field(None, ge=0, le=65_535)
    """The port; 0 for any that is free. Without one HTTP is served only where a start names one."""
    identity: str = ""
    """The provider of `adapter:identity` that knows who may call; empty for this machine only."""
    max_body_bytes: int = Field(1 << 20, ge=1, le=64 << 20)
    """The longest body that is taken."""
    concurrency: int = Field(100, ge=1, le=10_000)
    """Callbacks that are worked on at the same time; others are asked to come again."""
    connections: int = Field(2_000, ge=1, le=100_000)
    """Connections at the same time; beyond that idle ones are closed."""
    answer_seconds: float = Field(240.0, gt=0, le=1_800)
    """Seconds after which the sender is told that its run is under way, and shall ask again."""
    idle_seconds: float = Field(30.0, gt=0, le=3_600)
    """Seconds for the head of a request, and for which a connection may be idle."""
    body_seconds: float = Field(30.0, gt=0, le=3_600)
    """Seconds for the body of a request, and for its sender to take the answer."""


class WatchSettings(BaseModel):
    """Whether a running program follows its configuration file, and how it notices a change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    """Whether the file is watched; without, it is read again only when somebody asks for that."""
    poll_interval: float = Field(0.0, ge=0, le=3_600)
    """Seconds between two looks at the file, where the system tells nothing; 0 has it tell."""
    debounce: float = Field(0.1, ge=0, le=60)
    """Seconds for which nothing more may change before a change counts."""


class ServicePolicy(BaseModel):
    """How one service is looked after; what is not set here is as the section above says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_up: bool = True
    """Whether it is started without being asked for; else it is looked after once it is up."""
    probe_interval: float = Field(default=10.0, ge=0.01, le=86_400)
    """Seconds between two probes of its health."""
    unhealthy_after: int = Field(default=3, ge=1, le=1_000)
    """Failed probes in a row after which it is restarted."""
    max_restarts: int = Field(default=5, ge=0, le=1_000)
    """Restarts within the window after which it is given up; 0 for no restart at all."""
    window_seconds: float = Field(default=300.0, gt=0, le=86_400)
    """Seconds for which a restart counts."""
    backoff_seconds: float = Field(default=1.0, ge=0, le=86_400)
    """Seconds before the first restart within the window."""
    backoff_factor: float = Field(default=2.0, ge=1, le=1_000)
    """How many times as long the wait before each further one is."""
    backoff_max_seconds: float = Field(default=60.0, ge=0, le=86_400)
    """Seconds that no such wait exceeds."""

    @property
    def backoff(self) -> Backoff:
        """The waits in the words of the ground floor."""
        return Backoff(
            base_seconds=self.backoff_seconds,
            factor=self.backoff_factor,
            max_seconds=self.backoff_max_seconds,
        )


class SupervisorSettings(ServicePolicy):
    """How services are kept up by a running program; its keys count for each but `services`."""

    enabled: bool = True
    """Whether services are looked after at all."""
    poll_interval: float = Field(default=0.5, ge=0.01, le=3_600)
    """Seconds between two looks at what is due, and at what was paused or resumed."""
    services: dict[Name, ServicePolicy] = Field(default_factory=dict)
    """Key of a service to what is different for it."""

    def policy_of(self, key: str) -> ServicePolicy:
        """Return how the service of that key is looked after."""
        values = self.model_dump(include=set(ServicePolicy.model_fields))
        if key in self.services:
            values |= self.services[key].model_dump(exclude_unset=True)
        return ServicePolicy.model_validate(values)


class PluginSettings(BaseModel):
    """Which installed distributions may bring candidates, and what they may load."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    auto_load: bool = True
    """Whether plugins of other distributions are loaded at all."""
    allow: tuple[str, ...] = ()
    """The only distributions that may bring candidates; empty for all."""
    deny: tuple[str, ...] = ()
    """Distributions that may not."""
    allowed_prefixes: tuple[str, ...] = ()
    """Packages that plugins may take factories from, beside our own and each plugin's own."""
    load_timeout: float = Field(default=10.0, gt=0, le=86_400)
    """Seconds that a plugin may take to load before the others go on without it."""


class SecretsSettings(BaseModel):
    """Where the secrets are that settings name, and for how long one that was read counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    domain: Literal["adapter", "service"] = "adapter"
    """The domain of the store."""
    key: Name = "secrets"
    """The key of the store."""
    provider: Name | Literal[""] = ""
    """The provider of the store; empty for whoever serves."""
    inline: dict[str, SecretStr] = Field(default_factory=dict)
    """Secrets by name, for development only; they count before those of any store."""
    cache_ttl_seconds: float = Field(600.0, ge=0, le=86_400)
    """Seconds for which a secret that was read is not read again."""
    stale_seconds: float = Field(0.0, ge=0, le=86_400)
    """Seconds beyond that for which it still counts while the store cannot be reached."""
    refresh_interval: float = Field(0.0, ge=0, le=86_400)
    """Seconds between two rotations of all that is in use; 0 for none unless asked for."""
    timeout_seconds: float = Field(10.0, gt=0, le=3_600)
    """Seconds that a store may take for one secret."""
    max_cached: int = Field(1_000, ge=1, le=100_000)
    """Secrets that are kept; beyond that those that were not asked for longest are forgotten."""


class LogSinkSettings(BaseModel):
    """One place to which events are written."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    target: Literal["stderr", "stdout", "file", "http"]
    """Where to; `stdout` is for programs that serve: a command writes to stderr instead."""
    level: Literal["debug", "info", "warning", "error"] | None = None
    """The least serious events that are written there; that of the section without one."""
    emit_json: bool | None = None
    """Whether each is a line of JSON; as the section says without it. Over HTTP it always is."""
    path: str = ""
    """The file, seen from the working folder; made with mode 0600. One process writes it."""
    max_bytes: int = Field(10_000_000, ge=1_000, le=1 << 30)
    """How large the file grows before another is begun."""
    backup_count: int = Field(5, ge=1, le=100)
    """How many earlier files are kept, as `path.1` and so on."""
    endpoint: str = ""
    """The address to which lines are posted; `https`, or `http` on this machine."""
    token: Annotated[SecretStr, AfterValidator(_token)] | None = None
    """Sent as a bearer token."""
    buffer: int = Field(1_000, ge=1, le=100_000)
    """How many lines wait for a receiver that is slow; what comes then is dropped and counted."""
    timeout_seconds: float = Field(5.0, gt=0, le=60)
    """How long one post may take."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for target, name in (("file", "path"), ("http", "endpoint")):
            if bool(getattr(self, name)) is not (self.target == target):
                raise refused(f"{name} belongs to a sink with the target {target}, and only there")
        if self.endpoint and not is_safe_endpoint(self.endpoint):
            raise refused("an endpoint is https, or http on this machine, without a password in it")
        asked = urlsplit(self.endpoint)
        if " " in self.endpoint or not _is_sendable(f"{asked.path}{asked.query}"):
            raise refused("the path of an endpoint is ASCII, with %20 for a blank")
        return self


class LoggingSettings(BaseModel):
    """What is logged, to where, and how: lines of text or of JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    level: Literal["debug", "info", "warning", "error"] = "warning"
    """The least serious events that are written."""
    emit_json: bool = False
    """Whether each event is a line of JSON."""
    sinks: tuple[LogSinkSettings, ...] = Field(default=(), max_length=8)
    """Where events are written; without any, to stderr."""


class TelemetrySettings(BaseModel):
    """What is remembered of the latest work, and how often it is written and exported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    """Whether `.oneiric_cache/runtime_telemetry.json` is written at all."""
    write_seconds: float = Field(1.0, ge=0.05, le=3_600)
    """Seconds between two writes of it, at least."""
    history: int = Field(50, ge=0, le=1_000)
    """How many of the latest events, workflows, actions and swaps it names."""
    export_seconds: float = Field(15.0, ge=0.05, le=3_600)
    """Seconds between two exports of traces and metrics to whoever serves `adapter:monitoring`."""


SECTIONS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "app": AppSettings,
        "resolver": ResolverSettings,
        **{domain.section: DomainSettings for domain in ALL.values()},
        "lifecycle": LifecycleSettings,
        "activity": ActivitySettings,
        "plugins": PluginSettings,
        "remote": RemoteSettings,
        "orchestrator": OrchestratorSettings,
        "http": HttpSettings,
        "runs": RunSettings,
        "runtime_supervisor": SupervisorSettings,
        "secrets": SecretsSettings,
        "watch": WatchSettings,
        "worker": WorkerSettings,
        "logging": LoggingSettings,
        "telemetry": TelemetrySettings,
    }
)

VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "ONEIRIC_STACK_ORDER": "resolver.stack_order",
        "ONEIRIC_ACTIVITY_STORE": "activity.store",
    }
)
