"""Where artifacts lie; imported only where a manifest names one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.remote.artifacts import ArtifactStore
from oneiric.remote.shelf import Shelf

if TYPE_CHECKING:
    from oneiric.runtime.hydration import RemoteFolders


def shelf_of(folders: RemoteFolders) -> Shelf:
    """Return what makes components of the artifacts that are here."""
    return Shelf(ArtifactStore(folders.paths.artifacts))
