"""A publisher in a few words: keys, trust roots and manifests, signed as a test asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from oneiric.clock import rfc3339
from oneiric.documents import canonical
from oneiric.errors import JSONValue
from oneiric.remote.envelope import MANIFEST, TRUST, Envelope
from oneiric.remote.security import PrivateKey
from oneiric.remote.trust import TrustRoot

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
ALICE, BOB, CAROL, MALLORY = (PrivateKey(bytes([number]) * 32) for number in range(1, 5))

ENTRY: Mapping[str, JSONValue] = {
    "domain": "adapter",
    "key": "cache",
    "provider": "acme",
    "factory": "oneiric.adapters.cache.memory:MemoryCache",
}


def manifest(version: int = 1, **fields: JSONValue) -> dict[str, JSONValue]:
    """Return the plain value of a manifest with one entry, and *fields* over it."""
    return {
        "schema": "oneiric.manifest/2",
        "name": "acme",
        "version": version,
        "issued": rfc3339(NOW - timedelta(days=1)),
        "expires": rfc3339(LATER),
        "entries": [dict(ENTRY)],
        **fields,
    }


def signed(told: JSONValue, *keys: PrivateKey, kind: str = MANIFEST) -> bytes:
    """Return the bytes of an envelope over the canonical JSON of *told*."""
    envelope = Envelope(canonical(told), kind)
    for key in keys:
        envelope = envelope.signed_by(key)
    return envelope.as_bytes()


def trust(
    version: int = 1,
    *,
    roots: Sequence[PrivateKey] = (ALICE,),
    manifests: Sequence[PrivateKey] = (ALICE,),
    thresholds: tuple[int, int] = (1, 1),
    **fields: JSONValue,
) -> dict[str, JSONValue]:
    """Return the plain value of a trust root."""
    keys: dict[str, JSONValue] = {
        key.public.id: {"public": key.public.text, "factories": ["oneiric"]}
        for key in (*roots, *manifests)
    }
    return {
        "schema": "oneiric.trust/1",
        "name": "acme",
        "version": version,
        "issued": rfc3339(NOW - timedelta(days=1)),
        "expires": rfc3339(LATER),
        "keys": keys,
        "roles": {
            "root": {"keys": [key.public.id for key in roots], "threshold": thresholds[0]},
            "manifest": {
                "keys": [key.public.id for key in manifests],
                "threshold": thresholds[1],
            },
        },
        **fields,
    }


def root(*signers: PrivateKey, told: JSONValue = None) -> TrustRoot:
    """Return a trust root, signed by ALICE unless *signers* are named."""
    data = signed(trust() if told is None else told, *(signers or (ALICE,)), kind=TRUST)
    return TrustRoot.read(data, source="acme")
