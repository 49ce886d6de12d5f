"""What a publisher can ask for and do about trust roots: one method a verb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from oneiric.clock import Clock, SystemClock
from oneiric.documents import canonical
from oneiric.errors import InvalidError, JSONValue, NotFoundError, OneiricError
from oneiric.files import read_bounded, write_atomic
from oneiric.remote.envelope import LONGEST, TRUST, Envelope
from oneiric.remote.security import PrivateKey, PublicKey
from oneiric.remote.trust import SCHEMA, TrustRoot
from oneiric.runtime.keyring import make_folder, write_once
from oneiric.runtime.manifest_draft import stamp
from oneiric.runtime.trust_answers import Missing, TrustFile

Key: TypeAlias = "PrivateKey | PublicKey"

LASTS = timedelta(days=365)
_LEAST_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChange:
    """Which keys a role gets and loses, and how many of them have to sign; None leaves that."""

    add: tuple[Key, ...] = ()
    remove: tuple[str, ...] = ()
    threshold: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """What is different in the next trust root.

    `factories` and `hosts` are what the keys that sign manifests may vouch for; None leaves
    those that were there as they are, and gives new ones what those before had.
    """

    root: RoleChange = field(default_factory=RoleChange)
    manifest: RoleChange = field(default_factory=RoleChange)
    revoke: tuple[str, ...] = ()
    factories: tuple[str, ...] | None = None
    hosts: tuple[str, ...] | None = None
    lasts: timedelta = LASTS


class TrustDesk:
    """Answer for the commands about trust roots, over files.

    Raises (each verb): NotFoundError, InvalidPathError, UnavailableError about a file;
    InvalidTrustError, InvalidEnvelopeError, PayloadTypeError where it is no trust root.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def init(
        self,
        output: Path,
        *,
        name: str,
        change: Rotation,
        force: bool = False,
    ) -> TrustFile:
        """Write the first trust root, signed by those of its root keys that are private.

        Without keys for manifests the root keys sign those too.

        Raises:
            InvalidTrustError: it would contradict itself; carries every problem.
            InvalidPathError: the file exists, and *force* does not replace it.
        """
        if not change.root.add:
            raise InvalidError("a trust root needs a key", hint="--key FILE")
        if not change.manifest.add:
            manifest = replace(change.manifest, add=change.root.add)
            change = replace(change, manifest=manifest)
        empty: JSONValue = {"keys": [], "threshold": 1}
        told: dict[str, JSONValue] = {
            "schema": SCHEMA,
            "name": name,
            "version": 0,
            "keys": {},
            "roles": {"root": empty, "manifest": empty},
            "revoked": [],
        }
        root, payload = self._next(told, change, str(output))
        envelope = _signed(Envelope(payload, TRUST), change.root.add)
        _write(output, envelope, force=force)
        return _file(output, root, envelope, before=None)

    def show(self, path: Path, *, before: Path | None = None) -> TrustFile:
        """Return what a trust root says, who signed it, and whose signatures it lacks.

        Of a root that replaces another, that other one is looked for beside it unless named.
        """
        envelope, root = TrustRoot.parse(_read(path), source=str(path))
        return _file(path, root, envelope, before=_before(path, root, before))

    def rotate(
        self,
        path: Path,
        keys: Sequence[Key],
        *,
        change: Rotation,
        output: Path | None = None,
        force: bool = False,
    ) -> TrustFile:
        """Write the trust root that follows the one at *path*, signed by *keys*.

        It is named `<N>.root.json`, beside the one it follows, unless *output* names it. Where
        more must sign, the answer tells who may, and `sign` adds them.

        Raises:
            NotFoundError: a key that shall go is none of the root's.
            InvalidTrustError: it would contradict itself; carries every problem.
            UnderSignedError: the root at *path* is not signed by enough of its own keys.
            InvalidError: one of *keys* may sign neither, or a revoked key shall come back.
            InvalidPathError: the file exists, and *force* does not replace it.
        """
        old = TrustRoot.read(_read(path), source=str(path))
        into = output or path.parent / f"{old.version + 1}.root.json"
        told = old.model_dump(mode="json", by_alias=True)
        root, payload = self._next(told, change, str(into))
        _check_counts(keys, (old, root))
        envelope = _signed(Envelope(payload, TRUST), (*keys, *change.root.add))
        _write(into, envelope, force=force)
        return _file(into, root, envelope, before=old)

    def sign(
        self,
        path: Path,
        keys: Sequence[PrivateKey],
        *,
        before: Path | None = None,
        output: Path | None = None,
    ) -> TrustFile:
        """Add signatures to a trust root, in place unless *output* names another file.

        Raises:
            InvalidError: a key may sign neither this root nor the one before.
        """
        envelope, root = TrustRoot.parse(_read(path), source=str(path))
        old = _before(path, root, before)
        if old is not None or root.version == 1:
            _check_counts(keys, (root, old or root))
        envelope = _signed(envelope, keys)
        into = output or path
        _write(into, envelope, force=True)
        return _file(into, root, envelope, before=old)

    def _next(
        self, told: dict[str, JSONValue], change: Rotation, source: str
    ) -> tuple[TrustRoot, bytes]:
        """Return the root that follows what *told* says, with the bytes to be signed."""
        draft = _Draft(told)
        draft.apply(change)
        now = self._now()
        told = draft.told(now, now + change.lasts)
        return TrustRoot.of(told, source=source), canonical(told)

    def _now(self) -> datetime:
        return self._clock.now().replace(microsecond=0)


class _Draft:
    """A trust root while it is changed."""

    def __init__(self, told: dict[str, JSONValue]) -> None:
        self._told = told
        self.keys: dict[str, dict[str, JSONValue]] = _tables(told["keys"])
        self.roles = {name: _tables(told["roles"])[name] for name in ("root", "manifest")}
        self.revoked = _texts(told["revoked"])

    def apply(self, change: Rotation) -> None:
        """Do as the change says: first who goes, then who comes, who may what they could."""
        before = [self.keys[keyid] for keyid in self._of("manifest")]
        for text in change.revoke:
            keyid = self._id(text)
            for name in self.roles:
                self._leave(name, keyid)
            self.revoked.append(keyid)
        for name, part in (("root", change.root), ("manifest", change.manifest)):
            for text in part.remove:
                self._leave(name, self._id(text))
            for key in part.add:
                self._join(name, _public(key))
            if part.threshold is not None:
                self.roles[name]["threshold"] = part.threshold
        self._allow(change, before)
        named = {*_texts(self.roles["root"]["keys"]), *_texts(self.roles["manifest"]["keys"])}
        self.keys = {keyid: key for keyid, key in self.keys.items() if keyid in named}

    def told(self, issued: datetime, expires: datetime) -> dict[str, JSONValue]:
        """Return the plain value of the next version."""
        version = self._told["version"]
        assert isinstance(version, int)
        return {
            **self._told,
            "version": version + 1,
            "issued": stamp(issued),
            "expires": stamp(expires),
            "keys": self.keys,
            "roles": self.roles,
            "revoked": list(dict.fromkeys(self.revoked)),
        }

    def _join(self, role: str, key: PublicKey) -> None:
        if key.id in self.revoked:
            raise InvalidError(
                f"{key.id} was revoked", hint="make another: oneiric manifest keygen"
            )
        self.keys.setdefault(key.id, {"public": key.text})
        self.roles[role]["keys"] = list(dict.fromkeys((*self._of(role), key.id)))

    def _leave(self, role: str, keyid: str) -> None:
        self.roles[role]["keys"] = [each for each in self._of(role) if each != keyid]

    def _of(self, role: str) -> list[str]:
        return _texts(self.roles[role]["keys"])

    def _allow(self, change: Rotation, before: list[dict[str, JSONValue]]) -> None:
        """Give the keys for manifests what they may vouch for."""
        signing = [self.keys[keyid] for keyid in self._of("manifest")]
        for name, given in (("factories", change.factories), ("hosts", change.hosts)):
            known = [each for key in before for each in _texts(key.get(name, []))]
            for key in signing:
                if given is not None:
                    key[name] = list(given)
                elif name not in key:
                    key[name] = list(dict.fromkeys(known))

    def _id(self, text: str) -> str:
        """Return the id of a key that is there, from its id or the beginning of it."""
        found = [each for each in self.keys if each.startswith(text)]
        if len(text) < _LEAST_SHOWN or not found:
            hint = f"an id, or {_LEAST_SHOWN} or more of its first digits"
            raise NotFoundError("key", text, known=self.keys, hint=hint)
        if len(found) > 1:
            raise InvalidError(f"several keys begin with {text}")
        return found[0]


def _file(
    path: Path, root: TrustRoot, envelope: Envelope, *, before: TrustRoot | None
) -> TrustFile:
    asked = [each for each in (before, root) if each is not None]
    signers = {keyid: None for each in asked for keyid in each.signers(envelope, "root")}
    versions = tuple(each.version for each in asked)
    return TrustFile(str(path), root, tuple(signers), tuple(_missing(asked, envelope)), versions)


def _missing(roots: Iterable[TrustRoot], envelope: Envelope) -> Iterator[Missing]:
    for root in roots:
        signed = root.signers(envelope, "root")
        count = root.roles.root.threshold - len(signed)
        if count > 0:
            others = tuple(each for each in root.usable("root") if each not in signed)
            yield Missing(root.version, count, others)


def _check_counts(keys: Iterable[Key], roots: Iterable[TrustRoot]) -> None:
    may = {keyid for root in roots for keyid in root.usable("root")}
    for key in keys:
        if _public(key).id not in may:
            hint = "it is a root key neither of this root nor of the one before"
            what = f"the signature of {_public(key).id} would count nowhere"
            raise InvalidError(what, hint=hint)


def _before(path: Path, root: TrustRoot, named: Path | None) -> TrustRoot | None:
    """Return the root that *root* replaces: the one named, else one that lies beside it."""
    beside = [path.parent / f"{root.version - 1}.root.json", path.parent / "root.json"]
    for each in [named] if named else beside if root.version > 1 else []:
        try:
            found = TrustRoot.read(_read(each), source=str(each))
        except OneiricError:
            if named:
                raise
            continue
        if (found.version + 1, found.name) == (root.version, root.name):
            return found
        if named:
            reason = f"it is version {found.version} of {found.name}, which {path} does not follow"
            raise InvalidError(f"{named}: {reason}")
    return None


def _signed(envelope: Envelope, keys: Iterable[Key]) -> Envelope:
    for key in keys:
        if isinstance(key, PrivateKey):
            envelope = envelope.signed_by(key)
    return envelope


def _public(key: Key) -> PublicKey:
    return key.public if isinstance(key, PrivateKey) else key


def _read(path: Path) -> bytes:
    return read_bounded(path, limit=LONGEST)


def _write(path: Path, envelope: Envelope, *, force: bool) -> None:
    make_folder(path)
    if force:
        write_atomic(path, envelope.as_bytes(), durable=True)
    else:
        write_once(path, envelope.as_bytes())


def _texts(value: JSONValue) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _tables(value: JSONValue) -> dict[str, dict[str, JSONValue]]:
    return {name: dict(each) for name, each in value.items()} if isinstance(value, dict) else {}
