"""Where messages for people go: routes, as workflows declare them and commands override them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue

from oneiric.core.ref import ComponentRef
from oneiric.documents import json_value
from oneiric.documents.model import validate_settings
from oneiric.domains.metadata import InvalidMetadataError
from oneiric.domains.workflows.spec import NOTIFICATIONS, notifications_of
from oneiric.errors import ConfigError, DocumentError, JSONValue, Problem
from oneiric.ports.messaging import LONGEST_NAME, LONGEST_TITLE, MESSAGING, Messenger

if TYPE_CHECKING:
    from oneiric.core.candidate import Candidate

NOTIFY = "workflow.notify"
"""The action whose result is a message."""

TIMED_OUT = "timed-out"
_OWN = "x-"
_NOTHING: Mapping[str, JSONValue] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRoute:
    """Say who carries a message, where to, and how much of it.

    >>> route = NotificationRoute(channel="orders")
    >>> route.target_for("deploys"), route.target_for("")
    ('deploys', 'orders')
    >>> str(NotificationRoute(provider="slack").ref)
    'adapter:messaging@slack'

    Args:
        provider: the provider to ask for; empty for whoever serves.
        adapter_key: the key of the place that it serves.
        target: where every message goes, whatever it says itself.
        channel: where a message goes that names no channel.
        title: the title; empty for the key of the workflow.
        include_context: whether the facts go with it.
        extra_payload: fields of the provider's own.
        on: the ends of a run that are told by it; what a step or a person sends goes there
            always.
    """

    provider: str = ""
    adapter_key: str = MESSAGING.key
    target: str = ""
    channel: str = ""
    title: str = ""
    include_context: bool = True
    extra_payload: Mapping[str, JSONValue] = field(default_factory=lambda: _NOTHING)
    on: tuple[str, ...] = ()

    @property
    def ref(self) -> ComponentRef[Messenger]:
        """Who carries it.

        Raises:
            InvalidRefError: the key or the provider is no name.
        """
        place: ComponentRef[Messenger] = ComponentRef(f"{MESSAGING.domain}:{self.adapter_key}")
        return place.offer(self.provider) if self.provider else place

    def target_for(self, channel: str) -> str:
        """Return where a message goes that names *channel*, or an empty string, itself."""
        return self.target or channel or self.channel

    def wants(self, end: str) -> bool:
        """Whether it is told that a run ended so; `timed-out` is a way to have `failed`.

        >>> NotificationRoute(on=("failed",)).wants("timed-out")
        True
        """
        return end in self.on or (end == TIMED_OUT and "failed" in self.on)

    def over(self, below: NotificationRoute) -> NotificationRoute:
        """Return *below* with the provider, target and title that this one names."""
        said = {name: getattr(self, name) for name in ("provider", "target", "title")}
        return replace(below, **{name: value for name, value in said.items() if value})


class RouteSpec(BaseModel):
    """One route in the metadata of a workflow."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    provider: str = Field("", validation_alias=AliasChoices("provider", "adapter_provider"))
    adapter_key: str = Field(MESSAGING.key, min_length=1)
    target: str = Field("", max_length=LONGEST_NAME)
    channel: str = Field("", max_length=LONGEST_NAME)
    title: str = Field("", max_length=LONGEST_TITLE)
    include_context: bool = True
    extra_payload: dict[str, JsonValue] = Field(default_factory=dict)
    on: list[Literal["succeeded", "failed", "timed-out", "canceled"]] = Field(default_factory=list)


def routes_of(candidate: Candidate) -> tuple[NotificationRoute, ...]:
    """Return the routes that a workflow declares under `notifications`: a table, or a list of such.

    Names that begin with `x-` are left out.

    Raises:
        InvalidMetadataError: every problem with them.
    """
    routes, problems, origin = [], list[Problem](), str(candidate.source)
    declared = _plain(notifications_of(candidate), problems, origin)
    listed = declared if isinstance(declared, list) else [declared] if declared else []
    for number, value in enumerate(listed):
        at = f"{NOTIFICATIONS}.{number}" if isinstance(declared, list) else NOTIFICATIONS
        if not isinstance(value, Mapping):
            problems.append(Problem(at, "it must be a table", origin))
            continue
        table = {name: each for name, each in value.items() if not name.startswith(_OWN)}
        try:
            spec = validate_settings(RouteSpec, table, key=at, origin_of=lambda _: origin)
        except ConfigError as error:
            problems += error.problems
        else:
            routes.append(NotificationRoute(**{**dict(spec), "on": tuple(spec.on)}))
    if problems:
        raise InvalidMetadataError(candidate, problems)
    return tuple(routes)


def _plain(declared: object, problems: list[Problem], origin: str) -> JSONValue:
    try:
        return json_value(declared)
    except DocumentError as error:
        at = ".".join(filter(None, (NOTIFICATIONS, error.path)))
        problems.append(Problem(at, error.problem, origin))
        return None
