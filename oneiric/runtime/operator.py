"""What a person can ask for and do: one method a verb, and one that lets who runs do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from oneiric.config import CachePaths, known_profiles
from oneiric.core.activity import ACTIVE, Activity, ActivityState
from oneiric.errors import JSONValue, UnavailableError
from oneiric.runtime.activity_answers import ActivityChange, ActivityListing
from oneiric.runtime.answer import Answer, View
from oneiric.runtime.answers import (
    ActionAnswer,
    ConfigListing,
    Explanation,
    Listing,
    PluginListing,
    Status,
    SwapAnswer,
)
from oneiric.runtime.component_desk import ComponentDesk
from oneiric.runtime.drain import Share, drained
from oneiric.runtime.lock import FolderLock
from oneiric.runtime.orchestrator import RuntimeOrchestrator
from oneiric.runtime.part import Part
from oneiric.to_end import run_to_end

if TYPE_CHECKING:
    from oneiric.core.plugin import Plugin
    from oneiric.core.ref import ComponentRef
    from oneiric.domains import ActionDescription
    from oneiric.runtime.end_failed import EndFailedError
    from oneiric.runtime.event_operator import EventOperator
    from oneiric.runtime.health_operator import HealthOperator
    from oneiric.runtime.live import Live
    from oneiric.runtime.notification_operator import Notice, NotificationOperator
    from oneiric.runtime.process_operator import ProcessOperator
    from oneiric.runtime.remote_operator import RemoteOperator
    from oneiric.runtime.secrets_operator import SecretsOperator
    from oneiric.runtime.serve_operator import ServeOperator
    from oneiric.runtime.work import Work
    from oneiric.runtime.workflows import WorkDesk

HERE: Mapping[str, str] = MappingProxyType(
    {
        **{name: name for name in ("list", "explain", "status", "swap", "rollback")},
        **{name: name for name in ("pause", "resume", "drain", "activity")},
        "action-invoke": "invoke",
        "event-emit": "events.emit",
        "remote-status": "remote.status",
        "remote-sync": "remote.apply",
        "secrets-rotate": "secrets.rotate",
        "workflow-enqueue": "work.enqueue",
        "workflow-plan": "work.plan",
        "workflow-run": "work.run",
    }
)
"""Each verb, and the method that does it where no orchestrator runs."""


class Operator:
    """Answer for commands: from what is configured and stored, changing nothing unasked.

    `do` has a running orchestrator of the folder answer, if there is one; every other method
    answers from this process and what is stored.

    Args:
        path: the configuration file, if named.
        profile: the profile, if named.
        folder: where to look for configuration and state; the working directory by default.
        plugins: further plugins of the program's own.
        view: tells what is seen where an answer is shown, once there is one.
    """

    events: Part[EventOperator] = Part("oneiric.runtime.event_operator:EventOperator")
    notifications: Part[NotificationOperator] = Part(
        "oneiric.runtime.notification_operator:NotificationOperator"
    )
    serving: Part[ServeOperator] = Part("oneiric.runtime.serve_operator:ServeOperator")
    processes: Part[ProcessOperator] = Part("oneiric.runtime.process_operator:ProcessOperator")
    health: Part[HealthOperator] = Part("oneiric.runtime.health_operator:HealthOperator")
    remote: Part[RemoteOperator] = Part("oneiric.runtime.remote_operator:RemoteOperator")
    secrets: Part[SecretsOperator] = Part("oneiric.runtime.secrets_operator:SecretsOperator")
    work: Part[WorkDesk] = Part("oneiric.runtime.workflows:desk_of")
    _hosts: Part[Callable[[bool], Work]] = Part("oneiric.runtime.work:hosts_of")
    _running: Part[Live | None] = Part("oneiric.runtime.live:live_of")

    def __init__(
        self,
        *,
        path: Path | None = None,
        profile: str | None = None,
        folder: Path | None = None,
        plugins: Iterable[Plugin] = (),
        view: Callable[[], View] = View,
    ) -> None:
        self.path = path
        self.profile = profile
        self.folder = folder
        self.view = view
        self._plugins = tuple(plugins)

    @cached_property
    def orchestrator(self) -> RuntimeOrchestrator:
        """The composed runtime that answers; nothing of it is brought up.

        What is stored as paused or draining is so in it. Where that cannot be read, it is
        among the warnings.
        """
        runtime = RuntimeOrchestrator.open(
            path=self.path, profile=self.profile, folder=self.folder, plugins=self._plugins
        )
        runtime.load_activity()
        return runtime

    def host(self, *, checkpoints: bool = True) -> Work:
        """Return everything that does work, for products that are made of it; nothing is entered.

        Args:
            checkpoints: whether runs outlive the process; else they are kept in memory.
        """
        return self._hosts(checkpoints)

    @property
    def socket(self) -> Path:
        """Where an orchestrator that runs in the folder is asked."""
        return CachePaths.under(self.folder or Path.cwd()).control

    @property
    def live(self) -> Live | None:
        """The orchestrator that runs in the folder, if there is one and it may answer.

        It does not answer for who names further plugins, or another configuration file or
        profile than it runs with: these ask about a process of their own.

        Raises:
            UnavailableError: there is one, and it cannot be asked or does not answer.
        """
        if self._plugins or not self.socket.exists():
            return None
        return self._running

    @property
    def nobody(self) -> str:
        """Why no running orchestrator did it: there is none, or it was not the one to ask."""
        holder = FolderLock(CachePaths.under(self.folder or Path.cwd()).lock).holder()
        if holder is None:
            return "no orchestrator runs here"
        mine = "further offers" if self._plugins else "another configuration"
        return f"process {holder.pid} runs here, but was not asked, for this command names {mine}"

    def do(self, verb: str, asked: Mapping[str, JSONValue], **here: Any) -> Answer:
        """Have *verb* done by the orchestrator that runs in the folder, else do it here.

        *asked* are the fields of the verb, `here` what only this process can do with.

        Raises:
            OneiricError: it was not done; whoever did not do it.
            UnavailableError: an orchestrator runs, and does not answer; nothing is done here.
        """
        live = self.live
        if live is not None:
            return live.ask(verb, asked)
        done: Callable[..., Answer] = attrgetter(HERE[verb])(self)
        return done(**asked, **here)

    @property
    def unclosed(self) -> EndFailedError | None:
        """What could not be closed after what was done here; the work itself counts."""
        runtime: RuntimeOrchestrator | None = vars(self).get("orchestrator")
        return runtime.unclosed if runtime else None

    @cached_property
    def _desk(self) -> ComponentDesk:
        return ComponentDesk(self.orchestrator)

    def list(self, *, domain: str = "", shadowed: bool = False) -> Listing:
        """Return who serves each place; `ComponentDesk.list` tells more."""
        return self._desk.list(domain=domain, shadowed=shadowed)

    def explain(
        self,
        ref: str = "",
        *,
        domain: str = "",
        key: str = "",
        provider: str = "",
        needs: Iterable[str] = (),
        assume: Iterable[str] = (),
    ) -> Explanation:
        """Return the decision for a reference; `ComponentDesk.explain` tells more."""
        return self._desk.explain(
            ref, domain=domain, key=key, provider=provider, needs=needs, assume=assume
        )

    def status(self, *, domain: str = "") -> Status:
        """Return how each component stands in this process."""
        return self._desk.status(domain=domain)

    def swap(
        self,
        ref: str,
        *,
        provider: str = "",
        clear: bool = False,
        dry_run: bool = False,
        actor: str = "cli",
    ) -> SwapAnswer:
        """Select *provider* for a place from now on, or with *clear* end that selection.

        The selection is stored; an orchestrator takes it up when it starts. One can be
        ended even for a place that nobody fills any more.

        Raises:
            InvalidError: neither or both of provider and clear are given.
            NoCandidateError, UnknownSelectionError: the provider may not serve.
            ConfigError: the provider's settings are wrong.
            StoreError: the selection was not stored, or would not be.
        """
        plan = self._desk.planned_swap(ref, provider=provider, clear=clear)
        wanted, stored = plan.provider, plan.ends_stored
        if not dry_run and (wanted or stored):
            self.orchestrator.stored.remember(plan.place, provider=wanted, actor=actor)
        return SwapAnswer(
            str(plan.place),
            wanted,
            "stored" if wanted or stored else "",
            plan.changes,
            dry_run=dry_run,
            cleared=stored,
        )

    def rollback(
        self, ref: str = "", *, domain: str = "", key: str = "", actor: str = ""
    ) -> SwapAnswer:
        """Refuse: only the process that swapped knows who served before.

        Raises:
            NotFoundError, InvalidError: there is no such component.
            UnavailableError: no orchestrator runs.
        """
        named = self.ref(ref, domain=domain, key=key)
        self.orchestrator.lifecycle.check_known(named)
        raise UnavailableError(
            f"{self.nobody}, and only one that runs knows who served {named} before",
            hint=f"oneiric swap {named.place} --provider NAME, or --clear",
        )

    def pause(
        self, ref: str = "", *, domain: str = "", key: str = "", note: str = "", actor: str = ""
    ) -> ActivityChange:
        """Let a component or an offer take no new work, in any process.

        Raises:
            NotFoundError: nobody offers it, and it is not paused or draining already.
            StoreError: it was not stored.
        """
        now = self.orchestrator.clock.now()
        paused = Activity(ActivityState.PAUSED, note, actor, now)
        return self._set_activity(self.ref(ref, domain=domain, key=key), paused)

    def resume(
        self, ref: str = "", *, domain: str = "", key: str = "", actor: str = ""
    ) -> ActivityChange:
        """Let it take work again; also what nobody offers any more. Who said so is not kept.

        Raises:
            NotFoundError, StoreError: as in `pause`.
        """
        return self._set_activity(self.ref(ref, domain=domain, key=key), ACTIVE)

    def drain(
        self,
        ref: str = "",
        *,
        domain: str = "",
        key: str = "",
        note: str = "",
        actor: str = "",
        wait: bool = False,
        limit: float | None = None,
        told: Callable[[Sequence[Share]], None] = lambda _: None,
    ) -> ActivityChange:
        """Let it take no new work, and with *wait* return when no process has any in flight.

        It waits for two polls, within which every running process answers, and then *limit*
        seconds, by default the configured limit of drains.

        Raises:
            NotFoundError, StoreError: as in `pause`.
            NotDrainedError: something was in flight at the end; it drains on.
        """
        runtime, named = self.orchestrator, self.ref(ref, domain=domain, key=key)
        activity = Activity(ActivityState.DRAINING, note, actor, runtime.clock.now())
        change = self._set_activity(named, activity)
        if not wait:
            return change
        waiting = drained(
            runtime.activity.store,
            named,
            clock=runtime.clock,
            interval=runtime.activity.interval,
            limit=runtime.lifecycle.builder.limits.drain if limit is None else limit,
            told=told,
        )
        return replace(change, shares=run_to_end(waiting))

    def activity(self, *, domain: str = "") -> ActivityListing:
        """Return everything that is paused or draining; `ComponentDesk.activity` tells more."""
        return self._desk.activity(domain=domain)

    def _set_activity(self, ref: ComponentRef[Any], activity: Activity) -> ActivityChange:
        """Store *activity*, unless nothing was stored and nothing is to be."""
        runtime, follower = self.orchestrator, self.orchestrator.activity
        stored = follower.store.snapshot()
        if ref not in stored:
            runtime.lifecycle.check_known(ref)
        before = stored.get(ref, ACTIVE)
        if activity is not ACTIVE or before is not ACTIVE:
            follower.store.set(ref, activity)
        place = stored.get(ref.place, ACTIVE) if ref.provider else ACTIVE
        return ActivityChange(str(ref), before, activity, place, follower.interval)

    def describe_action(self, key: str, *, provider: str = "") -> ActionDescription:
        """Return what an action takes and gives; nothing is brought up.

        Raises:
            NoCandidateError, UnknownSelectionError: nobody may serve it.
        """
        ref = self.ref(key, domain="action", provider=provider)
        return self.orchestrator.actions.describe(ref.key, provider=ref.provider)

    def invoke(
        self,
        action: str,
        payload: JSONValue,
        *,
        provider: str = "",
        notice: Mapping[str, JSONValue] | None = None,
    ) -> ActionAnswer:
        """Run an action in this process; `invoke_action` tells more, `Notice.said` of *notice*."""
        said = None if notice is None else self.notifications.said(notice)
        return run_to_end(self.invoke_action(action, payload, provider=provider, notice=said))

    async def invoke_action(
        self, key: str, payload: JSONValue, *, provider: str = "", notice: Notice | None = None
    ) -> ActionAnswer:
        """Run an action in this process, bringing up what it needs, and close it all again.

        With a *notice* the result is sent as that says; `NotificationOperator.invoke` tells more.

        Raises:
            NoCandidateError, UnknownSelectionError: nobody may serve it.
            InvalidPayloadError: the payload is not what it takes; every problem.
            OneiricError: it failed, was refused or took too long.
        """
        if notice is not None:
            return await self.notifications.invoke(key, payload, notice, provider=provider)
        ref = self.ref(key, domain="action", provider=provider)
        async with self.orchestrator.once() as runtime:
            return await invoked(runtime, ref, payload)

    def plugins(self) -> PluginListing:
        """Return every plugin that was found, with what it brought or why nothing."""
        runtime = self.orchestrator
        return PluginListing(runtime.discovered, runtime.lifecycle.builder.allowed)

    def settings(self, *, sources: bool = False) -> ConfigListing:
        """Return every effective setting, those of providers in use too, secrets redacted.

        Raises:
            ConfigError: the settings of a provider in use are wrong; carries every problem.
        """
        config, found = self.orchestrator.config, self.orchestrator.settings_in_use.listing()
        return ConfigListing(found, config.profile, str(config.file or ""), sources)

    def profiles(self) -> tuple[str, ...]:
        """Return the names of all profiles, built in and of the configuration file."""
        return known_profiles(path=self.path, folder=self.folder)

    def ref(
        self, text: str = "", *, domain: str = "", key: str = "", provider: str = ""
    ) -> ComponentRef[Any]:
        """Return the reference that is named; `ComponentDesk.ref` tells more."""
        return self._desk.ref(text, domain=domain, key=key, provider=provider)


def hosted(
    *,
    path: Path | None = None,
    profile: str | None = None,
    folder: Path | None = None,
    checkpoints: bool = True,
) -> Work:
    """Return everything that does work, composed as for a command; `oneiric.domains.host` asks.

    Raises:
        ConfigError: the configuration is wrong; carries every problem.
    """
    return Operator(path=path, profile=profile, folder=folder).host(checkpoints=checkpoints)


async def invoked(
    runtime: RuntimeOrchestrator,
    ref: ComponentRef[Any],
    payload: JSONValue,
    *,
    applied: str = "local",
) -> ActionAnswer:
    """Run an action in a runtime that was entered; `Operator.invoke_action` tells more."""
    candidate = runtime.resolver.resolve(ref)
    with runtime.telemetry.action(str(candidate.ref), candidate.provider):
        result = await runtime.actions.execute(ref.key, payload, provider=ref.provider)
    return ActionAnswer(str(candidate.ref), candidate.provider, result, applied)
