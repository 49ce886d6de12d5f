"""What a publisher can ask for and do about manifests: one method a verb."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, cast
from urllib.parse import urlsplit

from oneiric.clock import Clock, SystemClock
from oneiric.documents import kind_of
from oneiric.errors import DocumentError, InvalidError, JSONValue, Problem
from oneiric.files import read_bounded, write_atomic
from oneiric.remote.envelope import LONGEST, MANIFEST, TRUST, Envelope, is_envelope
from oneiric.remote.errors import ArtifactHostError, InvalidManifestError, PayloadTypeError
from oneiric.remote.manifest import Manifest, left_out, manifest_of
from oneiric.remote.offers import offers_of
from oneiric.remote.origin import Origin
from oneiric.remote.times import check_time
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import VerifiedManifest, verify
from oneiric.runtime.keyring import make_folder, write_once
from oneiric.runtime.manifest_answers import (
    FieldChange,
    Inspection,
    LintReport,
    ManifestDiff,
    ManifestFile,
    Verification,
)
from oneiric.runtime.manifest_checks import warnings_of
from oneiric.runtime.manifest_draft import Draft
from oneiric.runtime.manifest_template import TEMPLATE
from oneiric.text.names import is_name

if TYPE_CHECKING:
    from pydantic import BaseModel

    from oneiric.remote.security import PrivateKey

Fields: TypeAlias = dict[str, JSONValue]

_AGE = re.compile(r"([1-9][0-9]{0,5})([hdw])")
_UNITS: Mapping[str, str] = MappingProxyType({"h": "hours", "d": "days", "w": "weeks"})
_SIGNED = "it is signed, so nothing in it can be changed"


class ManifestDesk:
    """Answer for the commands about manifests, over files.

    A file that is written is written whole, into a folder that is made where it is missing.

    Raises (each verb): NotFoundError, InvalidPathError, UnavailableError about a file;
    DocumentError where it is not one strict document.
    """

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()

    def init(self, path: Path, *, name: str, force: bool = False) -> ManifestFile:
        """Write a manifest to start from, with a remark at each field.

        Raises:
            InvalidError: *name* is no name.
            InvalidPathError: the file exists, and *force* does not replace it.
        """
        if not is_name(name):
            raise InvalidError(f"{name!r} is no name", hint="letters, digits, '.', '_' and '-'")
        data = TEMPLATE.format(name=name).encode()
        draft = Draft.of(data, "yaml", path).dated(self._now())
        payload, manifest = draft.packed()
        make_folder(path)
        if force:
            write_atomic(path, data)
        else:
            write_once(path, data)
        return ManifestFile(manifest, data, _digest(payload), str(path))

    def pack(
        self,
        path: Path,
        *,
        output: Path | None = None,
        lasts: timedelta | None = None,
        version: int | None = None,
    ) -> ManifestFile:
        """Turn a manifest of any language into canonical JSON, with what may be missing filled in.

        What is signed already is given back as it is, byte by byte.

        Raises:
            InvalidManifestError: carries every problem, with file and line; nothing is written.
            InvalidError: it is signed, and *lasts* or *version* would change it.
        """
        data = _read(path)
        if is_envelope(data):
            found = self._signed_file(data, path, unchanged=lasts is None and version is None)
        else:
            found = self._packed(data, path, lasts, version)
        return _written(found, output)

    def sign(
        self,
        path: Path,
        keys: Sequence[PrivateKey],
        *,
        output: Path | None = None,
        append: bool = False,
        lasts: timedelta | None = None,
        version: int | None = None,
    ) -> ManifestFile:
        """Pack a manifest and sign it, or with *append* add signatures to one that is signed.

        Raises:
            InvalidManifestError: it could not serve as it is; carries every problem.
            InvalidError: it is signed and *append* was not asked for, or the other way round.
            ExpiredError, FutureError: nobody would take it at this time.
        """
        if not keys:
            raise InvalidError("a signature needs a key", hint="--key FILE")
        data = _read(path)
        if is_envelope(data) is not append:
            what = "it is signed already" if not append else "it is not signed yet"
            hint = "--append adds a signature" if not append else "leave --append out"
            raise InvalidError(f"{path}: {what}", hint=hint)
        if append:
            found = self._signed_file(data, path, unchanged=lasts is None and version is None)
            envelope = Envelope.parse(data, source=str(path))
        else:
            found = self._packed(data, path, lasts, version)
            envelope = Envelope(found.data, MANIFEST)
        head = found.manifest.head
        what = f"version {head.version}"
        check_time(head.issued, head.expires, self._now(), what=what, source=str(path))
        for key in keys:
            envelope = envelope.signed_by(key)
        signers = tuple(each.keyid for each in envelope.signatures)
        signed = ManifestFile(
            found.manifest,
            envelope.as_bytes(),
            found.digest,
            signers=signers,
            warnings=found.warnings,
        )
        return _written(signed, output)

    def verify(self, path: Path, *, trust: Path) -> Verification:
        """Return who signed a manifest and what it holds if the trust root at *trust* trusts it.

        Roots that follow that one, `<N>.root.json` beside the manifest, are followed as
        everybody who fetches it does.

        Raises:
            TrustError: it is not to be trusted; each reason has its own code.
            ArtifactHostError: it names an artifact from where too few of the signers may send.
            AddressError: it names one from where nothing is fetched.
            InvalidEnvelopeError, InvalidManifestError, InvalidTrustError: the form is wrong.
        """
        now, source = self._now(), str(path)
        root = TrustRoot.read(_read(trust), source=str(trust))
        while (successor := path.parent / f"{root.version + 1}.root.json").exists():
            root = root.advance(_read(successor), source=str(successor))
        found = verify(_read(path), source=source, root=root, now=now)
        _check_hosts(found)
        targets = (each.factory for each in found.manifest.entries)
        models = (each.settings_model or "" for each in found.manifest.entries)
        modules = {name.partition(":")[0] for name in (*targets, *models)}
        quarantined = offers_of(found, allowed=modules).quarantined
        threshold = root.roles.manifest.threshold
        return Verification(
            source,
            found.manifest,
            found.digest,
            found.signers,
            threshold,
            root.version,
            now,
            quarantined,
        )

    def inspect(self, path: Path) -> Inspection:
        """Return what a manifest says, signed or not, without asking whether to trust it.

        The digest is that of the signed bytes, or of the file.

        Raises:
            InvalidManifestError: its head cannot be read.
        """
        data = _read(path)
        envelope = _envelope(data, path) if is_envelope(data) else None
        signers = tuple(each.keyid for each in envelope.signatures) if envelope else ()
        draft = _draft(data, path)
        draft = draft if envelope else draft.dated(self._now())
        manifest = manifest_of(draft.told, source=draft.shown, origin_of=draft.origin)
        digest = _digest(envelope.payload if envelope else data)
        return Inspection(str(path), manifest, digest, envelope is not None, signers)

    def diff(self, before: Path, after: Path) -> ManifestDiff:
        """Return what changed from one manifest to another, signed or not, field by field.

        Raises:
            InvalidManifestError: one of them has something wrong; carries every problem.
        """
        (head, old), (head_after, new) = self._fields(before), self._fields(after)
        unsaid = {"issued", "expires"} - (head.keys() & head_after.keys())
        changed = {
            offer: fields
            for offer in sorted(old.keys() & new.keys())
            if (fields := _changes(old[offer], new[offer]))
        }
        return ManifestDiff(
            str(before),
            str(after),
            tuple(each for each in _changes(head, head_after) if each.name not in unsaid),
            tuple(sorted(new.keys() - old.keys())),
            tuple(sorted(old.keys() - new.keys())),
            changed,
        )

    def lint(self, path: Path, *, factories: Iterable[str] = ()) -> LintReport:
        """Return everything that is wrong with a manifest, and what may not be meant.

        Args:
            path: a manifest of any language, or a signed one.
            factories: packages under which all factories should lie; not asked without.
        """
        data, shown = _read(path), str(path)
        try:
            draft = _draft(data, path).dated(self._now())
        except DocumentError as error:
            where = f"{shown}:{error.line}" if error.line else shown
            problem = Problem(error.path or ".", error.problem, where)
            return LintReport(shown, (problem,), ())
        manifest, told, problems = draft.examined()
        warnings = self._warnings(draft, manifest, told, factories) if manifest else ()
        return LintReport(shown, tuple(problems), warnings)

    def _packed(
        self, data: bytes, path: Path, lasts: timedelta | None, version: int | None
    ) -> ManifestFile:
        draft = _draft(data, path).dated(self._now(), lasts=lasts, version=version)
        payload, manifest = draft.packed()
        warnings = self._warnings(draft, manifest, draft.told)
        return ManifestFile(manifest, payload, _digest(payload), warnings=warnings)

    def _signed_file(self, data: bytes, path: Path, *, unchanged: bool) -> ManifestFile:
        """Return what is signed already, as it is."""
        if not unchanged:
            raise InvalidError(f"{path}: {_SIGNED}", hint="change its source, and sign that")
        envelope, manifest = _strictly(data, path)
        signers = tuple(each.keyid for each in envelope.signatures)
        return ManifestFile(manifest, data, _digest(envelope.payload), signers=signers)

    def _warnings(
        self, draft: Draft, manifest: Manifest, told: JSONValue, factories: Iterable[str] = ()
    ) -> tuple[Problem, ...]:
        found = warnings_of(
            manifest, told, now=self._now(), origin_of=draft.origin, factories=factories
        )
        return tuple(found)

    def _fields(self, path: Path) -> tuple[Fields, dict[str, Fields]]:
        """Return what a manifest's head says, and each entry by its offer; no times not given."""
        draft = _draft(_read(path), path)
        payload, manifest = draft.dated(self._now()).packed()
        told = json.loads(payload)
        head = _said(manifest.head, told)
        for name in ("issued", "expires"):
            if name not in cast("Fields", draft.told):
                del head[name]
        entries = zip(manifest.entries, told.get("entries", ()), strict=True)
        return head, {entry.offer: _said(entry, each) for entry, each in entries}

    def _now(self) -> datetime:
        return self._clock.now()


def lasting(text: str) -> timedelta:
    """Return the time that a text such as `30d`, `12h` or `2w` names.

    >>> lasting("30d").days
    30

    Raises:
        InvalidError: it names none.
    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise InvalidError(f"{text!r} is no length of time", hint="write 12h, 30d or 2w")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _read(path: Path) -> bytes:
    return read_bounded(path, limit=LONGEST)


def _draft(data: bytes, path: Path) -> Draft:
    """Return the draft in a file; of a signed one its payload, which has no lines."""
    if is_envelope(data):
        return Draft.of(_envelope(data, path).payload, "json", path)
    return Draft.of(data, kind_of(path), path)


def _envelope(data: bytes, path: Path) -> Envelope:
    envelope = Envelope.parse(data, source=str(path))
    if envelope.payload_type != MANIFEST:
        hint = "oneiric trust show" if envelope.payload_type == TRUST else ""
        reason = f"it is {envelope.payload_type!r}, no manifest"
        raise PayloadTypeError(str(path), reason, hint=hint)
    return envelope


def _strictly(data: bytes, path: Path) -> tuple[Envelope, Manifest]:
    envelope, draft = _envelope(data, path), _draft(data, path)
    manifest, _, problems = draft.examined()
    if manifest is None or problems:
        raise InvalidManifestError(draft.shown, problems)
    return envelope, manifest


def _written(found: ManifestFile, output: Path | None) -> ManifestFile:
    if output is None:
        return found
    make_folder(output)
    write_atomic(output, found.data)
    return ManifestFile(
        found.manifest,
        found.data,
        found.digest,
        str(output),
        found.signers,
        found.warnings,
    )


def _check_hosts(found: VerifiedManifest) -> None:
    for entry in found.manifest.entries:
        if entry.artifact is None or not urlsplit(entry.artifact.uri).netloc:
            continue  # seen from where the manifest lies, which nobody knows here
        host = Origin.of(entry.artifact.uri).netloc
        if not found.allows(host=host):
            reason = f"{entry.offer}: too few of the signers may name artifacts from {host}"
            raise ArtifactHostError(found.source.name, reason)


def _said(model: BaseModel, told: JSONValue) -> Fields:
    """Return what differs from the defaults, and the publisher's own fields."""
    said = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return {**said, **left_out(told)}


def _changes(old: Fields, new: Fields) -> tuple[FieldChange, ...]:
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return tuple(FieldChange(name, old.get(name), new.get(name)) for name in sorted(names))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
