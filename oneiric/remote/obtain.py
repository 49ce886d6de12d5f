"""Get what a source publishes now, verified: trust roots first, then the manifest, then artifacts.

Nothing of it is used before all of it was verified, and the highest version that was seen is on
disk before anything of that version is applied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urljoin, urlsplit

from oneiric.clock import Clock, rfc3339
from oneiric.errors import NotFoundError
from oneiric.remote.disk import in_thread
from oneiric.remote.errors import AnswerError
from oneiric.remote.heap import settling
from oneiric.remote.local import read_unsigned
from oneiric.remote.origin import Credential, Origin
from oneiric.remote.store import LONGEST_ROOT, SourceState
from oneiric.remote.verify import verify

if TYPE_CHECKING:
    from oneiric.remote.artifacts import ArtifactStore
    from oneiric.remote.fetch import Fetcher
    from oneiric.remote.hydration import Hydration
    from oneiric.remote.sources import ManifestSource
    from oneiric.remote.trust import TrustRoot
    from oneiric.remote.verify import VerifiedManifest

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Told what is fetched, how many bytes have come, and of how many where that is known."""
Secret: TypeAlias = Callable[[str], Awaitable[str]]

_ROOTS_A_LOOK = 64
"""Trust roots that one look takes; the next goes on from there."""
_FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Obtained:
    """What a source publishes, verified, and what was known of it before.

    `known` is the state on disk that this follows; None for a new source, and for one that need
    not be signed. `roots` counts the trust roots that were new, `digests` the digests checked.
    """

    source: ManifestSource
    verified: VerifiedManifest = field(repr=False)
    at: datetime
    known: SourceState | None = None
    etag: str = ""
    is_kept: bool = False
    not_modified: bool = False
    roots: int = 0
    digests: int = 1


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a source: by whom, with what, and whether it is only to see."""

    source: ManifestSource
    fetcher: Fetcher
    credential: Credential | None
    progress: Progress | None
    dry: bool

    async def get(self, uri: str, *, limit: int, etag: str = "") -> tuple[bytes, str, bool]:
        told = self.progress
        progress = partial(told, self.source.name) if told else None
        fetched = await self.fetcher.get(
            uri, limit=limit, etag=etag, credential=self.credential, progress=progress
        )
        return fetched.data, fetched.etag, fetched.not_modified


class Obtainer:
    """Look at sources.

    Args:
        hydration: knows the sources, the limits, and where each is remembered.
        artifacts: where artifacts are kept.
        secret: gives the value of a secret by its name.
        clock: tells the time.
    """

    def __init__(
        self, hydration: Hydration, *, artifacts: ArtifactStore, secret: Secret, clock: Clock
    ) -> None:
        self._hydration = hydration
        self._artifacts = artifacts
        self._secret = secret
        self._clock = clock

    async def obtain(
        self,
        source: ManifestSource,
        fetcher: Fetcher,
        *,
        progress: Progress | None = None,
        dry: bool = False,
    ) -> Obtained:
        """Return what *source* publishes, verified; with *dry* nothing is written.

        Raises:
            OneiricError: it is not to be had, or not to be trusted; its class says why.
        """
        limit, now = self._hydration.settings.max_bytes, self._clock.now()
        if not source.is_signed:
            roots = self._hydration.roots
            read = partial(read_unsigned, source, roots=roots, limit=limit, now=now)
            return Obtained(source, await in_thread(partial(_calmly, read)), now)
        look = _Look(source, fetcher, await self._credential(source), progress, dry)
        root, kept = await in_thread(partial(self._hydration.memory().known, source))
        root, state, taken = await self._walked(look, root, kept.state)
        etag = kept.etag if source.path is None else ""
        data, named, same = await look.get(_place(source), limit=limit, etag=etag)
        is_kept = same or data == kept.manifest
        if same:
            assert kept.manifest is not None
            data = kept.manifest
        seen = state.seen if state else None
        check = partial(verify, data, source=source.name, root=root, seen=seen, now=now)
        verified = await in_thread(partial(_calmly, check))
        return Obtained(source, verified, now, state, named, is_kept, same, taken)

    async def _walked(
        self, look: _Look, root: TrustRoot, state: SourceState | None
    ) -> tuple[TrustRoot, SourceState | None, int]:
        """Return the last trust root that is published, and how many there are since *root*."""
        store, place = self._hydration.memory().store(look.source.name), _place(look.source)
        for taken in range(_ROOTS_A_LOOK):
            version = root.version + 1
            try:
                uri = urljoin(place, f"{version}.root.json")
                data, _, _ = await look.get(uri, limit=LONGEST_ROOT)
            except NotFoundError:
                return root, state, taken
            except AnswerError as error:
                if error.status != _FORBIDDEN:  # what some stores say of what is not there
                    raise
                return root, state, taken
            root = root.advance(data, source=look.source.name)
            if not look.dry:
                state = await in_thread(partial(store.keep_root, version, data, after=state))
        return root, state, _ROOTS_A_LOOK

    async def fetch_artifacts(
        self, obtained: Obtained, fetcher: Fetcher, *, progress: Progress | None = None
    ) -> Obtained:
        """Have every artifact that the manifest names here and checked; return how many.

        Raises:
            ArtifactHostError, WrongDigestError and others: one is not to be had.
        """
        source, verified = obtained.source, obtained.verified
        wanted = {
            each.artifact.sha256: each.artifact
            for each in verified.manifest.entries
            if each.artifact
        }
        credential = await self._credential(source) if wanted else None
        for artifact in wanted.values():
            name = urlsplit(artifact.uri).path.rpartition("/")[2]
            await self._artifacts.ensure(
                artifact,
                fetcher,
                partial(_may_send, verified),
                base="" if source.path else source.uri,
                folder=source.path.parent if source.path else None,
                credential=credential,
                progress=partial(progress, name) if progress else None,
            )
        return replace(obtained, digests=obtained.digests + len(wanted))

    async def remember(self, obtained: Obtained) -> None:
        """Keep the manifest, and that its version was seen; does nothing for unsigned ones.

        Raises:
            LockedError: another process was quicker; look again.
            TrustStateError, UnavailableError: it cannot be kept.
        """
        if not obtained.source.is_signed:
            return
        verified, known = obtained.verified, obtained.known
        update = {"etag": obtained.etag, "last_success": rfc3339(obtained.at)}
        state = (known or SourceState()).remembering(verified.seen).model_copy(update=update)
        manifest = None if obtained.is_kept else verified.data
        store = self._hydration.memory().store(obtained.source.name)
        await in_thread(partial(store.keep, state, after=known, manifest=manifest))

    async def _credential(self, source: ManifestSource) -> Credential | None:
        if not source.credential or source.path is not None:
            return None
        origin = Origin.of(source.credential_origin or source.uri)
        return Credential(origin, await self._secret(source.credential))


def _place(source: ManifestSource) -> str:
    """Return where a source lies, absolute, so that what lies beside it can be named."""
    return source.path.absolute().as_uri() if source.path else source.uri


def _may_send(verified: VerifiedManifest, host: str) -> bool:
    """Tell whether artifacts may come from *host*: of an unsigned manifest from none."""
    return verified.root is not None and verified.allows(host=host)


def _calmly(read: Callable[[], VerifiedManifest]) -> VerifiedManifest:
    with settling():
        return read()
