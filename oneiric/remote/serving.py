"""What a source brings into this process, and which of its entries may not serve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from oneiric.clock import rfc3339
from oneiric.core.candidate import Candidate, Source
from oneiric.remote.offers import Quarantined, offers_of

if TYPE_CHECKING:
    from oneiric.remote.shelf import Shelf
    from oneiric.remote.verify import VerifiedManifest

_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Serving:
    """The manifest of a source that is in force, as far as it is told of and compared."""

    source: Source
    version: int
    digest: str
    issued: datetime
    expires: datetime
    signers: tuple[str, ...] = ()
    root: int = 0
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    quarantined: tuple[Quarantined, ...] = ()
    artifacts: frozenset[str] = frozenset()
    """Digests of what its entries name."""

    @property
    def until(self) -> str:
        """Until when it holds, as text."""
        return rfc3339(self.expires)

    @property
    def per_domain(self) -> dict[str, int]:
        """How many candidates that may serve it has in each domain."""
        rejected = {each.offer for each in self.quarantined}
        offers = (each.ref.domain for each in self.candidates if each.offer not in rejected)
        return dict(sorted(Counter(offers).items()))

    def is_of(self, verified: VerifiedManifest) -> bool:
        """Tell whether *verified* would bring nothing else: it is the same, under one root."""
        root = verified.root.version if verified.root else 0
        same = (self.digest, self.root) == (verified.digest, root)
        return same and not self.quarantined


def serving_of(
    verified: VerifiedManifest,
    *,
    allowed: Iterable[str],
    shelf: Callable[[], Shelf],
    refusals: Mapping[str, str] = _NONE,
) -> Serving:
    """Return what *verified* brings: candidates, those that may not serve among them.

    *shelf* is asked for only where an entry has an artifact.
    """
    offers = offers_of(
        verified,
        allowed=allowed,
        factory_of=lambda entry: shelf().factory(entry),
        refusals=refusals,
    )
    head = verified.manifest.head
    return Serving(
        verified.source,
        head.version,
        verified.digest,
        head.issued,
        head.expires,
        verified.signers,
        verified.root.version if verified.root else 0,
        offers.candidates,
        offers.quarantined,
        frozenset(each.artifact.sha256 for each in verified.manifest.entries if each.artifact),
    )
