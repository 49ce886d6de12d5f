"""The sections of the configuration, and the variables with names of their own."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from oneiric.core.backoff import Backoff
from oneiric.core.build import PhaseLimits
from oneiric.core.quarantine import QuarantinePolicy
from oneiric.domains import ALL, DomainSettings


class AppSettings(BaseModel):
    """Who this deployment is, in logs and reports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "oneiric"
    environment: str = "development"


class ResolverSettings(BaseModel):
    """How offers are ranked: the stack order, and what an unknown selection means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stack_order: str = ""
    strict_selections: bool = True


class LifecycleSettings(BaseModel):
    """How long each phase may take, and what happens to components that fail.

    `probation_seconds` is how long a swapped-in component is watched before the old one
    goes; `quarantine_after` is how many failures in a row exclude an offer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    activation_timeout: float = Field(30.0, gt=0, le=86_400)
    health_timeout: float = Field(5.0, gt=0, le=86_400)
    hook_timeout: float = Field(5.0, gt=0, le=86_400)
    drain_timeout: float = Field(30.0, gt=0, le=86_400)
    cleanup_timeout: float = Field(10.0, gt=0, le=86_400)
    probation_seconds: float = Field(0.0, ge=0, le=86_400)
    failover: bool = True
    quarantine_after: int = Field(3, ge=1, le=1_000)
    quarantine_seconds: float = Field(5.0, gt=0, le=86_400)
    quarantine_max_seconds: float = Field(300.0, gt=0, le=86_400)

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


class PluginSettings(BaseModel):
    """Which installed distributions may bring candidates, and what they may load.

    An empty `allow` admits all that `deny` does not name. A plugin may name factories in
    its own package and below `allowed_prefixes`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    auto_load: bool = True
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    allowed_prefixes: tuple[str, ...] = ()


class LoggingSettings(BaseModel):
    """What is logged, to stderr, and how: lines of text or of JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal["debug", "info", "warning", "error"] = "warning"
    emit_json: bool = False


SECTIONS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "app": AppSettings,
        "resolver": ResolverSettings,
        **{domain.section: DomainSettings for domain in ALL.values()},
        "lifecycle": LifecycleSettings,
        "plugins": PluginSettings,
        "logging": LoggingSettings,
    }
)

VARIABLES: Mapping[str, str] = MappingProxyType({"ONEIRIC_STACK_ORDER": "resolver.stack_order"})
