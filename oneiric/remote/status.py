"""What is told of every source: kept in a file, for whoever looks from another process."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from oneiric.documents import DocumentLimits, canonical, parse
from oneiric.errors import OneiricError
from oneiric.files import own_folder, read_bounded, write_atomic

SCHEMA: Literal["oneiric.remote-status/1"] = "oneiric.remote-status/1"
_LIMITS = DocumentLimits(max_bytes=32 << 20, max_nodes=2_000_000)
_PLAIN = ConfigDict(extra="ignore", frozen=True)


class SourceState(StrEnum):
    """How a source stands."""

    NEW = "new"
    """It was never looked at with success, and brings nothing."""
    FRESH = "fresh"
    """The last look found it as it should be."""
    OFFLINE = "offline"
    """It could not be reached; what was known before serves on."""
    REFUSED = "refused"
    """What it published last was not taken; what was known before serves on."""
    EXPIRED = "expired"
    """The time of what serves is over; nothing new of it is applied."""


class SourceStatus(BaseModel):
    """One source: what of it serves, and how the looks at it went."""

    model_config = _PLAIN

    uri: str = ""
    """Where it is."""
    signed: bool = True
    """Whether it has to be signed."""
    state: SourceState = SourceState.NEW
    """How it stands."""
    version: int = 0
    """The version that serves, 0 for none."""
    digest: str = ""
    """The digest of that version's payload."""
    issued: str = ""
    """When that was published."""
    expires: str = ""
    """Until when it holds."""
    signers: tuple[str, ...] = ()
    """Ids of the keys that signed it."""
    root: int = 0
    """The version of the trust root that it was verified against."""
    registered: int = 0
    """Candidates of it that may serve."""
    per_domain: dict[str, int] = Field(default_factory=dict)
    """The same by domain."""
    quarantined: tuple[dict[str, JsonValue], ...] = ()
    """Entries that may not serve, each with the reason."""
    orphaned: tuple[str, ...] = ()
    """What serves on though nobody offers it any more."""
    deferred: tuple[str, ...] = ()
    """What is swapped when it takes work again."""
    outdated: tuple[str, ...] = ()
    """What serves who asks for it by name, and is offered otherwise now."""
    failed_swaps: dict[str, str] = Field(default_factory=dict)
    """Reference to why its last swap did not hold."""
    last_success_at: str = ""
    """When a look last found it as it should be."""
    last_failure_at: str = ""
    """When one last did not."""
    consecutive_failures: int = 0
    """Looks in a row that did not."""
    last_error: str = ""
    """Why the last one did not; empty when it did."""
    last_error_code: str = ""
    """The code of that error."""
    last_duration_ms: float = 0.0
    """What the last look took, the fetch included."""
    last_digest_checks: int = 0
    """Digests that it checked."""
    breaker: dict[str, JsonValue] | None = None
    """What is known of a server that failed lately, and for how long it is left alone."""


class RemoteStatus(BaseModel):
    """All sources, the sums that older tools look at first, and who wrote it when."""

    model_config = ConfigDict(extra="ignore", frozen=True, validate_by_name=True)

    schema_: Literal["oneiric.remote-status/1"] = Field("oneiric.remote-status/1", alias="schema")
    """The format."""
    written_at: str = ""
    """When it was written."""
    pid: int = 0
    """By which process."""
    refresh_interval: float = 0.0
    """After how many seconds that writes again; 0 when it does not."""
    latency_budget_ms: float = 0.0
    """What a sync should take."""
    within_budget: bool = True
    """Whether the last one did."""
    last_success_at: str = ""
    """When a look at any source last went well."""
    last_failure_at: str = ""
    """When one last did not."""
    consecutive_failures: int = 0
    """The most looks in a row that did not, of any source."""
    last_error: str = ""
    """Why the last one did not."""
    last_source: str = ""
    """The address of the source that was looked at last."""
    last_registered: int = 0
    """Candidates of all sources that may serve."""
    last_duration_ms: float = 0.0
    """What the last sync took in all, the fetch included."""
    last_digest_checks: int = 0
    """Digests that it checked."""
    last_per_domain: dict[str, int] = Field(default_factory=dict)
    """Candidates by domain."""
    last_skipped: int = 0
    """Entries that may not serve."""
    counters: dict[str, int] = Field(default_factory=dict)
    """What the writing process has counted since it began."""
    sources: dict[str, SourceStatus] = Field(default_factory=dict)
    """Each source by its name."""

    def as_json(self) -> dict[str, JsonValue]:
        """Return the status as documented in `docs/reference/json.md`."""
        return self.model_dump(mode="json", by_alias=True)

    def summed(self) -> RemoteStatus:
        """Return the status with its sums made of its sources."""
        each = list(self.sources.values())
        domains: dict[str, int] = {}
        for status in each:
            for domain, count in status.per_domain.items():
                domains[domain] = domains.get(domain, 0) + count
        failed = max(each, key=lambda status: status.last_failure_at, default=SourceStatus())
        update = {
            "last_success_at": max((status.last_success_at for status in each), default=""),
            "last_failure_at": failed.last_failure_at,
            "consecutive_failures": max((s.consecutive_failures for s in each), default=0),
            "last_error": failed.last_error,
            "last_registered": sum(status.registered for status in each),
            "last_per_domain": dict(sorted(domains.items())),
            "last_skipped": sum(len(status.quarantined) for status in each),
        }
        return self.model_copy(update=update)


class StatusFile:
    """The status in a file, written whole; what cannot be read counts as nothing.

    Args:
        path: where it lies.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> RemoteStatus | None:
        """Return what was written last, or None; it blocks."""
        try:
            data = read_bounded(self.path, limit=_LIMITS.max_bytes)
            told = parse(data, "json", source=str(self.path), limits=_LIMITS)
            return RemoteStatus.model_validate(told)
        except (OneiricError, ValidationError):  # what cannot be read is as good as none
            return None

    def write(self, status: RemoteStatus) -> None:
        """Write *status*; it blocks.

        Raises:
            UnavailableError: it cannot be written.
        """
        own_folder(self.path.parent)
        write_atomic(self.path, canonical(status.as_json()) + b"\n")


def error_keys(error: OneiricError | None) -> Mapping[str, str]:
    """Return what a status tells of an error; without one that there is none."""
    return {
        "last_error": error.message if error else "",
        "last_error_code": error.code if error else "",
    }
