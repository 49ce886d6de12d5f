"""What a verified manifest offers, as candidates, and which of its entries may not serve."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import count
from typing import TYPE_CHECKING, Any

from oneiric.core.candidate import Candidate
from oneiric.errors import InvalidCandidateError, InvalidRefError, JSONValue
from oneiric.remote.manifest import Capability
from oneiric.targets import is_allowed

if TYPE_CHECKING:
    from oneiric.remote.manifest import Entry
    from oneiric.remote.verify import VerifiedManifest

_NOBODY = "oneiric.remote.offers:nobody"
_TOLD = (
    "owner",
    "license",
    "documentation_url",
    "side_effect_free",
    "timeout_seconds",
    "retry_policy",
    "event_topics",
    "event_filters",
    "event_priority",
    "event_fanout_policy",
    "event_max_concurrency",
    "dag",
    "settings",
)
"""Fields that candidates carry as metadata under the same name, where an entry has them."""
_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An entry that may not serve, and why."""

    index: int
    offer: str
    reason: str
    """Cut after 1000 characters: it may quote what somebody made as long as they liked."""

    def __post_init__(self) -> None:
        if len(self.reason) > _SHOWN:
            object.__setattr__(self, "reason", f"{self.reason[:_SHOWN]}…")

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"index", "offer", "reason"}`."""
        return {"index": self.index, "offer": self.offer, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Offers:
    """All that a source offers from now on, one candidate an offer, in the manifest's order.

    Entries that may not serve are among the candidates too, before the others, where they can
    be named and no good one has the name: rejected, so that an explanation tells why.
    """

    candidates: tuple[Candidate, ...]
    quarantined: tuple[Quarantined, ...]


def offers_of(
    verified: VerifiedManifest,
    *,
    allowed: Iterable[str],
    factory_of: Callable[[Entry], Callable[..., Any] | str] | None = None,
    refusals: Mapping[str, str] | None = None,
) -> Offers:
    """Return what *verified* offers.

    Args:
        verified: what was verified.
        allowed: packages from which this runtime lets factories be loaded.
        factory_of: what makes the component of an entry with an artifact; by default the
            target that the entry names.
        refusals: why the artifact of an offer, `domain:key@provider`, may not be used.
    """
    prefixes = tuple(allowed)
    manifest = verified.manifest
    serving: list[Candidate] = []
    quarantined = [Quarantined(each.index, each.offer, each.reason) for each in manifest.faults]
    forbidden = cache(partial(_forbidden, verified, prefixes))
    faulty = {each.index for each in manifest.faults}
    places = (number for number in count() if number not in faulty)
    for index, entry in zip(places, manifest.entries, strict=False):
        reason = (
            forbidden(entry.factory)
            or (entry.settings_model and forbidden(entry.settings_model))
            or (refusals or {}).get(entry.offer, "")
        )
        if not reason:
            try:
                serving.append(_candidate(verified, entry, factory_of))
                continue
            except (InvalidCandidateError, InvalidRefError) as error:
                reason = error.message
        quarantined.append(Quarantined(index, entry.offer, reason))
    shown = {str(candidate.offer) for candidate in serving} if quarantined else set()
    rejected: list[Candidate] = []
    for each in quarantined:
        if each.offer and each.offer not in shown:
            shown.add(each.offer)
            rejected.append(_rejected(verified, each))
    return Offers((*rejected, *serving), tuple(quarantined))


def _forbidden(verified: VerifiedManifest, allowed: tuple[str, ...], target: str) -> str:
    module = target.partition(":")[0]
    if not is_allowed(module, allowed):
        return f"{target} is under no allowed prefix ({', '.join(allowed)})"
    if not verified.allows(factory=module):
        return f"{target} is under no prefix that enough of the signers may name"
    return ""


def _candidate(
    verified: VerifiedManifest,
    entry: Entry,
    factory_of: Callable[[Entry], Callable[..., Any] | str] | None,
) -> Candidate:
    factory = factory_of(entry) if factory_of and entry.artifact else entry.factory
    return Candidate(
        f"{entry.domain}:{entry.key}",
        entry.provider,
        factory,
        requires=entry.requires,
        settings_model=entry.settings_model,
        capabilities=[
            each.name if isinstance(each, Capability) else each for each in entry.capabilities
        ],
        stack=verified.manifest.stack,
        stack_level=entry.stack_level,
        priority=entry.priority,
        version=entry.version,
        blocking=entry.blocking,
        python_version=entry.python_version,
        os_platform=entry.os_platform,
        conflicts_with=entry.conflicts_with,
        metadata=_metadata(entry),
        source=verified.source,
    )


def _metadata(entry: Entry) -> dict[str, JSONValue]:
    told: dict[str, JSONValue] = dict(entry.metadata)
    given = entry.model_fields_set
    for name in _TOLD:
        value = getattr(entry, name) if name in given else None
        if value or (value == 0 and value is not False):  # a priority of 0 says something
            told[name] = value
    if described := [each for each in entry.capabilities if isinstance(each, Capability)]:
        told["capabilities"] = [each.model_dump(exclude_defaults=True) for each in described]
    if entry.secrets is not None:
        told["secrets"] = entry.secrets.model_dump(exclude_defaults=True)
    if entry.artifact is not None:
        told["artifact"] = entry.artifact.model_dump()
    return told


def _rejected(verified: VerifiedManifest, found: Quarantined) -> Candidate:
    place, _, provider = found.offer.rpartition("@")
    return Candidate(
        place,
        provider,
        _NOBODY,
        stack=verified.manifest.stack,
        unavailable=found.reason,
        source=verified.source,
    )


def nobody() -> None:
    """Make nothing: what stands where an entry in quarantine has its factory."""
