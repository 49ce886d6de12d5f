"""What keeps a secret from being read; no error holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from oneiric.errors import JSONValue


class MissingSecretError(NotFoundError):
    """A secret that its store does not have; names the setting that is made of it."""

    code = "missing-secret"

    def __init__(self, name: str, store: str, *, reason: str = "", wanted: str = "") -> None:
        super().__init__("secret", name)
        self.store = store
        self.reason = reason
        self.wanted = wanted

    @property
    def message(self) -> str:
        return f"{self.store} has no secret {self.name}" + _for(self.wanted)

    def lines(self) -> Sequence[str]:
        return (self.reason,) if self.reason else ()

    def details(self) -> Mapping[str, JSONValue]:
        return _details(self)


class SecretUnavailableError(UnavailableError):
    """A secret that could not be read: its store is down, slow, paused, or refuses."""

    code = "secret-unavailable"

    def __init__(
        self, name: str, store: str, *, reason: str, wanted: str = "", refused: bool = False
    ) -> None:
        super().__init__(f"{store} does not give the secret {name}")
        self.name = name
        self.store = store
        self.reason = reason
        self.wanted = wanted
        self.refused = refused

    @property
    def message(self) -> str:
        return f"{self._message}{_for(self.wanted)}: {self.reason}"

    def details(self) -> Mapping[str, JSONValue]:
        return _details(self)


def _for(wanted: str) -> str:
    return f" for {wanted}" if wanted else ""


def _details(error: MissingSecretError | SecretUnavailableError) -> Mapping[str, JSONValue]:
    return {
        "name": error.name,
        "store": error.store,
        "reason": error.reason,
        "wanted": error.wanted or None,
    }
