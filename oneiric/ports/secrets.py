"""Read secrets by name."""

from typing import Protocol

from oneiric.core.ref import ComponentRef
from oneiric.ports.adapter import Adapter


class SecretStore(Adapter, Protocol):
    """Read secrets by name; no value ever reaches a log, a `repr` or an error.

    Missing and empty differ: an empty secret is `""`.
    """

    async def get_secret(
        self, name: str, *, version: str | None = None, allow_missing: bool = False
    ) -> str | None:
        """Return the secret, or None when it is missing and may be.

        Raises:
            NotFoundError: it is missing and may not be.
            NotSupportedError: a *version* was asked of a store that keeps only one.
            PermissionDeniedError: the store refuses.
        """
        ...

    async def list_secrets(self) -> list[str]:
        """Return the names, sorted; `get_secret` knows each of them."""
        ...

    async def invalidate_cache(self, *names: str) -> None:
        """Forget what was read of *names*, or of all without any; the next read is fresh."""
        ...


class SecretWriter(Protocol):
    """Write secrets: the capability `write`."""

    async def set_secret(self, name: str, value: str) -> None:
        """Keep *value* under *name*; a later `get_secret` returns it."""
        ...

    async def delete_secret(self, name: str) -> None:
        """Delete *name*; a missing one is no error."""
        ...


SECRETS: ComponentRef[SecretStore] = ComponentRef("adapter:secrets")
