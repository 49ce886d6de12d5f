"""Callers known by what an OpenID Connect issuer says of them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from oneiric.adapters.identity.keys import IssuerKeys
from oneiric.adapters.settings import AdapterSettings
from oneiric.clock import Clock, SystemClock
from oneiric.core.health import HealthReport
from oneiric.documents.model import refused
from oneiric.ports.errors import (
    DependencyMissingError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from oneiric.ports.identity import LONGEST_TOKEN, Principal
from oneiric.remote.errors import AddressError
from oneiric.remote.origin import Origin

BACKEND = "oidc"
ANYBODY = "*"
_JWT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


def _address(url: str) -> str:
    try:
        if url:
            Origin.of(url)
    except AddressError as error:
        raise refused(error.message) from None
    return url


_Name = Annotated[str, Field(min_length=1)]
_Address = Annotated[str, AfterValidator(_address)]


class OidcIdentitySettings(AdapterSettings):
    """Name who issues the tokens, for whom, and whose are let in.

    Addresses are https, or http on this machine. Without `jwks_url` it is looked up in the
    issuer's discovery document. One of `emails` and `subjects` is needed, as an issuer such as
    Google makes tokens for everybody; `subjects = ["*"]` lets all of them in.
    """

    issuer: Annotated[_Address, Field(min_length=1)]
    audience: tuple[_Name, ...] = Field(min_length=1)
    emails: tuple[_Name, ...] = ()
    subjects: tuple[_Name, ...] = ()
    algorithms: tuple[_Algorithm, ...] = Field(default=("RS256", "ES256"), min_length=1)
    jwks_url: _Address = ""
    leeway_seconds: float = Field(default=10.0, ge=0, le=300)
    keys_seconds: float = Field(default=3_600.0, gt=0, le=86_400)
    stale_seconds: float = Field(default=86_400.0, ge=0, le=604_800)
    refetch_seconds: float = Field(default=10.0, ge=1, le=3_600)
    timeout: float = Field(default=5.0, gt=0, le=60)
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _let_in(self) -> Self:
        if not self.emails and not self.subjects:
            raise refused("name the emails or subjects that are let in")
        return self


class OidcIdentity:
    """Know callers by signed JSON Web Tokens of one issuer, such as those of Cloud Tasks.

    A token counts that is signed with a key of the issuer by one of `algorithms`, names the
    issuer and one of `audience`, says when it was made and when it ends, and is neither over
    nor, where it says so, not yet begun. An address counts only where the issuer has verified
    it. The keys are fetched when the first token comes, anew after `keys_seconds` or when a
    token names another one, at most once in `refetch_seconds`.

    Source: OpenID Connect Core 1.0 and Discovery 1.0; RFC 8725.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"bearer", "oidc"})

    def __init__(self, settings: OidcIdentitySettings, *, clock: Clock | None = None) -> None:
        self._settings = settings
        self._keys = IssuerKeys(settings, backend=BACKEND, clock=clock or SystemClock())

    async def init(self) -> None:
        """Read the authorities to trust; the issuer is asked when the first token comes.

        Raises:
            DependencyMissingError: PyJWT is not installed, or lacks cryptography.
            InvalidRequestError: `ca_file` cannot be read or holds no certificate.
        """
        try:
            from jwt.algorithms import has_crypto
        except ImportError as error:
            raise DependencyMissingError(BACKEND, extra="oidc") from error
        if not has_crypto:
            raise DependencyMissingError(BACKEND, extra="oidc")
        await self._keys.open()

    async def health(self) -> HealthReport:
        """Tell whether the issuer's keys are here or can be fetched, or why not."""
        problem = await self._keys.problem()
        return HealthReport(not problem, detail=problem)

    async def cleanup(self) -> None:
        """Close all connections; calls in flight fail with `UnavailableError`."""
        await self._keys.close()

    async def authenticate(self, token: str) -> Principal:
        """Return whom the issuer means."""
        if not token:
            raise UnauthenticatedError(BACKEND, "no token was shown")
        if len(token) > LONGEST_TOKEN or not _JWT.fullmatch(token):
            raise UnauthenticatedError(BACKEND, "this is no JSON Web Token")
        kid, alg = self._named(token)
        return self._principal(self._claims(token, await self._keys.find(kid, alg)))

    def _named(self, token: str) -> tuple[str, str]:
        """Return the key, or none, and the algorithm that an unchecked token names."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise UnauthenticatedError(BACKEND, "this is no JSON Web Token") from None
        kid, alg = header.get("kid", ""), header.get("alg")
        if alg not in self._settings.algorithms:
            raise UnauthenticatedError(BACKEND, "the token is signed in a way that does not count")
        return str(kid), str(alg)

    def _claims(self, token: str, key: Any) -> Mapping[str, Any]:
        import jwt

        reasons: Mapping[type[Exception], str] = {
            jwt.ExpiredSignatureError: "the token is over",
            jwt.ImmatureSignatureError: "the token is not yet good",
            jwt.InvalidIssuerError: "the token is another issuer's",
            jwt.InvalidAudienceError: "the token is for somebody else",
            jwt.MissingRequiredClaimError: "the token leaves out what it must say",
            jwt.InvalidSignatureError: "the signature is wrong",
        }
        try:
            return jwt.decode(
                token,
                key,
                algorithms=list(self._settings.algorithms),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway_seconds,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub"],
                    "enforce_minimum_key_length": True,
                },
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            reason = reasons.get(type(error), "the token cannot be used")
            raise UnauthenticatedError(BACKEND, reason) from None

    def _principal(self, claims: Mapping[str, Any]) -> Principal:
        subject, email = str(claims["sub"]), claims.get("email")
        if claims.get("email_verified") is not True or not isinstance(email, str):
            email = ""
        settings = self._settings
        if not (email in settings.emails or {subject, ANYBODY} & {*settings.subjects}):
            raise PermissionDeniedError(BACKEND, "who shows the token is not let in")
        return Principal(subject=subject, issuer=settings.issuer, email=email)
