"""Give each component its settings from the configuration."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, JsonValue

from oneiric.config.layers import DEFAULT, Layers
from oneiric.core.candidate import SourceKind
from oneiric.documents.model import validate_settings
from oneiric.domains import ALL, DomainSettings
from oneiric.errors import ConfigError, JSONValue, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from oneiric.config import Config
    from oneiric.core.candidate import Candidate

M = TypeVar("M", bound=BaseModel)
_KEY = re.compile(r"(?<=\.provider_settings\.)[^@]*@")


class ProviderSettings:
    """Find providers' settings in `[<domain>s.provider_settings.<provider>]`.

    Those under `"<key>@<provider>"` are laid over them, key by key, and all of these over what
    the manifest says that a candidate came with.
    """

    __slots__ = ("_config",)

    def __init__(self, config: Config) -> None:
        self._config = config

    def settings_for(self, candidate: Candidate, model: type[BaseModel]) -> BaseModel:
        """Return *candidate*'s settings, checked by *model*.

        Raises:
            ConfigError: a setting is wrong; names the key, and the file and line.
        """
        layers = Layers()
        layers.lay(brought(candidate), lambda _: "")
        for path in self.written(candidate):
            layers.lay(self._tables(candidate)[path], lambda _: "")
        key, _ = paths_of(candidate)
        try:
            return validate_settings(model, layers.values, key=key, origin_of=str)
        except ConfigError as error:
            problems = [self._placed(each, candidate) for each in error.problems]
            raise ConfigError(error.message, problems=problems) from None

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

    def _placed(self, problem: Problem, candidate: Candidate) -> Problem:
        """Return *problem* with the path and the place where its value was written."""
        wide, narrow = paths_of(candidate)
        below = problem.key.removeprefix(wide)
        for path in (f"{narrow}{below}", f"{wide}{below}"):
            if self._config.origin(path) != DEFAULT:
                return Problem(path, problem.what, self._config.place(path))
        path = f"{(self.written(candidate) or [wide])[-1]}{below}"
        if is_brought(candidate, below.removeprefix(".")):
            return Problem(path, problem.what, str(candidate.source))
        return Problem(path, problem.what, self._config.place(path))


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
