"""A publisher's folder: a manifest in YAML, keys, and the desks at a time that stands still."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from oneiric.remote.security import PrivateKey
from oneiric.runtime.manifest_desk import ManifestDesk
from oneiric.runtime.trust_desk import RoleChange, Rotation, TrustDesk
from oneiric.testing import ManualClock

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)
ALICE, BOB, CAROL, MALLORY = (PrivateKey(bytes([number]) * 32) for number in range(1, 5))
YAML = """\
schema: oneiric.manifest/2
name: acme
version: 7
entries:
  - domain: adapter
    key: cache
    provider: acme
    factory: acme.cache:Cache
    owner: me
    license: MIT
"""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Somebody who publishes from a folder."""

    folder: Path
    clock: ManualClock

    @property
    def manifests(self) -> ManifestDesk:
        """The verbs about manifests."""
        return ManifestDesk(clock=self.clock)

    @property
    def trust(self) -> TrustDesk:
        """The verbs about trust roots."""
        return TrustDesk(clock=self.clock)

    def write(self, text: str = YAML, name: str = "manifest.yaml") -> Path:
        """Write a file and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def signed(self, *keys: PrivateKey, text: str = YAML, name: str = "manifest.json") -> Path:
        """Sign a manifest and return where it lies."""
        path = self.folder / name
        self.manifests.sign(self.write(text), keys, output=path)
        return path

    def root(self, *keys: PrivateKey, threshold: int = 1, name: str = "root.json") -> Path:
        """Write a trust root whose keys sign everything and may name `acme`."""
        path = self.folder / name
        change = Rotation(
            root=RoleChange(add=keys, threshold=threshold),
            manifest=RoleChange(threshold=threshold),
            factories=("acme",),
        )
        self.trust.init(path, name="acme", change=change)
        return path


def publisher(folder: Path, now: datetime = NOW) -> Publisher:
    """Return a publisher in *folder*, at a time that a test moves."""
    return Publisher(folder, ManualClock(now))


def later(days: int) -> datetime:
    """Return the time in so many days."""
    return NOW + timedelta(days=days)
