"""The settings of every provider that is configured or serves: checked, and shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, get_args, get_origin

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from oneiric.config import Setting
from oneiric.config.layers import DEFAULT
from oneiric.core.guard import attempt, attempt_within
from oneiric.documents.model import alternatives, annotation_at
from oneiric.domains import ALL, DomainSettings
from oneiric.errors import ConfigError, Problem
from oneiric.runtime.provider_settings import ProviderSettings, brought, is_brought, paths_of
from oneiric.runtime.secret_stores import SecretStores
from oneiric.targets import load
from oneiric.text.redaction import is_secret_name, redacted

if TYPE_CHECKING:
    from oneiric.config import Config
    from oneiric.core.candidate import Candidate
    from oneiric.core.resolver import Resolver

_SECRETS = (SecretStr, SecretBytes, Secret)
_TABLES = "provider_settings"


class SettingsInUse:
    """Check and show what providers get, as their models make it of the configuration.

    A provider is in use when it serves, when the configuration selects it, or when settings
    are written for it. Its model is loaded for that; one that cannot be loaded checks nothing.

    Args:
        config: where the settings are written.
        resolver: who is on offer, and who serves.
        allowed: the packages from which models may be loaded.
        limit: seconds that loading one may take.
    """

    def __init__(
        self, config: Config, resolver: Resolver, *, allowed: tuple[str, ...], limit: float
    ) -> None:
        self._config = config
        self._resolver = resolver
        self._allowed = allowed
        self._limit = limit
        self._source = ProviderSettings(config)
        self._stores = SecretStores(config, resolver)
        self._models: dict[Candidate, type[BaseModel] | None] = {}

    def check(self, candidate: Candidate) -> BaseModel | None:
        """Return the settings of *candidate*, or None where it takes none or its model is unknown.

        Raises:
            ConfigError: a setting is wrong; carries every problem.
        """
        model = self._model(candidate)
        if model is None:
            return None
        outcome = attempt(partial(self._looked, candidate, model))
        if isinstance(outcome.error, ConfigError):
            raise outcome.error
        if outcome.error is not None:
            path, _ = paths_of(candidate)
            what = f"its settings cannot be checked: {outcome.reason}"
            problem = Problem(path, what, self._config.place(path))
            raise ConfigError(f"the settings of {path} are wrong", problems=[problem])
        return outcome.value

    def problems(self, *, besides: Iterable[Problem] = ()) -> list[Problem]:
        """Return all that is wrong with the settings of providers in use.

        *besides* is what else is wrong with the configuration: a setting that is missing is not
        told where that may be why, as with a profile that is spelled wrong.
        """
        told = tuple(problem.key for problem in besides)
        found: dict[str, Problem] = {}
        for candidate in self._in_use():
            try:
                self.check(candidate)
            except ConfigError as error:
                found.update((str(problem), problem) for problem in error.problems)
        return [
            each
            for each in found.values()
            if self._config.is_written(each.key)
            or not any(key == "profile" or f"{each.key}.".startswith(f"{key}.") for key in told)
        ]

    def listing(self) -> tuple[Setting, ...]:
        """Return every effective setting of every section, secrets redacted.

        Raises:
            ConfigError: the settings of providers are wrong; carries every problem.
        """
        problems = self.problems()
        if problems:
            raise ConfigError("the settings of providers are wrong", problems=problems)
        models, named = self._shown(), self._named()
        tables = {
            f"{domain.section}.{_TABLES}": self._tables(domain.section, models)
            for domain in ALL.values()
        }
        found = self._config.settings(
            secret=lambda path: path in named or _is_secret(models, path),
            instead=tables,
            origin=self._origins(named),
        )
        return tuple(
            Setting(each.path, redacted(each.value), each.origin)  # type: ignore[arg-type]
            for each in found
        )

    def _named(self) -> Mapping[str, str]:
        """Return the paths of settings that name secrets, each with what it names and where."""
        found = {}
        for candidate in self._in_use():
            model = self._model(candidate)
            for each in self._source.draft(candidate, model).named if model else ():
                origin = f"secret {each.secret.name} at {each.origin}"
                for path in paths_of(candidate):
                    found[".".join((path, *each.keys))] = origin
        return found

    def _origins(self, named: Mapping[str, str]) -> Callable[[str], str]:
        """Return what tells who set the value at a path: a secret, the configuration, a manifest.

        *named* are the paths of settings that name secrets.
        """
        tables = {
            f"{table}.": each
            for each in self._in_use()
            if brought(each)
            for table in paths_of(each)
        }

        def origin(path: str) -> str:
            if path in named:
                return named[path]
            found = self._source.origin(path)
            for table, candidate in tables.items() if found == DEFAULT else ():
                if path.startswith(table) and is_brought(candidate, path.removeprefix(table)):
                    return str(candidate.source)
            return found

        return origin

    def _in_use(self) -> Iterator[Candidate]:
        for ref in self._resolver.registry.refs():
            winner = self._resolver.explain(ref).winner
            chosen = self._resolver.rules.configured.get(ref)
            offers = self._resolver.registry.offers(ref)
            for candidate in sorted(offers, key=lambda each: each != winner):
                if (
                    candidate == winner
                    or (chosen and chosen.provider == candidate.provider)
                    or self._source.written(candidate)
                ):
                    yield candidate

    def _shown(self) -> Mapping[str, BaseModel]:
        """Return checked settings by path: the provider's own name, or else key and provider."""
        found: dict[tuple[str, str], tuple[Candidate, BaseModel]] = {}
        for candidate in self._in_use():
            settings = self.check(candidate)
            if settings is not None and type(settings).model_fields:
                found.setdefault(paths_of(candidate), (candidate, settings))
        count = Counter(wide for wide, _ in found)
        return {
            narrow if count[wide] > 1 or narrow in self._source.written(each) else wide: settings
            for (wide, narrow), (each, settings) in found.items()
        }

    def _tables(self, section: str, models: Mapping[str, BaseModel]) -> Mapping[str, object]:
        """Return the tables of a section by name, those of known providers as their models."""
        settings = self._config.section(section)
        assert isinstance(settings, DomainSettings)
        prefix = f"{section}.{_TABLES}."
        told = {
            path.removeprefix(prefix): model
            for path, model in models.items()
            if path.startswith(prefix)
        }
        within = {name.partition("@")[2] for name in told}
        raw = settings.provider_settings.items()
        return {**{name: table for name, table in raw if name not in within}, **told}

    def _looked(self, candidate: Candidate, model: type[BaseModel]) -> BaseModel:
        self._stores.check(self._source.draft(candidate, model))
        return self._source.settings_for(candidate, model)

    def _model(self, candidate: Candidate) -> type[BaseModel] | None:
        if candidate not in self._models:
            found: object = candidate.settings_model
            if isinstance(found, str):
                found = attempt_within(partial(load, found, self._allowed), self._limit).value
            known = isinstance(found, type) and issubclass(found, BaseModel)
            self._models[candidate] = found if known else None  # type: ignore[assignment]
        return self._models[candidate]


def _is_secret(models: Mapping[str, BaseModel], path: str) -> bool:
    """Tell whether a setting is secret: by name, or by the type its provider gives it.

    What nobody knows counts as secret: a provider, or a key that its settings do not have.
    """
    _, _, rest = path.partition(".")
    kind, _, below = rest.partition(".")
    if kind == "selections":
        return False
    if kind != _TABLES or not below:
        return any(map(is_secret_name, rest.split(".")))
    known = next((each for each in models if path.startswith(f"{each}.")), None)
    if known is None:
        return True
    keys = path.removeprefix(f"{known}.").split(".")
    annotation = annotation_at(type(models[known]), keys)
    return annotation is None or any(map(is_secret_name, keys)) or _holds_secret(annotation)


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
