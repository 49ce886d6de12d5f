"""The verbs that a running orchestrator understands, as data; `openapi` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

VERSION = "v1"
ANSWER = "application/vnd.oneiric.answer+json"
"""What a client accepts that wants the document and the text: the two, `errors` and `notices`."""

COLUMNS = "Oneiric-Columns"
COLOUR = "Oneiric-Colour"

Name = Annotated[str, Field(max_length=400)]
Ref = Annotated[str, Field(max_length=400, description="`domain:key`, a key, or an offer.")]
Domain = Annotated[str, Field(max_length=400, description="One domain; all without it.")]
Provider = Annotated[str, Field(max_length=400, description="Who shall serve.")]
Text = Annotated[str, Field(max_length=4_000)]
Actor = Annotated[str, Field(max_length=400, description="Who says so.")]
Table = Annotated[dict[str, JsonValue], Field(description="A JSON table.")]


class Asks(BaseModel):
    """What a verb is asked with; a field that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class Listed(Asks):
    """Which places are listed."""

    domain: Domain = ""
    shadowed: bool = Field(default=False, description="Who does not serve, instead of who does.")


class Explained(Asks):
    """Which decision is explained, and what is assumed."""

    ref: Ref = ""
    domain: Domain = ""
    key: Name = ""
    provider: Name = ""
    needs: list[Name] = Field(default=[], max_length=100, description="Capabilities.")
    assume: list[Name] = Field(
        default=[], max_length=100, description="`select=PROVIDER` or `withdraw=PROVIDER`."
    )


class OfDomain(Asks):
    """Whether one domain is asked about, or all."""

    domain: Domain = ""


class Nothing(Asks):
    """Nothing has to be said."""


class Component(Asks):
    """Which component is meant."""

    ref: Ref = ""
    domain: Domain = ""
    key: Name = ""


class Swapped(Asks):
    """Who shall serve a place from now on."""

    ref: Ref
    provider: Provider = ""
    clear: bool = Field(default=False, description="End the selection of an earlier swap.")
    dry_run: bool = Field(default=False, description="Tell only which decisions would change.")
    actor: Actor = ""


class RolledBack(Component):
    """Which place goes back to who served it before."""

    actor: Actor = ""


class Resumed(Component):
    """What takes work again."""

    actor: Actor = ""


class Paused(Component):
    """What takes no new work, and why."""

    note: Text = ""
    actor: Actor = ""


class Drained(Paused):
    """What takes no new work, and whether to wait until nothing of it is in flight."""

    wait: bool = False
    limit: float | None = Field(default=None, ge=0, le=86_400, description="Seconds to wait.")


class Synced(Asks):
    """Which sources of manifests are looked at."""

    manifest: Text = Field(default="", description="Only this one: its address or path.")
    trust: Text = Field(default="", description="The trust root of one that is not configured.")
    dry_run: bool = Field(default=False, description="Tell only what would change.")


class Planned(Asks):
    """Which workflow is looked at, or all."""

    workflow: Name = ""
    mermaid: bool = Field(default=False, description="As text: a Mermaid flowchart.")


class Run(Asks):
    """Which workflow is run, on what."""

    workflow: Name
    context: Table | None = None
    resume: bool = Field(default=False, description="Go on with the newest unfinished run.")
    force: bool = Field(default=False, description="Go on though the workflow has changed.")


class Queued(Asks):
    """Which workflow is put into a queue, for whichever worker takes it."""

    workflow: Name
    context: Table | None = None
    metadata: Table | None = None
    category: Name = ""
    queue: Name = Field(default="", description="The queue's provider.")


class Emitted(Asks):
    """What happened."""

    topic: Text
    payload: JsonValue = None


class Notified(Asks):
    """Where the result of an action is sent to."""

    workflow: Name = Field(default="", description="Whose routes are taken.")
    send: bool = False
    provider: Name = ""
    target: Text = ""
    title: Text = ""


class Invoked(Asks):
    """Which action is run, on what."""

    action: Name
    payload: JsonValue = Field(default_factory=dict)
    provider: Name = ""
    notice: Notified | None = None


class Rotated(Asks):
    """Which secrets are read anew."""

    keys: list[Name] = Field(default=[], max_length=1_000, description="Their names.")
    every: bool = Field(default=False, description="All that are in use or kept, instead.")


@dataclass(frozen=True, slots=True)
class Verb:
    """One thing that can be asked for: `GET` where it only reads, else `POST`."""

    name: str
    summary: str
    asks: type[Asks]
    reads: bool = False

    @property
    def path(self) -> str:
        """Where it is asked for."""
        return f"/{VERSION}/{self.name}"


_ALL = (
    Verb("ping", "Say who answers, and whether it is ready.", Nothing, reads=True),
    Verb("health", "Tell how the orchestrator and all of it stands.", Nothing, reads=True),
    Verb("status", "Show how each component stands.", OfDomain, reads=True),
    Verb("list", "List who serves each component.", Listed, reads=True),
    Verb("explain", "Say who serves a component, and why.", Explained, reads=True),
    Verb("activity", "List what is paused or draining.", OfDomain, reads=True),
    Verb("remote-status", "Show how each source of manifests stands.", Nothing, reads=True),
    Verb("workflow-plan", "Show the steps of workflows.", Planned, reads=True),
    Verb("swap", "Swap a running component, and store the selection.", Swapped),
    Verb("rollback", "Swap back to who served before the last swap.", RolledBack),
    Verb("pause", "Let a component take no new work.", Paused),
    Verb("resume", "Let a component take work again.", Resumed),
    Verb("drain", "Pause, and wait for what is in flight.", Drained),
    Verb("probe", "Ask a component whether it is healthy.", Component),
    Verb("remote-sync", "Apply what sources of manifests publish.", Synced),
    Verb("secrets-rotate", "Read secrets anew, and swap what was made with old ones.", Rotated),
    Verb("workflow-run", "Run a workflow, and answer when it is over or waits.", Run),
    Verb("workflow-enqueue", "Put a workflow into a queue.", Queued),
    Verb("event-emit", "Dispatch an event, and tell what came of it.", Emitted),
    Verb("action-invoke", "Run an action once.", Invoked),
    Verb("reload", "Read the configuration anew.", Nothing),
    Verb("stop", "End the orchestrator, as SIGTERM does.", Nothing),
)

VERBS: Mapping[str, Verb] = MappingProxyType({verb.name: verb for verb in _ALL})
"""Every verb by its name; a further one is a row here, and one in `runtime.control_verbs`."""
