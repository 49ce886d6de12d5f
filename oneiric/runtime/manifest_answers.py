"""What the verbs about manifests answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oneiric.runtime.manifest_draft import stamp

if TYPE_CHECKING:
    from datetime import datetime

    from oneiric.errors import JSONValue, Problem
    from oneiric.remote.manifest import Entry, Manifest
    from oneiric.remote.offers import Quarantined


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A manifest that was written, or only packed: its bytes, and what they hold.

    `digest` is that of what a signature covers; `signers` are the ids of the keys that signed,
    as far as the file says. `warnings` are what the publisher may not have meant.
    """

    manifest: Manifest
    data: bytes = field(repr=False)
    digest: str
    path: str = ""
    signers: tuple[str, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.manifest-file/1`; where nothing was written, with the `document`."""
        document: JSONValue = None if self.path else json.loads(self.data)
        return {
            "schema": "oneiric.manifest-file/1",
            "path": self.path,
            "bytes": len(self.data),
            **head_json(self.manifest),
            "entries": len(self.manifest.entries),
            "digest": self.digest,
            "signers": list(self.signers),
            "warnings": [each.as_json() for each in self.warnings],
            "document": document,
        }


@dataclass(frozen=True, slots=True)
class Verification:
    """A manifest that a trust root trusts, at a time."""

    path: str
    manifest: Manifest
    digest: str
    signers: tuple[str, ...]
    threshold: int
    root_version: int
    at: datetime
    quarantined: tuple[Quarantined, ...]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.manifest-verify/1`."""
        return {
            "schema": "oneiric.manifest-verify/1",
            "path": self.path,
            "verified": True,
            **head_json(self.manifest),
            "digest": self.digest,
            "signers": list(self.signers),
            "threshold": self.threshold,
            "root_version": self.root_version,
            "at": stamp(self.at),
            "entries": len(self.manifest.entries),
            "quarantined": [each.as_json() for each in self.quarantined],
        }


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file says it is; nobody was asked whether that is to be trusted.

    `signers` are the key ids that its signatures claim.
    """

    path: str
    manifest: Manifest
    digest: str
    is_envelope: bool
    signers: tuple[str, ...]

    def by_domain(self) -> dict[str, int]:
        """Return how many entries each domain has, those with any."""
        found: dict[str, int] = {}
        for each in self.manifest.entries:
            found[each.domain] = found.get(each.domain, 0) + 1
        return found

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.manifest-inspect/1`; `trusted` is false, whoever signed."""
        return {
            "schema": "oneiric.manifest-inspect/1",
            "path": self.path,
            "trusted": False,
            "envelope": self.is_envelope,
            "claimed_signers": list(self.signers),
            **head_json(self.manifest),
            "digest": self.digest,
            "by_domain": self.by_domain(),
            "entries": [_entry_json(each) for each in self.manifest.entries],
            "faults": [
                {"index": each.index, "offer": each.offer, "reason": each.reason}
                for each in self.manifest.faults
            ],
        }


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field of a head or an entry before and after; None where it was not given."""

    name: str
    before: JSONValue
    after: JSONValue

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"field", "before", "after"}`."""
        return {"field": self.name, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class ManifestDiff:
    """What changed from one manifest to another."""

    before: str
    after: str
    head: tuple[FieldChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: Mapping[str, tuple[FieldChange, ...]]

    @property
    def is_empty(self) -> bool:
        """Whether both say the same."""
        return not (self.head or self.added or self.removed or self.changed)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.manifest-diff/1`."""
        return {
            "schema": "oneiric.manifest-diff/1",
            "before": self.before,
            "after": self.after,
            "same": self.is_empty,
            "head": [each.as_json() for each in self.head],
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [
                {"offer": offer, "fields": [each.as_json() for each in fields]}
                for offer, fields in self.changed.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class LintReport:
    """Everything that is wrong with a manifest, and what may not be meant."""

    path: str
    errors: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.manifest-lint/1`."""
        return {
            "schema": "oneiric.manifest-lint/1",
            "path": self.path,
            "valid": not self.errors,
            "errors": [each.as_json() for each in self.errors],
            "warnings": [each.as_json() for each in self.warnings],
        }


def head_json(manifest: Manifest) -> dict[str, JSONValue]:
    """Return name, version, times and stack of a manifest."""
    head = manifest.head
    return {
        "name": head.name,
        "version": head.version,
        "issued": stamp(head.issued),
        "expires": stamp(head.expires),
        "stack": manifest.stack,
    }


def _entry_json(entry: Entry) -> dict[str, JSONValue]:
    return {
        "offer": entry.offer,
        "factory": entry.factory,
        "version": entry.version,
        "priority": entry.priority,
        "owner": entry.owner,
        "artifact": entry.artifact.uri if entry.artifact else None,
    }
