"""Give each component its settings from the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic import BaseModel, JsonValue

from oneiric.config.layers import DEFAULT, Layers
from oneiric.core.candidate import SourceKind
from oneiric.core.guard import attempt
from oneiric.documents.model import validate_settings
from oneiric.domains import ALL, DomainSettings
from oneiric.errors import ConfigError, JSONValue, Problem
from oneiric.runtime.secret_references import (
    WORD,
    Keys,
    SecretKey,
    SecretReference,
    has,
    laid,
    references_in,
)
from oneiric.text.redaction import MASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from oneiric.config import Config
    from oneiric.core.candidate import Candidate

_KEY = re.compile(r"(?<=\.provider_settings\.)[^@]*@")
_SHORT = 4


class Named(NamedTuple):
    """A setting that names a secret: the keys that lead to it, its path and who wrote it where."""

    keys: Keys
    secret: SecretKey
    path: str
    origin: str


@dataclass(frozen=True, slots=True)
class Draft:
    """The settings of a candidate as they are written, before secrets stand in them."""

    candidate: Candidate
    model: type[BaseModel]
    values: Mapping[str, JSONValue]
    named: tuple[Named, ...]


class ProviderSettings:
    """Find providers' settings in `[<domain>s.provider_settings.<provider>]`.

    Those under `"<key>@<provider>"` are laid over them, key by key, and all of these over what
    the manifest says that a candidate came with.
    """

    __slots__ = ("_config",)

    def __init__(self, config: Config) -> None:
        self._config = config

    def settings_for(self, candidate: Candidate, model: type[BaseModel]) -> BaseModel:
        """Return *candidate*'s settings for who looks, checked by *model* but for secrets.

        Where a setting names a secret stands a mask, and what is wrong with that is no error.

        Raises:
            ConfigError: a setting is wrong; names the key, and the file and line.
        """
        draft = self.draft(candidate, model)
        if not draft.named:
            return self.made(draft, {})
        masked = {each.keys: MASK for each in draft.named}
        outcome = attempt(partial(self._checked, draft, masked))
        if isinstance(outcome.error, ConfigError):
            wrong = [each for each in outcome.error.problems if not _concerned(draft, each)]
            if wrong:
                raise self._wrong(draft, wrong)
        if outcome.value is not None:
            return outcome.value
        return model.model_construct(**cast("dict[str, Any]", laid(draft.values, masked)))

    def draft(self, candidate: Candidate, model: type[BaseModel]) -> Draft:
        """Return what is written for *candidate*, and which settings of it name secrets.

        Raises:
            ConfigError: one names a secret wrongly, or a manifest names one.
        """
        own, layers = self._own(candidate), Layers()
        layers.lay(brought(candidate), lambda _: "")
        layers.lay(own, lambda _: "")
        problems: list[Problem] = []
        named: list[Named] = []
        key, _ = paths_of(candidate)
        for keys, table in references_in(layers.values, model):
            below = "." + ".".join(keys)
            path, origin = self._place(candidate, f"{below}.{WORD}")
            path = path.removesuffix(f".{WORD}")
            if not has(own, (*keys, WORD)):
                what = f"a manifest may not name a secret; write it as {path}"
                problems.append(Problem(f"{key}{below}", what, ""))
                continue
            try:
                reference = validate_settings(
                    SecretReference, table, key=f"{key}{below}", origin_of=str
                )
            except ConfigError as wrong:
                problems += wrong.problems
            else:
                named.append(Named(keys, SecretKey.of(reference), path, origin))
        draft = Draft(candidate, model, layers.values, tuple(named))
        if problems:
            raise self._wrong(draft, problems)
        return draft

    def secrets_of(self, candidate: Candidate) -> Iterator[SecretKey]:
        """Yield the secrets that *candidate*'s settings seem to name, its model being unknown."""
        for _, table in references_in(self._own(candidate)):
            outcome = attempt(partial(SecretReference.model_validate, table))
            if outcome.value is not None:
                yield SecretKey.of(outcome.value)

    def made(self, draft: Draft, secrets: Mapping[Keys, str]) -> BaseModel:
        """Return the settings of *draft* with *secrets* laid in, which no error tells.

        Raises:
            ConfigError: a setting is wrong, or a secret is none for its setting.
        """
        outcome = attempt(partial(self._checked, draft, secrets))
        error = outcome.error
        if error is None:
            return cast("BaseModel", outcome.value)
        if isinstance(error, ConfigError):
            raise self._wrong(draft, [_silent(draft, secrets, each) for each in error.problems])
        if not draft.named:
            raise error
        key, _ = paths_of(draft.candidate)
        raise self._wrong(draft, [Problem(key, f"cannot be checked: {type(error).__name__}", "")])

    def _own(self, candidate: Candidate) -> Mapping[str, JSONValue]:
        """Return what the configuration says for *candidate*, its tables merged."""
        layers = Layers()
        for path in self.written(candidate):
            layers.lay(self._tables(candidate)[path], lambda _: "")
        return layers.values

    def _checked(self, draft: Draft, secrets: Mapping[Keys, str]) -> BaseModel:
        key, _ = paths_of(draft.candidate)
        values = cast("Mapping[str, JSONValue]", laid(draft.values, secrets))
        return validate_settings(draft.model, values, key=key, origin_of=str)

    def written(self, candidate: Candidate) -> list[str]:
        """Return the paths of the tables from which *candidate* has settings, the wider first."""
        tables = self._tables(candidate)
        return [path for path in paths_of(candidate) if path in tables]

    def origin(self, path: str) -> str:
        """Return who set the value at *path*, be it in the table of the provider's own name."""
        found = self._config.origin(path)
        return self._config.origin(_KEY.sub("", path)) if found == DEFAULT else found

    def _tables(self, candidate: Candidate) -> dict[str, dict[str, JsonValue]]:
        section = ALL[candidate.ref.domain].section
        settings = self._config.section(section)
        assert isinstance(settings, DomainSettings)
        prefix = f"{section}.provider_settings"
        return {f"{prefix}.{name}": table for name, table in settings.provider_settings.items()}

    def _wrong(self, draft: Draft, problems: Iterable[Problem]) -> ConfigError:
        """Return the error for *problems*, each with the path and the place of its value."""
        wide, _ = paths_of(draft.candidate)
        placed = []
        for each in problems:
            path, origin = self._place(draft.candidate, each.key.removeprefix(wide))
            placed.append(Problem(path, each.what, origin))
        return ConfigError(f"the settings of {wide} are wrong", problems=placed)

    def _place(self, candidate: Candidate, below: str) -> tuple[str, str]:
        """Return the path of a setting, and where it was written."""
        wide, narrow = paths_of(candidate)
        for path in (f"{narrow}{below}", f"{wide}{below}"):
            if self._config.origin(path) != DEFAULT:
                return path, self._config.place(path)
        path = f"{(self.written(candidate) or [wide])[-1]}{below}"
        if is_brought(candidate, below.removeprefix(".")):
            return path, str(candidate.source)
        return path, self._config.place(path)


def _concerned(draft: Draft, problem: Problem) -> list[Named]:
    """Return the secrets that a problem may come of; all, where all settings together are wrong."""
    wide, _ = paths_of(draft.candidate)
    found = f"{problem.key}."
    paths = {each: f"{wide}.{'.'.join(each.keys)}." for each in draft.named}
    return [e for e, path in paths.items() if path.startswith(found) or found.startswith(path)]


def _silent(draft: Draft, secrets: Mapping[Keys, str], problem: Problem) -> Problem:
    """Return *problem* without a word that may tell a secret."""
    concerned = _concerned(draft, problem)
    told = [e for e in draft.named if len(secrets[e.keys]) >= _SHORT]
    quoted = [e for e in told if secrets[e.keys] in problem.what]
    if not concerned and not quoted:
        return problem
    names = " and ".join(dict.fromkeys(each.secret.name for each in concerned or quoted))
    return Problem(problem.key, f"it cannot be made of what the secret {names} holds", "")


def brought(candidate: Candidate) -> Mapping[str, JSONValue]:
    """Return the settings that *candidate*'s manifest came with; none for other candidates."""
    told = candidate.metadata.get("settings")
    if candidate.source.kind is not SourceKind.MANIFEST or not isinstance(told, dict):
        return {}
    return told


def is_brought(candidate: Candidate, path: str) -> bool:
    """Tell whether the manifest of *candidate* sets what lies at a dotted path, or above it."""
    found: JSONValue = brought(candidate)
    for key in path.split("."):
        if not isinstance(found, dict):
            return True
        if key not in found:
            return False
        found = found[key]
    return True


def paths_of(candidate: Candidate) -> tuple[str, str]:
    """Return the paths of the tables that may hold *candidate*'s settings, the wider first."""
    prefix = f"{ALL[candidate.ref.domain].section}.provider_settings"
    return (
        f"{prefix}.{candidate.provider}",
        f"{prefix}.{candidate.ref.key}@{candidate.provider}",
    )
