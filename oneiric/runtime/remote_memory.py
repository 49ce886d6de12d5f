"""Where signed sources are remembered; imported only where there is one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oneiric.remote.pinned import Memory
from oneiric.remote.store import SourceStore

if TYPE_CHECKING:
    from oneiric.runtime.hydration import RemoteFolders


def memory_of(folders: RemoteFolders) -> Memory:
    """Return what is remembered of signed sources."""
    return Memory(partial(SourceStore.under, folders.paths.trust))
