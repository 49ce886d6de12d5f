"""A manifest as its publisher writes it: read, completed, and packed into canonical bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339
from oneiric.documents import Kind, canonical, line_of, locate, parse
from oneiric.errors import InvalidError, JSONValue, OneiricError, Problem
from oneiric.files import read_bounded
from oneiric.remote.errors import InvalidManifestError
from oneiric.remote.manifest import LIMITS, examine_manifest
from oneiric.runtime.manifest_checks import errors_of

if TYPE_CHECKING:
    from oneiric.remote.manifest import Manifest

LASTS = timedelta(days=30)
LARGEST_ARTIFACT = 256 << 20
_PATH = "path"


@dataclass(frozen=True, slots=True)
class Draft:
    """What a publisher wrote, and on which line each part of it stands.

    An `artifact` may have a `path`, seen from the draft, instead of `sha256` and `length`.
    """

    shown: str
    folder: Path
    told: JSONValue
    lines: Mapping[str, int]

    @classmethod
    def of(cls, data: bytes, kind: Kind, path: Path) -> Draft:
        """Read the bytes of the file *path*.

        Raises:
            DocumentError: they are not one strict document within the limits of manifests.
        """
        told = parse(data, kind, source=str(path), limits=LIMITS)
        return cls(str(path), path.parent, told, locate(data, kind))

    def origin(self, path: str) -> str:
        """Return `manifest.yaml:12` for a path in a manifest, `manifest.entries.0.key`."""
        line = line_of(self.lines, path.removeprefix("manifest").removeprefix("."))
        return f"{self.shown}:{line}" if line else self.shown

    def dated(
        self, now: datetime, *, lasts: timedelta | None = None, version: int | None = None
    ) -> Draft:
        """Return it with `issued` and `expires`: now, and 30 days from now, where they are missing.

        With *lasts* it expires so long from now, and with *version* it is that version, whatever
        it says.
        """
        if not isinstance(self.told, Mapping):
            return self
        now = now.replace(microsecond=0)
        told = {"issued": stamp(now), "expires": stamp(now + (lasts or LASTS)), **self.told}
        if lasts is not None:
            told["expires"] = stamp(now + lasts)
        if version is not None:
            told["version"] = version
        return replace(self, told=told)

    def packed(self) -> tuple[bytes, Manifest]:
        """Return the canonical bytes and the manifest, if nothing at all is wrong with it.

        The same draft gives the same bytes, in whichever language it was written.

        Raises:
            InvalidManifestError: carries every problem, with file and line.
        """
        manifest, told, problems = self.examined()
        if problems or manifest is None or not isinstance(told, Mapping):
            raise InvalidManifestError(self.shown, problems)
        head = manifest.head
        dates = {"issued": stamp(head.issued), "expires": stamp(head.expires)}
        return canonical({**told, **dates}), manifest

    def examined(self) -> tuple[Manifest | None, JSONValue, list[Problem]]:
        """Return the manifest unless its head is wrong, its plain value, and every problem."""
        problems: list[Problem] = []
        told = self._with_digests(problems)
        wrong = {each.key for each in problems}  # what a bad path leaves out is no news
        manifest, found = examine_manifest(told, source=self.shown, origin_of=self.origin)
        problems += [each for each in found if _artifact_of(each.key) not in wrong]
        if manifest is not None:
            problems += errors_of(manifest, told, origin_of=self.origin, source=self.shown)
        return manifest, told, problems

    def _with_digests(self, problems: list[Problem]) -> JSONValue:
        """Return the plain value, with digest and length of each artifact that has a path."""
        told = self.told
        if not isinstance(told, Mapping) or not isinstance(told.get("entries"), list):
            return told
        entries: list[JSONValue] = []
        for index, entry in enumerate(_listed(told["entries"])):
            artifact = entry.get("artifact") if isinstance(entry, Mapping) else None
            if isinstance(entry, Mapping) and isinstance(artifact, Mapping) and _PATH in artifact:
                key = f"entries.{index}.artifact"
                entry = {**entry, "artifact": self._artifact(artifact, key, problems)}
            entries.append(entry)
        return {**told, "entries": entries}

    def _artifact(
        self, told: Mapping[str, JSONValue], key: str, problems: list[Problem]
    ) -> dict[str, JSONValue]:
        rest = {name: value for name, value in told.items() if name != _PATH}
        path = told[_PATH]
        try:
            if not isinstance(path, str):
                raise InvalidError("it is no text")
            data = read_bounded(self.folder / path, limit=LARGEST_ARTIFACT)
        except OneiricError as error:
            what = f"path: {error.message}"
            problems.append(Problem(key, what, self.origin(f"{key}.{_PATH}")))
            return rest
        facts: dict[str, JSONValue] = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "length": len(data),
        }
        for name, value in facts.items():
            if rest.get(name, value) != value:
                what = f"{name}: the file has another"
                problems.append(Problem(key, what, self.origin(f"{key}.{name}")))
        return {**rest, **facts}


def stamp(moment: datetime) -> str:
    """Return RFC 3339 text in UTC, without a fraction of 0.

    >>> from datetime import UTC
    >>> stamp(datetime(2026, 11, 20, 9, 30, tzinfo=UTC))
    '2026-11-20T09:30:00Z'
    """
    return rfc3339(moment).replace(".000000Z", "Z")


def _listed(value: JSONValue) -> Iterator[JSONValue]:
    yield from value if isinstance(value, list) else ()


def _artifact_of(key: str) -> str:
    """Return the place of the artifact that *key* lies in."""
    return ".".join(key.split(".")[:3])
