"""Manifests that need not be signed: local files below folders that are named for that."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.files import read_bounded
from oneiric.remote.verify import VerifiedManifest, unsigned

if TYPE_CHECKING:
    from oneiric.remote.sources import ManifestSource


def read_unsigned(
    source: ManifestSource, *, roots: Iterable[Path], limit: int, now: datetime
) -> VerifiedManifest:
    """Return the manifest of a local file that need not be signed; it blocks.

    Raises:
        UnsignedError: it has to be, for it is not local, or lies elsewhere.
        NotFoundError, InvalidPathError, UnavailableError: it cannot be read.
        InvalidManifestError, DocumentError, ExpiredError, FutureError: it is not to be used.
    """
    source.check_unsigned(roots)
    assert source.path is not None
    data = read_bounded(source.path, limit=limit)
    return unsigned(data, source.kind, source=source.name, now=now)
