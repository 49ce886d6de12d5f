"""Secrets from the environment of this process."""

import os
import re
from typing import ClassVar

from pydantic import Field

from oneiric.adapters.settings import AdapterSettings
from oneiric.core.health import HealthReport
from oneiric.ports.errors import NotFoundError, NotSupportedError

BACKEND = "environment"
_OTHER = re.compile(r"[^A-Za-z0-9_]")


class EnvSecretsSettings(AdapterSettings):
    """Name the variables: `prefix`, then the secret's name, and which must be there."""

    prefix: str = Field(default="ONEIRIC_SECRET_", min_length=1)
    uppercase_keys: bool = True
    required_keys: tuple[str, ...] = ()


class EnvSecrets:
    """Read secrets from variables: `db-password` is `ONEIRIC_SECRET_DB_PASSWORD`.

    Every character that a variable cannot have stands as an underscore. Nothing
    is kept, so each read sees the environment as it is.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"read"})

    def __init__(self, settings: EnvSecretsSettings | None = None) -> None:
        self._settings = settings or EnvSecretsSettings()

    async def init(self) -> None:
        """Check that the required secrets are there.

        Raises:
            NotFoundError: names those that are not.
        """
        if missing := self._missing():
            raise NotFoundError(BACKEND, "variable", ", ".join(map(self.variable, missing)))

    async def health(self) -> HealthReport:
        """Tell whether the required secrets are there, or which are not."""
        missing = ", ".join(map(self.variable, self._missing()))
        return HealthReport(not missing, detail=missing and f"no variable {missing}")

    async def cleanup(self) -> None:
        """Do nothing: nothing is kept."""

    async def get_secret(
        self, name: str, *, version: str | None = None, allow_missing: bool = False
    ) -> str | None:
        """Return the secret, or None when it is missing and may be."""
        if version is not None:
            raise NotSupportedError(BACKEND, "versions")
        value = os.environ.get(self.variable(name)) if name else None
        if value is None and not allow_missing:
            raise NotFoundError(BACKEND, "variable", self.variable(name))
        return value

    async def list_secrets(self) -> list[str]:
        """Return the names, in lower case unless `uppercase_keys` is off."""
        prefix = self._settings.prefix
        names = (v.removeprefix(prefix) for v in os.environ if v.startswith(prefix))
        known = (name for name in names if name and self.variable(name) == prefix + name)
        return sorted(name.lower() if self._settings.uppercase_keys else name for name in known)

    async def invalidate_cache(self, *names: str) -> None:
        """Do nothing: every read is fresh."""

    def variable(self, name: str) -> str:
        """Return the variable that holds the secret *name*."""
        word = _OTHER.sub("_", name)
        return self._settings.prefix + (word.upper() if self._settings.uppercase_keys else word)

    def _missing(self) -> list[str]:
        required = self._settings.required_keys
        return [name for name in required if self.variable(name) not in os.environ]
