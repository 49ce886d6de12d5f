"""What commands about manifests from afar answer, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.remote.report import Preview
    from oneiric.remote.status import RemoteStatus


@dataclass(frozen=True, slots=True)
class PreviewAnswer:
    """What a sync would do; no running orchestrator was asked."""

    previews: tuple[Preview, ...]

    @property
    def exit_code(self) -> int:
        """What the command ends with: that of the first refusal, else of the first error."""
        codes = [each.error.exit_code for each in self.previews if each.error is not None]
        return 3 if 3 in codes else next(iter(codes), 0)

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.remote-preview/1`."""
        errors = [each.error for each in self.previews if each.error is not None]
        return {
            "schema": "oneiric.remote-preview/1",
            "dry_run": True,
            "error": errors[0].as_json()["error"] if errors else None,
            "sources": [each.as_json() for each in self.previews],
        }


@dataclass(frozen=True, slots=True)
class RemoteStatusAnswer:
    """How the sources stand, and whether who wrote that is late or gone.

    `stale` says so in words, and is empty otherwise.
    """

    status: RemoteStatus
    stale: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.remote-status/1`, and why it is stale, if so."""
        return {**self.status.as_json(), "stale": self.stale or None}
