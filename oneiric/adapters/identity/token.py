"""Callers known by tokens of their own."""

import hmac
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from oneiric.adapters.settings import AdapterSettings
from oneiric.core.health import HealthReport
from oneiric.documents.model import refused
from oneiric.ports.errors import UnauthenticatedError
from oneiric.ports.identity import LONGEST_TOKEN, Principal

BACKEND = "tokens"
SHORTEST = 32
MOST = 64
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def _strong(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not SHORTEST <= len(text) <= LONGEST_TOKEN or not _TOKEN.fullmatch(text):
        raise refused(
            f"a token is {SHORTEST} or more letters, digits and any of ._~+/-, and = at its end"
        )
    return token


def _told_apart(tokens: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    if len({token.get_secret_value() for token in tokens.values()}) < len(tokens):
        raise refused("two callers have the same token")
    return tokens


class TokenIdentitySettings(AdapterSettings):
    """Give each caller a name and a token; two names for one caller while a token is rotated.

    A token is at least 32 characters that a header field can carry, such as those of
    `openssl rand -hex 32`. Without any nobody is let in.
    """

    tokens: Annotated[
        Mapping[
            Annotated[str, StringConstraints(pattern=r"^[\w.@-]{1,200}$")],
            Annotated[SecretStr, AfterValidator(_strong)],
        ],
        AfterValidator(_told_apart),
    ] = Field(default_factory=dict, max_length=MOST)


class TokenIdentity:
    """Know callers by static bearer tokens; the name of a token is its caller's `subject`.

    A token is compared with every known one, in a time that tells nothing of either.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"bearer"})

    def __init__(self, settings: TokenIdentitySettings) -> None:
        self._known = [
            (name, _digest(token.get_secret_value())) for name, token in settings.tokens.items()
        ]

    async def init(self) -> None:
        """Do nothing: nothing is opened."""

    async def health(self) -> HealthReport:
        """Tell that it can tell callers apart, which it always can."""
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Do nothing: nothing is kept."""

    async def authenticate(self, token: str) -> Principal:
        """Return who shows *token*."""
        if not token:
            raise UnauthenticatedError(BACKEND, "no token was shown")
        if len(token) > LONGEST_TOKEN:
            raise UnauthenticatedError(BACKEND, "the token is too long")
        shown = _digest(token)
        same = [name for name, known in self._known if hmac.compare_digest(shown, known)]
        if not same:
            raise UnauthenticatedError(BACKEND, "nobody has this token")
        return Principal(subject=same[0])


def _digest(token: str) -> bytes:
    """Return what tokens are compared by: equally long, whatever was shown."""
    return sha256(token.encode(errors="replace")).digest()
