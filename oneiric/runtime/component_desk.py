"""What can be asked about components of a runtime: who serves, why, and how they stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oneiric.core.precedence import Selection
from oneiric.core.ref import DOMAINS, ComponentRef
from oneiric.core.resolver import Assumption
from oneiric.errors import InvalidError, NotFoundError
from oneiric.runtime.activity_answers import ActivityEntry, ActivityListing
from oneiric.runtime.answers import Explanation, Listing, Status
from oneiric.runtime.drain import shares_of
from oneiric.runtime.settings import AppSettings
from oneiric.runtime.telemetry_file import TelemetryFile

if TYPE_CHECKING:
    from oneiric.core.decision import DecisionDiff
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.stored import Dormant


@dataclass(frozen=True, slots=True)
class PlannedSwap:
    """A swap before it is done: what it changes, and whether it ends a stored selection."""

    place: ComponentRef[Any]
    provider: str
    changes: tuple[DecisionDiff, ...]
    ends_stored: bool


class ComponentDesk:
    """Answer about the components of *runtime*; nothing is brought up, and nothing changed.

    *applied* is what the answers say about where they come from.
    """

    def __init__(self, runtime: RuntimeOrchestrator, *, applied: str = "local") -> None:
        self.runtime = runtime
        self._applied = applied

    def list(self, *, domain: str = "", shadowed: bool = False) -> Listing:
        """Return who serves each place, or with *shadowed* who does not.

        Raises:
            NotFoundError: there is no such domain.
        """
        resolver = self.runtime.resolver
        refs = resolver.registry.refs(self._domain(domain))
        found = tuple(resolver.explain(ref) for ref in refs)
        return Listing(found, domain, shadowed, self._applied)

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
        """Return the decision for a reference, or for a key of a domain.

        *assume* holds `select=PROVIDER` or `withdraw=PROVIDER`, about this reference, or
        with a whole offer `domain:key@provider` about another.

        Raises:
            NoCandidateError: nothing was ever registered for it.
            NotFoundError: nobody offers what *assume* withdraws.
        """
        named = self.ref(ref, domain=domain, key=key, provider=provider)
        resolver, applied = self.runtime.resolver, self._applied
        decision = resolver.explain(named, needs=needs)
        if not decision.standings and decision.problem is not None:
            raise decision.problem
        wanted, dormant = tuple(assume), self.runtime.stored.dormant(named.place)
        activity = self.runtime.lifecycle.activity.get(named)
        if not wanted:
            return Explanation(decision, dormant=dormant, activity=activity, applied=applied)
        assumption = _assumption(named, wanted)
        self._check_withdrawn(assumption)
        assumed = resolver.explain(named, needs=needs, assume=assumption)
        return Explanation(assumed, decision.diff(assumed), dormant, activity, applied)

    def status(self, *, domain: str = "") -> Status:
        """Return how each place stands in the process of the runtime.

        One that serves on though nobody offers it any more stands there too.

        Raises:
            NotFoundError: there is no such domain.
        """
        decisions = {each.ref: each for each in self.list(domain=domain).decisions}
        lifecycle, config = self.runtime.lifecycle, self.runtime.config
        for each in lifecycle.statuses():
            is_orphan = each.generation and each.ref not in decisions
            if is_orphan and domain in ("", each.ref.domain):
                decisions[each.ref] = self.runtime.resolver.explain(each.ref)
        rows = tuple((decisions[ref], lifecycle.status(ref)) for ref in sorted(decisions))
        app = config.section("app")
        assert isinstance(app, AppSettings)
        dormant: dict[str, Dormant] = {}
        for ref in decisions:
            if found := self.runtime.stored.dormant(ref):
                dormant[ref] = found
        file = str(config.file or "")
        return Status(
            rows,
            dormant,
            app.name,
            app.environment,
            config.profile,
            file,
            self._applied,
            telemetry=TelemetryFile.read(self.runtime.paths.telemetry),
        )

    def planned_swap(self, ref: str, *, provider: str = "", clear: bool = False) -> PlannedSwap:
        """Return what selecting *provider*, or with *clear* ending a selection, would change.

        Raises:
            InvalidError: neither or both of provider and clear are given.
            NoCandidateError, UnknownSelectionError: the provider may not serve.
            ConfigError: the provider's settings are wrong.
            StoreError: the selection could not be stored.
        """
        named = self.ref(ref, provider=provider)
        place, wanted = named.place, named.provider
        if bool(wanted) is clear:
            raise InvalidError(
                "swap needs a provider, or --clear, and not both",
                hint=f"oneiric swap {place} --provider NAME",
            )
        runtime, resolver = self.runtime, self.runtime.resolver
        if runtime.stored.problem is not None:
            raise runtime.stored.problem.again()
        ends_stored = clear and place in runtime.stored.kept
        choice = Selection.of(place, wanted, origin="swap") if wanted else None
        earlier = resolver.rules.swapped.get(place)
        if choice and earlier and earlier.provider == wanted:
            choice = earlier  # said again: only the time is new, and that is no change
        assume = Assumption(select=(choice,) if choice else (), unselect=(place,) if clear else ())
        decision = resolver.explain(place, assume=assume)
        known = bool(decision.standings) or ends_stored
        if decision.problem is not None and (wanted or not known):
            raise decision.problem
        if wanted and decision.winner is not None:
            runtime.settings_in_use.check(decision.winner)
        return PlannedSwap(place, wanted, tuple(resolver.preview(assume)), ends_stored)

    def activity(self, *, domain: str = "") -> ActivityListing:
        """Return everything that is paused or draining, with what is in flight of the latter.

        It reads the database, which blocks.

        Raises:
            NotFoundError: there is no such domain.
            StoreError: the database cannot be read.
        """
        self._domain(domain)
        store, registry = self.runtime.activity.store, self.runtime.resolver.registry
        shares, entries = shares_of(store), []
        for text, activity in store.snapshot().items():
            ref: ComponentRef[Any] = ComponentRef(text)
            offers = [offer.provider for offer in registry.offers(ref.place)]
            offered = ref.provider in offers if ref.provider else bool(offers)
            if domain in ("", ref.domain):
                entries.append(ActivityEntry(ref, activity, offered, shares.get(ref, ())))
        applied = "stored" if self._applied == "local" else self._applied
        return ActivityListing(tuple(entries), domain, applied)

    def ref(
        self, ref: str = "", *, domain: str = "", key: str = "", provider: str = ""
    ) -> ComponentRef[Any]:
        """Return the reference that a reference, or a key with or without domain, names.

        Raises:
            InvalidError: the parts contradict each other, or several domains have the key.
            NotFoundError: no domain has the key.
        """
        self._domain(domain)
        named = self._named(ref, domain, key)
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
        refs = self.runtime.resolver.registry.refs()
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

    def _check_withdrawn(self, assumption: Assumption) -> None:
        for offer in assumption.withdraw:
            named: ComponentRef[Any] = ComponentRef(offer)
            offers = self.runtime.resolver.registry.offers(named.place)
            known = [candidate.provider for candidate in offers]
            if not known:
                hint = "oneiric list shows what there is"
                raise NotFoundError("candidate for", named.place, hint=hint)
            if named.provider not in ("", *known):
                what, hint = f"candidate for {named.place} by", f"oneiric explain {named.place}"
                raise NotFoundError(what, named.provider, known=known, hint=hint)


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
