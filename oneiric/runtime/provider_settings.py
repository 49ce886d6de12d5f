"""Give each component its settings from the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

from oneiric.documents.model import validate_settings
from oneiric.domains import ALL, DomainSettings
from oneiric.errors import JSONValue

if TYPE_CHECKING:
    from oneiric.config import Config
    from oneiric.core.candidate import Candidate

M = TypeVar("M", bound=BaseModel)


class ProviderSettings:
    """Find providers' settings in `[<domain>s.provider_settings.<provider>]`.

    `"<key>@<provider>"` in place of the provider's name outranks it.
    """

    __slots__ = ("_config",)

    def __init__(self, config: Config) -> None:
        self._config = config

    def settings_for(self, candidate: Candidate, model: type[BaseModel]) -> BaseModel:
        """Return *candidate*'s settings, checked by *model*.

        Raises:
            ConfigError: a setting is wrong; names the key, and the file and line.
        """
        path, values = self._values(candidate)
        return validate_settings(model, values, key=path, origin_of=self._config.place)

    def _values(self, candidate: Candidate) -> tuple[str, Mapping[str, JSONValue]]:
        section = ALL[candidate.ref.domain].section
        settings = self._config.section(section)
        assert isinstance(settings, DomainSettings)
        narrow = f"{candidate.ref.key}@{candidate.provider}"
        name = narrow if narrow in settings.provider_settings else candidate.provider
        path = f"{section}.provider_settings.{name}"
        return path, settings.provider_settings.get(name, {})
