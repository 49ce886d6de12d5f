"""The trust root that counts now: the pinned one, or the last that followed from it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError
from oneiric.files import read_bounded
from oneiric.remote.errors import ExpiredError, TrustError
from oneiric.remote.store import LONGEST_ROOT, MANIFEST
from oneiric.remote.trust import TrustRoot
from oneiric.remote.verify import VerifiedManifest, verify

if TYPE_CHECKING:
    from collections.abc import Callable

    from oneiric.remote.sources import ManifestSource
    from oneiric.remote.store import Kept, SourceStore


class Memory:
    """What is remembered of signed sources, and which trust root counts now; all of it blocks.

    Args:
        store: gives the place where a source is remembered.
    """

    def __init__(self, store: Callable[[str], SourceStore]) -> None:
        self.store = store

    def known(self, source: ManifestSource) -> tuple[TrustRoot, Kept]:
        """Return the last trust root that is known, and what is kept of the source.

        Each trust root is verified by the one before it, from the pinned one on.

        Raises:
            NotFoundError: the pinned one is not there.
            InvalidEnvelopeError, InvalidTrustError, DocumentError: the pinned one is none.
            TrustStateError: what is kept is damaged, or does not follow the pinned one.
        """
        assert source.trust is not None
        root = TrustRoot.read(read_bounded(source.trust, limit=LONGEST_ROOT), source=source.name)
        store = self.store(source.name)
        kept = store.read(pinned=root.version)
        for version, data in enumerate(kept.roots, kept.first):
            if version > root.version:
                try:
                    root = root.advance(data, source=source.name)
                except (InvalidError, TrustError) as error:
                    raise store.damaged(f"{version}.root.json", error.message) from error
        return root, kept

    def verified(
        self, source: ManifestSource, *, now: datetime, grace: timedelta
    ) -> VerifiedManifest | None:
        """Return the kept manifest, verified against the trust of today; None without one.

        Manifest and trust root may have expired, but by no more than *grace*.

        Raises:
            ExpiredError: that was longer ago.
            TrustError and others: as `known` and `verify`.
        """
        root, kept = self.known(source)
        if kept.manifest is None or kept.state is None:
            return None
        seen, name = kept.state.seen, source.name
        try:
            found = verify(kept.manifest, source=name, root=root, seen=seen, now=now, timely=False)
        except (InvalidError, TrustError) as error:
            if kept.is_whole:
                raise
            raise self.store(name).damaged(MANIFEST, error.message) from error
        try:
            root.current(now, source=name)
            found.check_time(now)
        except ExpiredError:
            if now - min(root.expires, found.manifest.head.expires) >= grace:
                raise
        return found
