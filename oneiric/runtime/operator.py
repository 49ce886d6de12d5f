"""What a person can ask for and do: one method a verb."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oneiric.config import known_profiles
from oneiric.core.activity import ACTIVE, Activity, ActivityState
from oneiric.core.precedence import Selection
from oneiric.core.ref import DOMAINS, ComponentRef
from oneiric.core.resolver import Assumption
from oneiric.errors import InvalidError, JSONValue, NotFoundError
from oneiric.runtime.activity_answers import ActivityChange, ActivityEntry, ActivityListing
from oneiric.runtime.answers import (
    ActionAnswer,
    ConfigListing,
    Explanation,
    Listing,
    PluginListing,
    Status,
    SwapAnswer,
)
from oneiric.runtime.drain import Share, drained, shares_of
from oneiric.runtime.orchestrator import RuntimeOrchestrator
from oneiric.runtime.part import Part
from oneiric.runtime.settings import AppSettings
from oneiric.runtime.telemetry_file import TelemetryFile

if TYPE_CHECKING:
    from oneiric.core.plugin import Plugin
    from oneiric.domains import ActionDescription
    from oneiric.runtime.event_operator import EventOperator
    from oneiric.runtime.health_operator import HealthOperator
    from oneiric.runtime.notification_operator import Notice, NotificationOperator
    from oneiric.runtime.process_operator import ProcessOperator
    from oneiric.runtime.remote_operator import RemoteOperator
    from oneiric.runtime.secrets_operator import SecretsOperator
    from oneiric.runtime.serve_operator import ServeOperator
    from oneiric.runtime.stored import Dormant


class Operator:
    """Answer for commands: from what is configured and stored, changing nothing unasked.

    Args:
        path: the configuration file, if named.
        profile: the profile, if named.
        folder: where to look for configuration and state; the working directory by default.
        plugins: further plugins of the program's own.
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

    def __init__(
        self,
        *,
        path: Path | None = None,
        profile: str | None = None,
        folder: Path | None = None,
        plugins: Iterable[Plugin] = (),
    ) -> None:
        self._path = path
        self._profile = profile
        self._folder = folder
        self._plugins = tuple(plugins)

    @cached_property
    def orchestrator(self) -> RuntimeOrchestrator:
        """The composed runtime that answers; nothing of it is brought up.

        What is stored as paused or draining is so in it. Where that cannot be read, it is
        among the warnings.
        """
        runtime = RuntimeOrchestrator.open(
            path=self._path, profile=self._profile, folder=self._folder, plugins=self._plugins
        )
        runtime.load_activity()
        return runtime

    def list(self, *, domain: str = "", shadowed: bool = False) -> Listing:
        """Return who serves each place, or with *shadowed* who does not.

        Raises:
            NotFoundError: there is no such domain.
        """
        resolver = self.orchestrator.resolver
        refs = resolver.registry.refs(self._domain(domain))
        return Listing(tuple(resolver.explain(ref) for ref in refs), domain, shadowed)

    def explain(
        self,
        text: str = "",
        *,
        domain: str = "",
        key: str = "",
        provider: str = "",
        needs: Iterable[str] = (),
        assume: Iterable[str] = (),
    ) -> Explanation:
        """Return the decision for a reference, or for a key of a domain.

        *assume* holds `select=PROVIDER` or `withdraw=PROVIDER`, about this reference, or
        with a whole offer `domain:key@provider` about another.

        Raises:
            NoCandidateError: nothing was ever registered for it.
            NotFoundError: nobody offers what *assume* withdraws.
        """
        ref = self.ref(text, domain=domain, key=key, provider=provider)
        resolver = self.orchestrator.resolver
        decision = resolver.explain(ref, needs=needs)
        if not decision.standings and decision.problem is not None:
            raise decision.problem
        wanted, dormant = tuple(assume), self.orchestrator.stored.dormant(ref.place)
        activity = self.orchestrator.lifecycle.activity.get(ref)
        if not wanted:
            return Explanation(decision, dormant=dormant, activity=activity)
        assumption = _assumption(ref, wanted)
        self._check_withdrawn(assumption)
        assumed = resolver.explain(ref, needs=needs, assume=assumption)
        return Explanation(assumed, decision.diff(assumed), dormant, activity)

    def _check_withdrawn(self, assumption: Assumption) -> None:
        for offer in assumption.withdraw:
            named: ComponentRef[Any] = ComponentRef(offer)
            offers = self.orchestrator.resolver.registry.offers(named.place)
            known = [candidate.provider for candidate in offers]
            if not known:
                hint = "oneiric list shows what there is"
                raise NotFoundError("candidate for", named.place, hint=hint)
            if named.provider not in ("", *known):
                what, hint = f"candidate for {named.place} by", f"oneiric explain {named.place}"
                raise NotFoundError(what, named.provider, known=known, hint=hint)

    def status(self, *, domain: str = "") -> Status:
        """Return how each component stands in this process."""
        listing = self.list(domain=domain)
        lifecycle, config = self.orchestrator.lifecycle, self.orchestrator.config
        rows = tuple((each, lifecycle.status(each.ref)) for each in listing.decisions)
        app = config.section("app")
        assert isinstance(app, AppSettings)
        dormant: dict[str, Dormant] = {}
        for each in listing.decisions:
            if found := self.orchestrator.stored.dormant(each.ref):
                dormant[each.ref] = found
        return Status(
            rows,
            dormant,
            app.name,
            app.environment,
            config.profile,
            str(config.file or ""),
            telemetry=TelemetryFile.read(self.orchestrator.paths.telemetry),
        )

    def swap(
        self, text: str, *, provider: str = "", clear: bool = False, dry_run: bool = False
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
        ref = self.ref(text, provider=provider)
        place, wanted = ref.place, ref.provider
        if bool(wanted) is clear:
            raise InvalidError(
                "swap needs a provider, or --clear, and not both",
                hint=f"oneiric swap {place} --provider NAME",
            )
        runtime, resolver = self.orchestrator, self.orchestrator.resolver
        if runtime.stored.problem is not None:
            raise runtime.stored.problem.again()
        stored = clear and place in runtime.stored.kept
        choice = Selection.of(place, wanted, origin="swap") if wanted else None
        earlier = resolver.rules.swapped.get(place)
        if choice and earlier and earlier.provider == wanted:
            choice = earlier  # said again: only the time is new, and that is no change
        assume = Assumption(select=(choice,) if choice else (), unselect=(place,) if clear else ())
        decision = resolver.explain(place, assume=assume)
        known = bool(decision.standings) or stored
        if decision.problem is not None and (wanted or not known):
            raise decision.problem
        if wanted and decision.winner is not None:
            runtime.settings_in_use.check(decision.winner)
        changes = tuple(resolver.preview(assume))
        if not dry_run and (wanted or stored):
            runtime.stored.remember(place, provider=wanted, actor="cli")
        return SwapAnswer(
            str(place),
            wanted,
            "stored" if wanted or stored else "",
            changes,
            dry_run=dry_run,
            cleared=stored,
        )

    def pause(self, ref: ComponentRef[Any], *, note: str = "", actor: str = "") -> ActivityChange:
        """Let a component or an offer take no new work, in any process.

        Raises:
            NotFoundError: nobody offers it, and it is not paused or draining already.
            StoreError: it was not stored.
        """
        now = self.orchestrator.clock.now()
        return self._set_activity(ref, Activity(ActivityState.PAUSED, note, actor, now))

    def resume(self, ref: ComponentRef[Any]) -> ActivityChange:
        """Let it take work again; also what nobody offers any more.

        Raises:
            NotFoundError, StoreError: as in `pause`.
        """
        return self._set_activity(ref, ACTIVE)

    def drain(
        self,
        ref: ComponentRef[Any],
        *,
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
        runtime = self.orchestrator
        activity = Activity(ActivityState.DRAINING, note, actor, runtime.clock.now())
        change = self._set_activity(ref, activity)
        if not wait:
            return change
        waiting = drained(
            runtime.activity.store,
            ref,
            clock=runtime.clock,
            interval=runtime.activity.interval,
            limit=runtime.lifecycle.builder.limits.drain if limit is None else limit,
            told=told,
        )
        return replace(change, shares=asyncio.run(waiting))

    def activity(self, *, domain: str = "") -> ActivityListing:
        """Return everything that is paused or draining, with what is in flight of the latter.

        Raises:
            NotFoundError: there is no such domain.
            StoreError: the database cannot be read.
        """
        self._domain(domain)
        store, registry = self.orchestrator.activity.store, self.orchestrator.resolver.registry
        shares, entries = shares_of(store), []
        for text, activity in store.snapshot().items():
            ref: ComponentRef[Any] = ComponentRef(text)
            offers = [offer.provider for offer in registry.offers(ref.place)]
            offered = ref.provider in offers if ref.provider else bool(offers)
            if domain in ("", ref.domain):
                entries.append(ActivityEntry(ref, activity, offered, shares.get(ref, ())))
        return ActivityListing(tuple(entries), domain)

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
        ref = self._action(key, provider)
        return self.orchestrator.actions.describe(ref.key, provider=ref.provider)

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
        ref = self._action(key, provider)
        async with self.orchestrator as runtime:
            candidate = runtime.resolver.resolve(ref)
            with runtime.telemetry.action(str(candidate.ref), candidate.provider):
                result = await runtime.actions.execute(ref.key, payload, provider=ref.provider)
        return ActionAnswer(str(candidate.ref), candidate.provider, result)

    def _action(self, key: str, provider: str) -> ComponentRef[Any]:
        return self.ref(key, domain="action", provider=provider)

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
        return known_profiles(path=self._path, folder=self._folder)

    def ref(
        self, text: str = "", *, domain: str = "", key: str = "", provider: str = ""
    ) -> ComponentRef[Any]:
        """Return the reference that a reference, or a key with or without domain, names.

        Raises:
            InvalidError: the parts contradict each other, or several domains have the key.
            NotFoundError: no domain has the key.
        """
        self._domain(domain)
        named = self._named(text, domain, key)
        if not provider:
            return named
        if named.provider not in ("", provider):
            raise InvalidError(f"two providers were given, {named.provider} and {provider}")
        return named.offer(provider)

    def _named(self, text: str, domain: str, key: str) -> ComponentRef[Any]:
        if text == key or (":" in key and not text):
            text, key = key, ""
        if ":" in text:
            named: ComponentRef[Any] = ComponentRef(text)
            if domain not in ("", named.domain):
                raise InvalidError(f"two domains were given, {named.domain} and {domain}")
            if key not in ("", named.key):
                raise InvalidError(f"two keys were given, {named.key} and {key}")
            return named
        if text and key and text.partition("@")[0] != key:
            raise InvalidError(f"two keys were given, {text} and {key}")
        wanted = text or key
        if not wanted:
            raise InvalidError("name a component", hint="as in oneiric explain adapter:cache")
        return ComponentRef(f"{domain or self._domain_of(wanted)}:{wanted}")

    def _domain(self, domain: str) -> str:
        if domain and domain not in DOMAINS:
            raise NotFoundError(
                "domain", domain, known=DOMAINS, hint=f"domains: {', '.join(DOMAINS)}"
            )
        return domain

    def _domain_of(self, key: str) -> str:
        refs = self.orchestrator.resolver.registry.refs()
        plain = key.partition("@")[0]
        found = [ref.domain for ref in refs if ref.key == plain]
        if len(found) > 1:
            raise InvalidError(
                f"{key} is a key of {' and '.join(found)}", hint=f"write {found[0]}:{key}"
            )
        if not found:
            raise NotFoundError(
                "component with the key",
                plain,
                known=[ref.key for ref in refs],
                hint="oneiric list shows what there is",
            )
        return found[0]


def _assumption(ref: ComponentRef[Any], words: tuple[str, ...]) -> Assumption:
    select, withdraw = [], []
    for word in words:
        verb, equals, name = word.partition("=")
        if verb not in ("select", "withdraw") or not equals or not name:
            raise InvalidError(
                f"{word!r} is no assumption", hint="write select=PROVIDER or withdraw=PROVIDER"
            )
        offer: ComponentRef[Any] = ComponentRef(name) if ":" in name else ref.offer(name)
        if verb == "select":
            select.append(Selection.of(offer.place, offer.provider, origin="assumption"))
        else:
            withdraw.append(str(offer))
    return Assumption(select=tuple(select), withdraw=tuple(withdraw))
