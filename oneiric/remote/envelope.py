"""DSSE: bytes, what they are, and who signed exactly that.

What is signed is the payload as it was received together with its type, never a value that
was read and written again, and never one type of document for another.

Source: https://github.com/secure-systems-lab/dsse, protocol and envelope, version 1.0.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from oneiric.documents import DocumentLimits, canonical, parse
from oneiric.errors import JSONValue
from oneiric.remote.errors import InvalidEnvelopeError

if TYPE_CHECKING:
    from oneiric.remote.security import PrivateKey

MANIFEST = "application/vnd.oneiric.manifest+json"
TRUST = "application/vnd.oneiric.trust+json"
MOST_SIGNATURES = 64
LONGEST = 24 << 20
_FIELDS = frozenset({"payload", "payloadType", "signatures"})
_LIMITS = DocumentLimits(max_bytes=LONGEST, max_depth=4, max_nodes=8 * MOST_SIGNATURES)
_CHUNK = 1 << 20  # characters decoded at a time, a multiple of 4: the rest of the process goes on


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature. Its key id is a hint by whoever sent it and decides nothing."""

    keyid: str
    sig: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type, and signatures over both.

    >>> Envelope(b"{}", MANIFEST).pae
    b'DSSEv1 37 application/vnd.oneiric.manifest+json 2 {}'
    """

    payload: bytes = field(repr=False)
    payload_type: str
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def parse(cls, data: bytes, *, source: str = "") -> Self:
        """Read an envelope strictly: JSON, these three fields, base64, at most 64 signatures.

        Raises:
            InvalidEnvelopeError: it is none; says why.
            DocumentError: it is not even one strict JSON document.
        """
        told = parse(data, "json", source=source, limits=_LIMITS)
        if not isinstance(told, Mapping) or not told.keys() >= _FIELDS:
            hint = "sign it first: oneiric manifest sign"
            raise InvalidEnvelopeError(source, "it has no payload with signatures", hint=hint)
        if unknown := sorted(told.keys() - _FIELDS):
            raise InvalidEnvelopeError(source, f"unknown field {unknown[0]!r}")
        kind, signatures = told["payloadType"], told["signatures"]
        if not isinstance(kind, str) or not isinstance(signatures, list):
            raise InvalidEnvelopeError(source, "payloadType is text and signatures a list")
        if len(signatures) > MOST_SIGNATURES:
            raise InvalidEnvelopeError(source, f"it has more than {MOST_SIGNATURES} signatures")
        payload = _decoded(told["payload"], "payload", source)
        return cls(payload, kind, tuple(_signature(each, source) for each in signatures))

    @property
    def pae(self) -> bytes:
        """The bytes that are signed."""
        kind = self.payload_type.encode()
        head = b"DSSEv1 %d %b %d " % (len(kind), kind, len(self.payload))
        return head + self.payload

    def as_bytes(self) -> bytes:
        """Return the envelope as canonical JSON, which `parse` takes back."""
        signatures: list[JSONValue] = [
            {"keyid": each.keyid, "sig": _encoded(each.sig)} for each in self.signatures
        ]
        told: dict[str, JSONValue] = {
            "payload": _encoded(self.payload),
            "payloadType": self.payload_type,
            "signatures": signatures,
        }
        return canonical(told) + b"\n"

    def signed_by(self, key: PrivateKey) -> Envelope:
        """Return the envelope with a signature by *key* added; one it had by that key goes."""
        own = key.public.id
        others = tuple(each for each in self.signatures if each.keyid != own)
        return replace(self, signatures=(*others, Signature(own, key.sign(self.pae))))


def is_envelope(data: bytes) -> bool:
    """Tell whether *data* looks like an envelope rather than like a bare document."""
    return data.lstrip()[:1] == b"{" and b'"payloadType"' in data


def _signature(told: JSONValue, source: str) -> Signature:
    if not isinstance(told, Mapping) or not {"sig"} <= told.keys() <= {"keyid", "sig"}:
        raise InvalidEnvelopeError(source, "a signature has keyid and sig")
    keyid = told.get("keyid", "")
    if not isinstance(keyid, str):
        raise InvalidEnvelopeError(source, "keyid is text")
    return Signature(keyid, _decoded(told["sig"], "sig", source))


def _decoded(value: JSONValue, name: str, source: str) -> bytes:
    if not isinstance(value, str):
        raise InvalidEnvelopeError(source, f"{name} is base64 text")
    try:
        parts = range(0, len(value), _CHUNK)
        decoded = [binascii.a2b_base64(value[at : at + _CHUNK], strict_mode=True) for at in parts]
    except (ValueError, binascii.Error):
        raise InvalidEnvelopeError(source, f"{name} is not base64") from None
    return b"".join(decoded)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
