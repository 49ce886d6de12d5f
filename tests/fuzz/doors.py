"""The doors through which foreign bytes come in: each takes any, or refuses them by our errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from oneiric.documents import Kind, canonical, locate, parse
from oneiric.errors import OneiricError
from oneiric.remote.envelope import MANIFEST, Envelope
from oneiric.remote.offers import offers_of
from oneiric.remote.security import PrivateKey, PublicKey
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import unsigned, verify

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CORPUS = Path(__file__).with_name("corpus")


def document(kind: Kind, data: bytes) -> None:
    """Read a document; what is read has canonical bytes, and lines are found in anything."""
    locate(data, kind)
    canonical(parse(data, kind))


def envelope(data: bytes) -> None:
    """Read an envelope; what is read is written and read again as the same."""
    found = Envelope.parse(data)
    assert Envelope.parse(found.as_bytes()) == found


def manifest(kind: Kind, data: bytes) -> None:
    """Read a manifest and offer its entries, every one of them or a reason."""
    found = unsigned(data, kind, source="fuzz", now=NOW)
    offers = offers_of(found, allowed=["oneiric"])
    told = len(found.manifest.entries) + len(found.manifest.faults)
    assert len(offers.candidates) <= told
    assert all(each.reason for each in offers.quarantined)


def trust(data: bytes) -> None:
    """Read a trust root, first without its envelope; nobody can have signed what is made up."""
    try:
        root = TrustRoot.of(parse(data, "json"), source="fuzz")
    except OneiricError:
        TrustRoot.read(data, source="fuzz")
        return
    signed = Envelope(data, MANIFEST).as_bytes()
    try:
        verify(signed, source="fuzz", root=root, now=NOW)
    except OneiricError:
        return
    raise AssertionError("an envelope that nobody signed was verified")


def keys(data: bytes) -> None:
    """Read either half of a key pair; what is read is written and read again as the same."""
    try:
        found = PrivateKey.read(data)
        assert PrivateKey.read(found.write()) == found
    except OneiricError:
        public = PublicKey.read(data.decode("latin-1"))
        assert PublicKey.read(public.text) == public


DOORS: Mapping[str, Callable[[bytes], None]] = {
    "json": partial(document, "json"),
    "yaml": partial(document, "yaml"),
    "toml": partial(document, "toml"),
    "envelope": envelope,
    "manifest": partial(manifest, "json"),
    "manifest-yaml": partial(manifest, "yaml"),
    "manifest-toml": partial(manifest, "toml"),
    "trust": trust,
    "keys": keys,
}
"""Each door by its name, which is also that of its folder in the corpus."""


def enter(name: str, data: bytes) -> None:
    """Hand *data* to a door; any other error than ours goes through."""
    try:
        DOORS[name](data)
    except OneiricError as error:
        str(error)
        canonical(dict(error.details()))
