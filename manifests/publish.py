"""Sign our own manifests: `python -m manifests.publish`, or `make manifests`.

Each `manifests/NAME.yaml`, and the sample among the documents, is packed and signed into
`build/manifests/NAME.json`, beside the trust root `NAME.root.json` that a source pins. The key
is made once, under `.oneiric_cache/keys`. What is signed and current stays as it is; whatever
is signed anew gets a higher version, so that whoever applied an earlier one takes it.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from oneiric.clock import rfc3339
from oneiric.documents import canonical, parse
from oneiric.errors import InvalidError, JSONValue, NotFoundError, OneiricError
from oneiric.files import read_bounded, write_atomic
from oneiric.remote.envelope import MANIFEST, TRUST, Envelope
from oneiric.remote.manifest import read_manifest
from oneiric.remote.offers import offers_of
from oneiric.remote.security import PrivateKey
from oneiric.remote.trust import SCHEMA as TRUST_SCHEMA
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import VerifiedManifest, verify

OWN = ("oneiric",)
SAMPLE = "docs/sample_remote_manifest.yaml"
LASTS = timedelta(days=90)
RENEWED = timedelta(days=30)
ROOT_LASTS = timedelta(days=3650)
_LIMIT = 24 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """A manifest as it lies in the build folder, and whether it was signed just now."""

    manifest: VerifiedManifest
    path: Path
    is_new: bool


def publish(folder: Path, now: datetime) -> list[Published]:
    """Sign what is not signed or soon expires; two at once do not disturb each other.

    Raises:
        InvalidError: a source is no manifest, or one of its entries could not serve.
    """
    with _key(folder / ".oneiric_cache" / "keys") as key:
        into = folder / "build" / "manifests"
        into.mkdir(parents=True, exist_ok=True)
        sources = {path.stem: path for path in sorted((folder / "manifests").glob("*.yaml"))}
        sources["sample"] = folder / SAMPLE
        return [_published(name, source, into, key, now) for name, source in sources.items()]


def main() -> int:
    """Publish the manifests of the folder in which this is called, and tell what was done."""
    try:
        found = publish(Path(), datetime.now(UTC))
    except OneiricError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    for each in (each for each in found if each.is_new):
        head = each.manifest.manifest.head
        print(f"signed {each.path}, version {head.version}, until {head.expires:%Y-%m-%d}")
    if not any(each.is_new for each in found):
        print(f"build/manifests is current: {', '.join(each.path.stem for each in found)}")
    return 0


def _published(name: str, source: Path, into: Path, key: PrivateKey, now: datetime) -> Published:
    told = parse(read_bounded(source, limit=_LIMIT), "yaml", source=str(source))
    if not isinstance(told, dict) or told.get("name") != name:
        raise InvalidError(f"{source} does not say name: {name}")
    path, beside = into / f"{name}.json", into / f"{name}.root.json"
    root = _root(beside, name, key, now)
    before = _current(path, root, now)
    version = int(now.timestamp())
    if before is not None:
        head = before.manifest.head
        dates = {"issued": rfc3339(head.issued), "expires": rfc3339(head.expires)}
        same = canonical({**told, "version": head.version, **dates})
        if same == Envelope.parse(before.data).payload and head.expires - now > RENEWED:
            return Published(before, path, is_new=False)
        version = max(version, head.version + 1)
    dates = {"issued": rfc3339(now), "expires": rfc3339(now + LASTS)}
    payload = canonical({**told, "version": version, **dates})
    _check(payload, source)
    signed = Envelope(payload, MANIFEST).signed_by(key).as_bytes()
    verified = verify(signed, source=name, root=root, now=now)
    if wrong := offers_of(verified, allowed=OWN).quarantined:
        raise InvalidError(f"{source}: {wrong[0].offer}: {wrong[0].reason}")
    write_atomic(path, signed)
    return Published(verified, path, is_new=True)


def _check(payload: bytes, source: Path) -> None:
    for fault in read_manifest(payload, source=str(source)).faults:
        raise InvalidError(f"{source}: {fault.offer or fault.index}: {fault.reason}")


def _current(path: Path, root: TrustRoot, now: datetime) -> VerifiedManifest | None:
    try:
        return verify(read_bounded(path, limit=_LIMIT), source=path.stem, root=root, now=now)
    except OneiricError:
        return None


def _root(path: Path, name: str, key: PrivateKey, now: datetime) -> TrustRoot:
    """Return the trust root at *path*, made anew where it is not one of this key's."""
    keyid = key.public.id
    try:
        found = TrustRoot.read(read_bounded(path, limit=_LIMIT), source=str(path))
        found.current(now, source=str(path))
        if found.name == name and found.usable("manifest") == [keyid]:
            return found
    except OneiricError:
        pass
    role: dict[str, JSONValue] = {"keys": [keyid], "threshold": 1}
    payload = canonical(
        {
            "schema": TRUST_SCHEMA,
            "name": name,
            "version": 1,
            "issued": rfc3339(now),
            "expires": rfc3339(now + ROOT_LASTS),
            "keys": {keyid: {"public": key.public.text, "factories": list(OWN)}},
            "roles": {"root": role, "manifest": role},
        }
    )
    signed = Envelope(payload, TRUST).signed_by(key).as_bytes()
    write_atomic(path, signed)
    return TrustRoot.read(signed, source=str(path))


@contextmanager
def _key(folder: Path) -> Iterator[PrivateKey]:
    """Give the key of this checkout, made when there is none, to one process at a time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / "manifests.json"
    with (folder / ".manifests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            key = PrivateKey.read(read_bounded(path, limit=_LIMIT))
        except NotFoundError:
            key = PrivateKey.generate()
            write_atomic(path, key.write(), mode=0o600, durable=True)
        yield key


if __name__ == "__main__":
    raise SystemExit(main())
