"""Which store has a secret, and which settings may not name one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from oneiric.core.ref import ComponentRef
from oneiric.errors import ConfigError, Problem, nearest
from oneiric.runtime.provider_settings import ProviderSettings, paths_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oneiric.config import Config
    from oneiric.core.candidate import Candidate
    from oneiric.core.resolver import Resolver
    from oneiric.runtime.provider_settings import Draft, Named
    from oneiric.runtime.secret_references import SecretKey
    from oneiric.runtime.settings import SecretsSettings


class SecretStores:
    """Find the store of a secret, as a configuration and who is on offer have it.

    Args:
        config: where settings name secrets.
        resolver: who is on offer.
        settings: what counts of `[secrets]`; what *config* says when left out.
    """

    def __init__(
        self, config: Config, resolver: Resolver, *, settings: SecretsSettings | None = None
    ) -> None:
        settings = settings or cast("SecretsSettings", config.section("secrets"))
        self.settings = settings
        self.place: ComponentRef[Any] = ComponentRef(f"{settings.domain}:{settings.key}")
        self._resolver = resolver
        self._source = ProviderSettings(config)

    def under(self, config: Config) -> SecretStores:
        """Return the same stores where *config* says which settings name secrets."""
        return SecretStores(config, self._resolver, settings=self.settings)

    def is_inline(self, key: SecretKey) -> bool:
        """Tell whether the configuration itself holds the secret."""
        return not key.provider and key.name in self.settings.inline

    def store(self, key: SecretKey) -> ComponentRef[Any]:
        """Return the reference of the store that is asked for a secret which is not inline."""
        provider = key.provider or self.settings.provider
        return self.place.offer(provider) if provider else self.place

    def check(self, draft: Draft) -> None:
        """Pass where every secret that settings name can be read before they are needed.

        Raises:
            ConfigError: a store is unknown, or needs what these settings are for, or may do so.
        """
        problems = [
            Problem(each.path, what, each.origin)
            for each in draft.named
            if (what := self._wrong(draft.candidate, each))
        ]
        if problems:
            path, _ = paths_of(draft.candidate)
            raise ConfigError(f"the settings of {path} are wrong", problems=problems)

    def _wrong(self, candidate: Candidate, named: Named) -> str:
        if self.is_inline(named.secret):
            return ""
        ref = self.store(named.secret)
        if not ref.provider and candidate.ref == self.place:
            return "a store says which other store has its secrets: add provider = NAME"
        winner = self._resolver.explain(ref).winner
        known = [offer.provider for offer in self._resolver.registry.offers(self.place)]
        if ref.provider and ref.provider not in known:
            close = nearest(ref.provider, known)
            return f"there is no store {ref}" + (f"; did you mean {close}?" if close else "")
        if winner is not None and self._needs(winner, candidate, set()):
            return f"{winner.offer} is to read this secret, and needs {candidate.offer} itself"
        return ""

    def _needs(self, candidate: Candidate, other: Candidate, seen: set[str]) -> bool:
        """Tell whether *candidate* is *other*, or cannot be made or work without it."""
        if candidate.offer == other.offer:
            return True
        if candidate.offer in seen:
            return False
        seen.add(candidate.offer)
        return any(self._needs(each, other, seen) for each in self._needed(candidate))

    def _needed(self, candidate: Candidate) -> Iterator[Candidate]:
        keys = [key for key in self._source.secrets_of(candidate) if not self.is_inline(key)]
        for ref in (*candidate.requires.values(), *map(self.store, keys)):
            winner = self._resolver.explain(ref).winner
            if winner is not None:
                yield winner
