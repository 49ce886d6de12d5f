"""What a person can ask for and do: one method a verb."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from oneiric.config import Setting, known_profiles
from oneiric.core.candidate import Candidate
from oneiric.core.factory import load
from oneiric.core.guard import attempt
from oneiric.core.precedence import Selection
from oneiric.core.ref import DOMAINS, ComponentRef
from oneiric.core.resolver import Assumption
from oneiric.core.secrets import is_secret_name, redacted
from oneiric.documents.model import alternatives, annotation_at
from oneiric.domains import ALL
from oneiric.errors import InvalidError, NotFoundError
from oneiric.runtime.answers import (
    ConfigListing,
    Explanation,
    Listing,
    PluginListing,
    Status,
    SwapAnswer,
)
from oneiric.runtime.orchestrator import RuntimeOrchestrator
from oneiric.runtime.settings import AppSettings

if TYPE_CHECKING:
    from oneiric.core.plugin import Plugin

_SECRETS = (SecretStr, SecretBytes, Secret)


class Operator:
    """Answer for commands: from what is configured and stored, changing nothing unasked.

    Args:
        path: the configuration file, if named.
        profile: the profile, if named.
        folder: where to look for configuration and state; the working directory by default.
        plugins: further plugins of the program's own.
    """

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
        """The composed runtime that answers; nothing of it is brought up."""
        return RuntimeOrchestrator.open(
            path=self._path, profile=self._profile, folder=self._folder, plugins=self._plugins
        )

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
        """
        ref = self.ref(text, domain=domain, key=key, provider=provider)
        resolver = self.orchestrator.resolver
        decision = resolver.explain(ref, needs=needs)
        if not decision.standings and decision.problem is not None:
            raise decision.problem
        wanted = tuple(assume)
        if not wanted:
            return Explanation(decision)
        assumed = resolver.explain(ref, needs=needs, assume=_assumption(ref, wanted))
        return Explanation(assumed, decision.diff(assumed))

    def status(self, *, domain: str = "") -> Status:
        """Return how each component stands in this process."""
        listing = self.list(domain=domain)
        lifecycle, config = self.orchestrator.lifecycle, self.orchestrator.config
        rows = tuple((each, lifecycle.status(each.ref)) for each in listing.decisions)
        app = config.section("app")
        assert isinstance(app, AppSettings)
        return Status(rows, app.name, app.environment, config.profile, str(config.file or ""))

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
            StoreError: the selection was not stored.
        """
        ref = self.ref(text, provider=provider)
        place, wanted = ref.place, ref.provider
        if bool(wanted) is clear:
            raise InvalidError(
                "swap needs a provider, or --clear, and not both",
                hint=f"oneiric swap {place} --provider NAME",
            )
        stored = clear and place in self.orchestrator.store.load()
        assume = Assumption(
            select=(Selection.of(place, wanted, origin="swap"),) if wanted else (),
            unselect=(place,) if clear else (),
        )
        resolver = self.orchestrator.resolver
        decision = resolver.explain(place, assume=assume)
        known = bool(decision.standings) or stored
        if decision.problem is not None and (wanted or not known):
            raise decision.problem
        if wanted and decision.winner is not None:
            self._check_settings(decision.winner)
        changes = tuple(resolver.preview(assume))
        if not dry_run and (wanted or stored):
            self.orchestrator.remember(place, provider=wanted, actor="cli")
        return SwapAnswer(
            str(place),
            wanted,
            "stored" if wanted or stored else "",
            changes,
            dry_run=dry_run,
            cleared=stored and not dry_run,
        )

    def plugins(self) -> PluginListing:
        """Return every plugin that was found, with what it brought or why nothing."""
        runtime = self.orchestrator
        return PluginListing(runtime.discovered, runtime.lifecycle.builder.allowed)

    def settings(self, *, sources: bool = False) -> ConfigListing:
        """Return every effective setting, secrets redacted."""
        config = self.orchestrator.config
        found = tuple(
            Setting(each.path, redacted(each.value), each.origin)  # type: ignore[arg-type]
            for each in config.settings(secret=self._is_secret)
        )
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

    def _is_secret(self, path: str) -> bool:
        """Tell whether a setting is secret: by name, or by the type its provider gives it.

        What nobody knows counts as secret: a provider, or a key that its settings do not have.
        """
        section, _, rest = path.partition(".")
        kind, _, below = rest.partition(".")
        if kind == "selections":
            return False
        if any(is_secret_name(part) for part in (kind, *below.split(".")[1:])):
            return True
        if kind != "provider_settings" or not below:
            return False
        types = list(self._setting_types(section, below))
        return not types or any(each is None or _holds_secret(each) for each in types)

    def _setting_types(self, section: str, path: str) -> Iterable[object]:
        domain = next((each.name for each in ALL.values() if each.section == section), "")
        registry = self.orchestrator.resolver.registry
        for ref in registry.refs(domain):
            for candidate in registry.offers(ref):
                for name in (candidate.provider, f"{ref.key}@{candidate.provider}"):
                    if path.startswith(f"{name}."):
                        keys = path.removeprefix(f"{name}.").split(".")
                        yield annotation_at(self._model(candidate), keys)

    def _check_settings(self, candidate: Candidate) -> None:
        model = self._model(candidate)
        if model is not BaseModel:
            self.orchestrator.lifecycle.builder.settings.settings_for(candidate, model)

    def _model(self, candidate: Candidate) -> type[BaseModel]:
        model = candidate.settings_model
        if isinstance(model, str):
            target, allowed = model, self.orchestrator.lifecycle.builder.allowed
            found: object = attempt(lambda: load(target, allowed)).value
        else:
            found = model
        return found if isinstance(found, type) and issubclass(found, BaseModel) else BaseModel


def _holds_secret(annotation: object) -> bool:
    """Tell whether a value of this type is or holds a secret, at any depth."""
    kinds = alternatives(annotation)
    return not kinds or any(_is_secret_kind(kind) for kind in kinds)


def _is_secret_kind(kind: object) -> bool:
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, _SECRETS):
        return True
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return any(_holds_secret(field.annotation) for field in origin.model_fields.values())
    return any(_holds_secret(inner) for inner in get_args(kind) if inner is not Ellipsis)


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
