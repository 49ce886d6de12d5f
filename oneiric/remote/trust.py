"""Whom a source trusts: keys, what each may bring, and how many must agree.

A trust root is published like a manifest, as a signed envelope, and pinned by a copy that
the operator puts beside the configuration. It is replaced only by the next version, signed
by as many of the present root keys as the present threshold asks for and by as many of the
new ones as the new threshold does.

Bytes go in and roots come out: nothing here reads a file, a network or a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from oneiric.documents import DocumentLimits, parse
from oneiric.documents.model import refused, validate_settings
from oneiric.errors import ConfigError, JSONValue, Problem
from oneiric.remote.envelope import TRUST, Envelope
from oneiric.remote.errors import (
    InvalidKeyError,
    InvalidTrustError,
    PayloadTypeError,
    RotationError,
    UnderSignedError,
)
from oneiric.remote.manifest import LARGEST, Moment, Name
from oneiric.remote.security import PublicKey
from oneiric.remote.times import check_time
from oneiric.targets import is_allowed

SCHEMA = "oneiric.trust/1"
RoleName = Literal["root", "manifest"]
_LIMITS = DocumentLimits(max_bytes=1 << 18, max_depth=8, max_nodes=20_000)
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def _prefix(text: str) -> str:
    if not text or not all(part.isidentifier() for part in text.split(".")):
        raise refused(f"{text!r} is no package such as acme.adapters")
    return text


def _host(text: str) -> str:
    try:
        split = urlsplit(f"//{text}")
        named = split.hostname and split.netloc == text and not split.username
        split.port  # noqa: B018  # raises where it is none
    except ValueError:
        named = False
    if not named or text != text.lower():
        raise refused(f"{text!r} is no host such as cdn.example.org or localhost:8443")
    return text.removesuffix(":443")  # which is the usual one, and told of no address


Prefix = Annotated[str, AfterValidator(_prefix)]
Host = Annotated[str, AfterValidator(_host)]


class TrustedKey(BaseModel):
    """A public key, and what it may vouch for."""

    model_config = _STRICT

    algorithm: Literal["ed25519"] = "ed25519"
    """How it signs."""
    public: str = Field(max_length=200)
    """Its 32 bytes as base64."""
    factories: list[Prefix] = Field(default_factory=list)
    """Packages from which its manifests may name factories; none without one."""
    hosts: list[Host] = Field(default_factory=list)
    """Hosts from which its manifests may name artifacts; none without one."""
    note: str = Field("", max_length=200)
    """Whose key it is, for people."""


class Role(BaseModel):
    """Who may sign a kind of document, and how many of them have to."""

    model_config = _STRICT

    keys: list[str] = Field(max_length=64)
    """Ids of keys."""
    threshold: int = Field(1, ge=1, le=64)
    """How many different ones have to sign."""


class Roles(BaseModel):
    """Who may sign what."""

    model_config = _STRICT

    root: Role
    """The next trust root."""
    manifest: Role
    """Manifests."""


class TrustRoot(BaseModel):
    """Whom a source trusts, at one version."""

    model_config = _STRICT

    schema_: Literal["oneiric.trust/1"] = Field(alias="schema")
    """The format."""
    name: Name
    """Of which manifests it tells; they bear the same name."""
    version: int = Field(ge=1, le=LARGEST)
    """One more than that of the root it replaces."""
    issued: Moment
    """When it was published, RFC 3339."""
    expires: Moment
    """When it must have been replaced, RFC 3339."""
    keys: dict[str, TrustedKey] = Field(max_length=64)
    """Every key that a role names, by its id."""
    roles: Roles
    """Who may sign what."""
    revoked: list[str] = Field(default_factory=list, max_length=1000)
    """Ids of keys that count no more, whatever a role says."""

    @classmethod
    def read(cls, data: bytes, *, source: str) -> Self:
        """Read a root that was pinned, from an envelope that it signs itself.

        Its time is not looked at, for its successor may already be there.

        Raises:
            InvalidEnvelopeError, DocumentError: it is no envelope.
            PayloadTypeError: it is no trust root.
            InvalidTrustError: it contradicts itself; carries every problem.
            UnderSignedError: fewer of its own root keys signed it than it asks for.
        """
        envelope, root = cls.parse(data, source=source)
        root.demand(envelope, "root", source=source)
        return root

    @classmethod
    def parse(cls, data: bytes, *, source: str) -> tuple[Envelope, Self]:
        """Return an envelope and the root in it, whoever signed that or did not yet.

        Raises:
            InvalidEnvelopeError, DocumentError, PayloadTypeError, InvalidTrustError: as in `read`.
        """
        envelope = Envelope.parse(data, source=source)
        if envelope.payload_type != TRUST:
            raise PayloadTypeError(source, f"it is {envelope.payload_type!r}, no trust root")
        told = parse(envelope.payload, "json", source=source, limits=_LIMITS)
        return envelope, cls.of(told, source=source)

    @classmethod
    def of(cls, told: JSONValue, *, source: str) -> Self:
        """Return the root that a plain value tells.

        Raises:
            InvalidTrustError: it contradicts itself; carries every problem.
        """
        if not isinstance(told, Mapping):
            raise InvalidTrustError(source, [Problem(".", "it is no table", source)])
        try:
            root = validate_settings(cls, told, key="trust", origin_of=lambda path: source)
        except ConfigError as error:
            problems = [
                Problem(each.key.removeprefix("trust."), each.what, source)
                for each in error.problems
            ]
            raise InvalidTrustError(source, problems) from None
        if problems := [Problem(*found, source) for found in root._contradictions()]:
            raise InvalidTrustError(source, problems)
        return root

    def _contradictions(self) -> Iterator[tuple[str, str]]:
        if self.expires <= self.issued:
            yield "expires", "it lies before issued"
        for keyid, key in self.keys.items():
            try:
                real = PublicKey.read(key.public).id
            except InvalidKeyError as error:
                yield f"keys.{keyid}.public", error.message
                continue
            if real != keyid:
                yield f"keys.{keyid}", f"the key's id is {real}"
        for name in ("root", "manifest"):
            role: Role = getattr(self.roles, name)
            if unknown := sorted(set(role.keys) - self.keys.keys()):
                yield f"roles.{name}.keys", f"no key is called {unknown[0]}"
            able = set(role.keys) & self.keys.keys() - set(self.revoked)
            if role.threshold > len(able):
                what = f"{role.threshold} must sign, but only {len(able)} can"
                yield f"roles.{name}.threshold", what

    def signers(self, envelope: Envelope, role: RoleName) -> tuple[str, ...]:
        """Return the ids of the different keys of *role* that signed the envelope's bytes.

        The key id that a signature claims says only against which of the trusted keys it is
        checked; a key counts once, however often it signed.
        """
        pae, found = envelope.pae, dict.fromkeys(self.usable(role), False)
        keys = {keyid: PublicKey.read(self.keys[keyid].public) for keyid in found}
        for signature in envelope.signatures:
            key = keys.get(signature.keyid)
            if key is not None and not found[signature.keyid]:
                found[signature.keyid] = key.verifies(pae, signature.sig)
        return tuple(keyid for keyid, signed in found.items() if signed)

    def usable(self, role: RoleName) -> list[str]:
        """Return the ids of the keys that *role* names and nobody revoked."""
        named: Role = getattr(self.roles, role)
        return [keyid for keyid in dict.fromkeys(named.keys) if keyid not in self.revoked]

    def demand(self, envelope: Envelope, role: RoleName, *, source: str) -> tuple[str, ...]:
        """Return who signed, if they are enough for *role*.

        Raises:
            UnderSignedError: they are not; tells how many are missing, and which were revoked.
        """
        signers = self.signers(envelope, role)
        threshold = getattr(self.roles, role).threshold
        if len(signers) < threshold:
            claimed = {each.keyid for each in envelope.signatures}
            revoked = sorted(claimed & set(self.revoked))
            also = "; a key that signed was revoked" if revoked else ""
            reason = f"{len(signers)} of {threshold} trusted {role} keys signed it{also}"
            facts: dict[str, JSONValue] = {
                "role": role,
                "threshold": threshold,
                "signers": list(signers),
                "revoked": list(revoked),
            }
            raise UnderSignedError(source, reason, facts=facts)
        return signers

    def current(self, now: datetime, *, source: str) -> None:
        """Pass if the root may be used at this time.

        Raises:
            ExpiredError: its time is over.
            FutureError: its time has not come.
        """
        check_time(self.issued, self.expires, now, what="the trust root", source=source)

    def advance(self, data: bytes, *, source: str) -> TrustRoot:
        """Return the root that follows this one, signed by the old keys and by the new.

        Whether either has expired is not asked: only the last of a chain has to be current.

        Raises:
            RotationError: it is not the next version, or tells of other manifests.
            UnderSignedError: too few of the old or of the new root keys signed it.
            InvalidEnvelopeError, DocumentError, PayloadTypeError, InvalidTrustError: as in `read`.
        """
        envelope, new = self.parse(data, source=source)
        self.demand(envelope, "root", source=source)
        if new.version != self.version + 1:
            reason = f"version {new.version} does not follow version {self.version}"
            raise RotationError(source, reason)
        if new.name != self.name:
            raise RotationError(source, f"it tells of {new.name}, not of {self.name}")
        new.demand(envelope, "root", source=source)
        return new

    def may_name(self, signers: Iterable[str], *, factory: str = "", host: str = "") -> bool:
        """Tell whether enough of *signers* may name a factory's module, or an artifact's host."""
        agreed = 0
        for keyid in signers:
            key = self.keys[keyid]
            agreed += (not factory or is_allowed(factory, key.factories)) and (
                not host or host in key.hosts
            )
        return agreed >= self.roles.manifest.threshold
