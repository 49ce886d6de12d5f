"""A publisher of signed manifests over real HTTP that rotates its keys, ages, and lies."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Self

from oneiric.clock import Clock, SystemClock, rfc3339
from oneiric.documents import canonical
from oneiric.errors import JSONValue
from oneiric.remote.envelope import MANIFEST, TRUST, Envelope
from oneiric.remote.origin import Origin
from oneiric.remote.security import PrivateKey
from oneiric.testing.lies import Sends
from oneiric.testing.loopback import LoopbackServer

PATH = "/manifest.json"


class ManifestSimulator(LoopbackServer):
    """Publish manifests that are signed on demand, honestly until it is told otherwise.

    Everything is served under real addresses: the manifest at `uri`, trust roots beside it as
    `2.root.json` and so on. The first root is `pinned`, to be handed to a client. What is served
    can be made old, other, or wrongly signed by the methods here, and lied about on the wire with
    `lie` and `always`; `requests` tells what was asked, and with which credentials.

    >>> from oneiric.testing import ManualClock
    >>> from oneiric.remote.trust import TrustRoot
    >>> from oneiric.remote.verify import verify
    >>> with ManifestSimulator("acme", clock=ManualClock()) as publisher:
    ...     data = publisher.publish(publisher.entry("adapter:cache", "acme", "acme.cache:Cache"))
    ...     root = TrustRoot.read(publisher.pinned, source="acme")
    ...     found = verify(data, source="acme", root=root, now=publisher.clock.now())
    >>> found.manifest.version, found.manifest.entries[0].offer
    (1, 'adapter:cache@acme')

    Args:
        name: of the manifests.
        clock: tells when they are issued and when they expire.
        keys: how many keys may sign manifests; as many may sign roots.
        threshold: how many of them have to, for both.
        factories: packages that every key may name factories from.
        hosts: hosts that every key may name artifacts from, beside this one.
        lifetime: how long manifests and roots are good.
        tls: certificate and key of `localhost`, to serve HTTPS.
    """

    def __init__(
        self,
        name: str = "acme",
        *,
        clock: Clock | None = None,
        keys: int = 1,
        threshold: int = 1,
        factories: Iterable[str] = ("acme", "oneiric"),
        hosts: Iterable[str] = (),
        lifetime: timedelta = timedelta(days=30),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls=tls)
        self.name = name
        self.clock = clock or SystemClock()
        self.lifetime = lifetime
        self.threshold = threshold
        self.root_keys = tuple(PrivateKey.generate() for _ in range(keys))
        self.manifest_keys = tuple(PrivateKey.generate() for _ in range(keys))
        self.revoked: tuple[str, ...] = ()
        self.version = 0
        self.root_version = 0
        self.versions: dict[int, bytes] = {}
        self.roots: dict[int, bytes] = {}
        self._factories = tuple(factories)
        self._hosts = tuple(hosts)
        self._entries: Sequence[Mapping[str, JSONValue]] = ()

    def __enter__(self) -> Self:
        super().__enter__()
        if not self.roots:
            self._publish_root(self.root_keys)
        for version, data in self.roots.items():
            self.put(f"/{version}.root.json", data)
        if self.versions:
            self.serve(self.versions[self.version])
        return self

    @property
    def uri(self) -> str:
        """The address of the manifest."""
        return self.address(PATH)

    @property
    def pinned(self) -> bytes:
        """The envelope of the first trust root."""
        return self.roots[1]

    def entry(
        self, ref: str, provider: str, factory: str, **fields: JSONValue
    ) -> dict[str, JSONValue]:
        """Return an entry for *ref*, `domain:key`, with further *fields*."""
        domain, _, key = ref.partition(":")
        return {"domain": domain, "key": key, "provider": provider, "factory": factory, **fields}

    def artifact(self, path: str, data: bytes, *, kind: str = "wheel") -> dict[str, JSONValue]:
        """Serve *data* under *path*, and return what an entry says of it."""
        self.put(path, data)
        sha256 = hashlib.sha256(data).hexdigest()
        return {"uri": self.address(path), "sha256": sha256, "length": len(data), "kind": kind}

    def pin(self, path: Path) -> Path:
        """Write the first trust root to *path*, and return that."""
        path.write_bytes(self.pinned)
        return path

    def told(self, version: int, **fields: JSONValue) -> dict[str, JSONValue]:
        """Return a manifest of *version* as a plain value, issued now, with *fields* over it."""
        now = self.clock.now()
        return {
            "schema": "oneiric.manifest/2",
            "name": self.name,
            "version": version,
            "issued": rfc3339(now),
            "expires": rfc3339(now + self.lifetime),
            "entries": [dict(each) for each in self._entries],
            **fields,
        }

    def sign(self, told: JSONValue, *keys: PrivateKey, payload_type: str = MANIFEST) -> bytes:
        """Return the envelope over *told*, signed by *keys*, or by all that may sign manifests."""
        envelope = Envelope(canonical(told), payload_type)
        for key in keys or self.manifest_keys:
            envelope = envelope.signed_by(key)
        return envelope.as_bytes()

    def publish(
        self,
        *entries: Mapping[str, JSONValue],
        keys: Sequence[PrivateKey] = (),
        version: int | None = None,
        **fields: JSONValue,
    ) -> bytes:
        """Serve a manifest with *entries*, or with those of before, and return its envelope.

        *keys* sign it instead of all that may; it is the next *version* unless another is given;
        *fields* stand over its own.
        """
        self._entries = entries or self._entries
        self.version = version or self.version + 1
        data = self.versions[self.version] = self.sign(self.told(self.version, **fields), *keys)
        self.serve(data)
        return data

    def serve(self, data: bytes) -> None:
        """Serve *data* as the manifest, whatever it is, with an ETag of its own."""
        self.put(PATH, data, etag=f'"{hashlib.sha256(data).hexdigest()[:16]}"')

    def rotate(
        self,
        *,
        root_keys: Sequence[PrivateKey] | None = None,
        manifest_keys: Sequence[PrivateKey] | None = None,
        threshold: int | None = None,
        revoked: Iterable[PrivateKey] = (),
        signers: Sequence[PrivateKey] = (),
    ) -> bytes:
        """Publish the next trust root, and return its envelope; what is not given stays.

        It is signed by the root keys of before and of now, or by *signers* alone, so that a
        rotation that nobody should follow can be made too.
        """
        old = self.root_keys
        self.root_keys = tuple(root_keys or old)
        self.manifest_keys = tuple(manifest_keys or self.manifest_keys)
        self.threshold = threshold or self.threshold
        self.revoked += tuple(key.public.id for key in revoked)
        data = self._publish_root(signers or (*old, *self.root_keys))
        self.put(f"/{self.root_version}.root.json", data)
        return data

    def revoke(self, key: PrivateKey) -> PrivateKey:
        """Publish a root in which *key* may sign no manifest any more, but a new one may.

        The new key is returned; publish a manifest afterwards, for that of before may lack signers.
        """
        new = PrivateKey.generate()
        kept = tuple(each for each in self.manifest_keys if each != key)
        self.rotate(manifest_keys=(*kept, new), revoked=[key])
        return new

    def roll_back(self, version: int) -> None:
        """Serve an older version again, rightly signed as it is."""
        self.serve(self.versions[version])

    def change_content(self, **fields: JSONValue) -> bytes:
        """Serve other content under the present version, rightly signed."""
        data = self.sign(self.told(self.version, **(fields or {"description": "changed"})))
        self.serve(data)
        return data

    def freeze(self) -> None:
        """Serve what is served now, and nothing newer, until `honest`."""
        self.always(PATH, Sends(self._documents[PATH].data))

    def mistype(self, payload_type: str = TRUST) -> bytes:
        """Serve the next version signed as if it were something else."""
        data = self.sign(self.told(self.version + 1), payload_type=payload_type)
        self.serve(data)
        return data

    def mirror(self) -> ManifestSimulator:
        """Return a second server with the same keys, roots and versions, which goes its own way.

        It has to be entered as this one was.
        """
        other = ManifestSimulator(self.name, clock=self.clock, lifetime=self.lifetime)
        for field in ("root_keys", "manifest_keys", "threshold", "revoked", "version"):
            setattr(other, field, getattr(self, field))
        other.root_version = self.root_version
        other.roots, other.versions = dict(self.roots), dict(self.versions)
        other._factories, other._hosts = self._factories, self._hosts
        other._entries = self._entries
        return other

    def _publish_root(self, signers: Sequence[PrivateKey]) -> bytes:
        self.root_version += 1
        now = self.clock.now()
        hosts = [*self._hosts, Origin.of(self.origin).netloc]
        rights: dict[str, JSONValue] = {"factories": list(self._factories), "hosts": list(hosts)}
        ids = [[key.public.id for key in keys] for keys in (self.root_keys, self.manifest_keys)]
        both = (*self.root_keys, *self.manifest_keys)
        told: dict[str, JSONValue] = {
            "schema": "oneiric.trust/1",
            "name": self.name,
            "version": self.root_version,
            "issued": rfc3339(now),
            "expires": rfc3339(now + self.lifetime),
            "keys": {key.public.id: {"public": key.public.text, **rights} for key in both},
            "roles": {
                "root": {"keys": list(ids[0]), "threshold": self.threshold},
                "manifest": {"keys": list(ids[1]), "threshold": self.threshold},
            },
            "revoked": list(self.revoked),
        }
        data = self.sign(told, *signers, payload_type=TRUST)
        self.roots[self.root_version] = data
        return data
