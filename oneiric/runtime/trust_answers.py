"""What the verbs about trust roots answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.documents.tables import json_table
from oneiric.runtime.manifest_draft import stamp

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.remote.trust import Role, TrustRoot


@dataclass(frozen=True, slots=True)
class Missing:
    """Signatures that a root still lacks: those of which version's root keys, and how many."""

    version: int
    count: int
    may_sign: tuple[str, ...]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"version", "count", "may_sign"}`."""
        return json_table(self)


@dataclass(frozen=True, slots=True)
class TrustFile:
    """A trust root in a file, who signed it, and whose signatures it lacks.

    `checked` are the versions whose root keys were asked; of a root that replaces another,
    that other one is needed to know.
    """

    path: str
    root: TrustRoot
    signers: tuple[str, ...]
    missing: tuple[Missing, ...]
    checked: tuple[int, ...]

    @property
    def is_complete(self) -> bool:
        """Whether everybody who had to sign did, as far as that could be checked."""
        return not self.missing

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.trust-root/1`."""
        root = self.root
        keys: list[JSONValue] = [
            {
                "id": keyid,
                "public": key.public,
                "factories": list(key.factories),
                "hosts": list(key.hosts),
                "note": key.note,
            }
            for keyid, key in root.keys.items()
        ]
        return {
            "schema": "oneiric.trust-root/1",
            "path": self.path,
            "name": root.name,
            "version": root.version,
            "issued": stamp(root.issued),
            "expires": stamp(root.expires),
            "keys": keys,
            "root": _role(root.roles.root),
            "manifest": _role(root.roles.manifest),
            "revoked": list(root.revoked),
            "signers": list(self.signers),
            "checked": list(self.checked),
            "complete": self.is_complete,
            "missing": [each.as_json() for each in self.missing],
        }


def _role(role: Role) -> dict[str, JSONValue]:
    return {"keys": list(role.keys), "threshold": role.threshold}
