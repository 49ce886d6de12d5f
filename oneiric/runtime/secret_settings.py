"""Give components that are made their settings, with the secrets that these name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.runtime.provider_settings import ProviderSettings
from oneiric.runtime.secret_errors import MissingSecretError, SecretUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from pydantic import BaseModel

    from oneiric.config import Config
    from oneiric.core.candidate import Candidate
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.provider_settings import Draft, Named
    from oneiric.runtime.secret_references import Keys, SecretKey


class SettingsWithSecrets:
    """Find providers' settings in the configuration, and lay secrets in where these name some.

    It is noted which secrets a component is made with, so that it is known what is to follow
    when one changes.
    """

    __slots__ = ("_config", "_runtime", "_source")

    def __init__(self, config: Config, runtime: RuntimeOrchestrator) -> None:
        self._config = config
        self._runtime = runtime
        self._source = ProviderSettings(config)

    def settings_for(
        self, candidate: Candidate, model: type[BaseModel]
    ) -> BaseModel | Awaitable[BaseModel]:
        """Return *candidate*'s settings, or what reads its secrets first when awaited.

        Raises (when awaited, unless it is clear before):
            ConfigError: a setting is wrong; names the key, and the file and line.
            MissingSecretError, SecretUnavailableError: a secret cannot be had; names both.
        """
        draft = self._source.draft(candidate, model)
        if draft.named:
            return self._with_secrets(draft)
        self._runtime.running.makes_with(candidate, {})
        return self._source.made(draft, {})

    async def _with_secrets(self, draft: Draft) -> BaseModel:
        hook = self._runtime.secrets
        hook.stores.under(self._config).check(draft)
        values: dict[Keys, str] = {}
        marks: dict[SecretKey, bytes] = {}
        for named in draft.named:
            failure = None
            try:
                found = await hook.read(named.secret)
            except (MissingSecretError, SecretUnavailableError) as error:
                failure = _placed(error, named)
            if failure is not None:  # outside, so that it carries no other error
                raise failure
            values[named.keys] = found.value
            marks[named.secret] = found.mark
        self._runtime.running.makes_with(draft.candidate, marks)
        return self._source.made(draft, values)


def _placed(
    error: MissingSecretError | SecretUnavailableError, named: Named
) -> MissingSecretError | SecretUnavailableError:
    """Return *error* with the setting that the secret was read for, and where that is written."""
    again = error.again()
    again.wanted = f"{named.path} ({named.origin})"
    return again
