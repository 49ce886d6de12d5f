"""The public keys of an issuer of tokens: fetched within limits, kept, and renewed with care."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from oneiric.clock import Clock
from oneiric.core.logging import get_logger
from oneiric.documents import parse
from oneiric.errors import InvalidError, JSONValue, OneiricError
from oneiric.ports.errors import UnauthenticatedError, UnavailableError
from oneiric.remote.breaker import Breakers
from oneiric.remote.fetch import Fetcher, FetchLimits
from oneiric.remote.origin import redirected
from oneiric.tls import read_trust

WELL_KNOWN = "/.well-known/openid-configuration"
LONGEST = 256 * 1024
MOST_KEYS = 100
_PATIENT = (
    1 << 30
)  # failures before the issuer is left alone: the floor between two looks is enough
_KINDS: Mapping[str, str] = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class KeySettings(Protocol):
    """What is to be known of an issuer to have its keys."""

    issuer: str
    jwks_url: str
    ca_file: Path | None
    timeout: float
    keys_seconds: float
    stale_seconds: float
    refetch_seconds: float


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures can be checked with; `alg` is empty where the issuer names none."""

    kid: str
    kind: str
    alg: str
    key: object = field(repr=False)

    def fits(self, kid: str, alg: str) -> bool:
        """Tell whether a token that names *kid* and *alg* may be signed with it."""
        return kid in ("", self.kid) and self.alg in ("", alg) and self.kind == _KINDS[alg[:2]]


class IssuerKeys:
    """Find the key that a token names; ask the issuer when it is unknown, or those here are old.

    Whoever shows unknown keys again and again makes the issuer be asked once in
    `refetch_seconds`. While it does not answer, what was fetched last counts on for
    `stale_seconds`.
    """

    def __init__(self, settings: KeySettings, *, backend: str, clock: Clock) -> None:
        self._settings = settings
        self._backend = backend
        self._clock = clock
        self._fetcher: Fetcher | None = None
        self._looking = asyncio.Lock()
        self._keys: Sequence[PublicKey] = ()
        self._fetched_at = self._looked_at = float("-inf")
        self._looks = 0
        self._problem = ""
        self._log = get_logger("oneiric.identity")

    async def open(self) -> None:
        """Read the authorities to trust; the issuer is asked when the first token comes.

        Raises:
            InvalidRequestError: `ca_file` cannot be read or holds no certificate.
        """
        if self._fetcher is not None:
            return
        trust = await read_trust(self._settings.ca_file, backend=self._backend)
        if self._fetcher is not None:  # another `open` was quicker
            return
        limits = FetchLimits(timeout=self._settings.timeout, retries=0, redirects=0)
        breakers = Breakers(self._clock, failures=_PATIENT)
        self._fetcher = Fetcher(clock=self._clock, limits=limits, trust=trust, breakers=breakers)

    async def close(self) -> None:
        """Close all connections, and forget the keys; who waits for them is told."""
        fetcher, self._fetcher = self._fetcher, None
        if fetcher is not None:
            await fetcher.aclose()
            async with self._looking:
                self._keys, self._problem = (), ""
                self._fetched_at = self._looked_at = float("-inf")
                await fetcher.aclose()

    async def problem(self) -> str:
        """Return why no token can be checked now, or an empty string."""
        if self._age >= self._settings.keys_seconds:
            await self._look()
        if self._is_usable:
            return ""
        return self._problem if self._fetcher is not None else "it is not up"

    async def find(self, kid: str, alg: str) -> object:
        """Return the key that fits a token which names *kid*, or none, and *alg*.

        Raises:
            UnauthenticatedError: the issuer has no such key.
            UnavailableError: the issuer could not be asked.
        """
        known = self._pick(kid, alg)
        is_fresh = self._age < self._settings.keys_seconds
        if known is None or not (is_fresh or self._looking.locked()):
            await self._look()
            known = self._pick(kid, alg)
        if self._fetcher is None:
            raise UnavailableError(self._backend, "is not up")
        if known is not None and self._is_usable:
            return known.key
        if self._problem:
            reason = f"the keys of the issuer cannot be had: {self._problem}"
            raise UnavailableError(self._backend, reason)
        raise UnauthenticatedError(self._backend, "the token is signed with no key of the issuer")

    @property
    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched_at

    @property
    def _is_usable(self) -> bool:
        return self._age < self._settings.keys_seconds + self._settings.stale_seconds

    def _pick(self, kid: str, alg: str) -> PublicKey | None:
        """Return the first key of that name; one without a name only where just one fits."""
        found = [key for key in self._keys if key.fits(kid, alg)]
        return found[0] if found and (kid or len(found) == 1) else None

    async def _look(self) -> None:
        """Ask the issuer, once for all who wait, unless it was asked just now."""
        looks = self._looks
        async with self._looking:
            since = self._clock.monotonic() - self._looked_at
            asked = self._looks != looks or since < self._settings.refetch_seconds
            if asked or self._fetcher is None:
                return
            try:
                self._keys = await self._fetched(self._fetcher)
            except OneiricError as error:
                self._problem = error.message
                self._log.warning("identity-keys-failed", reason=error.message)
            else:
                self._problem, self._fetched_at = "", self._clock.monotonic()
                self._log.info("identity-keys-fetched", keys=len(self._keys))
            self._looks += 1
            self._looked_at = self._clock.monotonic()

    async def _fetched(self, fetcher: Fetcher) -> Sequence[PublicKey]:
        url = self._settings.jwks_url
        if not url:
            place = self._settings.issuer.rstrip("/") + WELL_KNOWN
            told = await _table(fetcher, place)
            if told.get("issuer") != self._settings.issuer:
                raise InvalidError("the discovery document is another issuer's")
            url = redirected(place, str(told.get("jwks_uri")))
        keys = (await _table(fetcher, url)).get("keys")
        if not isinstance(keys, Sequence) or isinstance(keys, str) or len(keys) > MOST_KEYS:
            raise InvalidError(f"there is no list of at most {MOST_KEYS} keys")
        found = [key for each in keys if (key := read_key(each)) is not None]
        if not found:
            raise InvalidError("none of its keys can check a signature")
        return found


async def _table(fetcher: Fetcher, url: str) -> Mapping[str, JSONValue]:
    fetched = await fetcher.get(url, limit=LONGEST)
    told = parse(fetched.data, "json", source="answer")
    if not isinstance(told, Mapping):
        raise InvalidError("the answer is no table")
    return told


def read_key(jwk: JSONValue) -> PublicKey | None:
    """Return the key that a JWK describes; None for one that is secret, or for another use.

    Source: RFC 7517, section 4.
    """
    import jwt

    if not isinstance(jwk, Mapping) or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return None
    said = {name: jwk.get(name, "") for name in ("kid", "kty", "alg")}
    kid, kind, alg = (text if isinstance(text, str) else "?" for text in said.values())
    if kind not in _KINDS.values() or (alg and _KINDS.get(alg[:2]) != kind):
        return None
    try:
        return PublicKey(kid, kind, alg, jwt.PyJWK(dict(jwk)).key)
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
