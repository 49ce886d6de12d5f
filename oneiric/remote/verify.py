"""Bytes to a verified manifest, or a refusal; in this order, and nothing is used before the last.

    1. the envelope's form            invalid-envelope, unsigned
    2. the type that was signed       wrong-payload-type
    3. the trust root's own time      expired, issued-in-future
    4. enough distinct trusted keys   under-signed
    5. the manifest's form            invalid-manifest, invalid-document
    6. its name                       wrong-manifest
    7. its time                       expired, issued-in-future
    8. its version                    rollback, changed-content

Not handled here: where bytes and time come from, which root is the latest, what is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from oneiric.core.candidate import Source, SourceKind
from oneiric.documents import Kind
from oneiric.errors import JSONValue
from oneiric.remote.envelope import MANIFEST, Envelope, is_envelope
from oneiric.remote.errors import (
    ChangedError,
    PayloadTypeError,
    RollbackError,
    UnsignedError,
    WrongNameError,
)
from oneiric.remote.manifest import Manifest, read_manifest
from oneiric.remote.times import check_time

if TYPE_CHECKING:
    from oneiric.remote.trust import TrustRoot


@dataclass(frozen=True, slots=True)
class Seen:
    """The highest version of a source that was ever verified, by which keys it could be signed.

    `threshold` is how many of them had to. Where so many of them may no longer sign, the version
    says nothing any more: whoever had those keys could have made it as high as they liked.
    """

    version: int
    digest: str
    keys: tuple[str, ...]
    threshold: int = 1

    def counts(self, root: TrustRoot) -> bool:
        """Tell whether too few keys are distrusted by now to have made the version up."""
        return len(set(self.keys) - set(root.usable("manifest"))) < self.threshold


@dataclass(frozen=True, slots=True)
class VerifiedManifest:
    """A manifest that may be applied; only `verify` and `unsigned` make one.

    `digest` is that of the exact payload bytes; `data` is what was received, to be verified
    again when it is read from where it was kept.
    """

    source: Source
    manifest: Manifest
    digest: str
    data: bytes = field(repr=False)
    signers: tuple[str, ...] = ()
    root: TrustRoot | None = None

    @property
    def seen(self) -> Seen:
        """What is to be remembered of it."""
        if self.root is None:
            return Seen(self.manifest.version, self.digest, ())
        keys, role = tuple(self.root.usable("manifest")), self.root.roles.manifest
        return Seen(self.manifest.version, self.digest, keys, role.threshold)

    def allows(self, *, factory: str = "", host: str = "") -> bool:
        """Tell whether those who signed may name this; without a trust root anybody may."""
        return self.root is None or self.root.may_name(self.signers, factory=factory, host=host)

    def check_time(self, now: datetime) -> None:
        """Pass if the manifest may be newly applied at this time.

        Raises:
            ExpiredError, FutureError: it may not.
        """
        head = self.manifest.head
        what = f"version {head.version}"
        check_time(head.issued, head.expires, now, what=what, source=self.source.name)


def verify(
    data: bytes,
    *,
    source: str,
    root: TrustRoot,
    seen: Seen | None = None,
    now: datetime,
    timely: bool = True,
) -> VerifiedManifest:
    """Return the manifest in an envelope if *root* trusts it, at the time *now*.

    Args:
        data: the envelope as it was received.
        source: by which name the source is known here.
        root: the latest trust root of that source.
        seen: what is remembered of the source; None when nothing ever was seen.
        now: the one reference time.
        timely: whether root and manifest must be current; else that is left to the caller.

    Raises:
        UnsignedError, PayloadTypeError, UnderSignedError, WrongNameError, ExpiredError,
        FutureError, RollbackError, ChangedError: it is not to be trusted.
        InvalidEnvelopeError, InvalidManifestError, DocumentError: its form is wrong.
    """
    if not is_envelope(data):
        raise UnsignedError(source, "it is not signed", hint="oneiric manifest sign")
    envelope = Envelope.parse(data, source=source)
    if envelope.payload_type != MANIFEST:
        raise PayloadTypeError(source, f"it is {envelope.payload_type!r}, no manifest")
    if timely:
        root.current(now, source=source)
    signers = root.demand(envelope, "manifest", source=source)
    manifest = read_manifest(envelope.payload, source=source)
    if manifest.name != root.name:
        reason = f"it is the manifest {manifest.name}, and {root.name} was asked for"
        raise WrongNameError(source, reason)
    found = _verified(source, manifest, envelope.payload, data, signers=signers, root=root)
    if timely:
        found.check_time(now)
    if seen is not None and seen.counts(root):
        _check_version(found, seen)
    return found


def unsigned(data: bytes, kind: Kind, *, source: str, now: datetime) -> VerifiedManifest:
    """Return a manifest from a source without a trust root, which only a local file may be.

    Raises:
        InvalidManifestError, DocumentError: its form is wrong.
        ExpiredError, FutureError: its time is over, or has not come.
    """
    payload = data
    if is_envelope(data):
        envelope = Envelope.parse(data, source=source)
        if envelope.payload_type != MANIFEST:
            raise PayloadTypeError(source, f"it is {envelope.payload_type!r}, no manifest")
        payload, kind = envelope.payload, "json"
    manifest = read_manifest(payload, kind, source=source)
    found = _verified(source, manifest, payload, data)
    found.check_time(now)
    return found


def _verified(
    name: str,
    manifest: Manifest,
    payload: bytes,
    data: bytes,
    *,
    signers: tuple[str, ...] = (),
    root: TrustRoot | None = None,
) -> VerifiedManifest:
    digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
    source = Source(
        SourceKind.MANIFEST, name, str(manifest.version), detail=digest, signed=root is not None
    )
    return VerifiedManifest(source, manifest, digest, data, signers, root)


def _check_version(found: VerifiedManifest, seen: Seen) -> None:
    version, source = found.manifest.version, found.source.name
    facts: Mapping[str, JSONValue] = {"version": version, "seen": seen.version}
    if version < seen.version:
        reason = f"version {version} is older than version {seen.version}, which was seen"
        raise RollbackError(source, reason, facts=facts)
    if version == seen.version and found.digest != seen.digest:
        reason = f"version {version} was seen with other content"
        hint = "the publisher has to raise the version with every change"
        raise ChangedError(source, reason, hint=hint, facts=facts)
