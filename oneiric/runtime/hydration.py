"""What sources brought before, composed; nothing is imported that no source needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oneiric.remote.hydration import Hydration
from oneiric.remote.settings import RemoteSettings
from oneiric.runtime.part import Part

if TYPE_CHECKING:
    from oneiric.config import CachePaths
    from oneiric.remote.pinned import Memory
    from oneiric.remote.shelf import Shelf
    from oneiric.runtime.orchestrator import RuntimeOrchestrator


class RemoteFolders:
    """What lies on disk of sources, each looked for when somebody asks for it."""

    memory: Part[Memory] = Part("oneiric.runtime.remote_memory:memory_of")
    shelf: Part[Shelf] = Part("oneiric.runtime.remote_shelf:shelf_of")

    def __init__(self, paths: CachePaths) -> None:
        self.paths = paths


def hydration_of(runtime: RuntimeOrchestrator) -> Hydration:
    """Return who brings back what the sources of *runtime* brought before."""
    settings = runtime.config.section("remote")
    assert isinstance(settings, RemoteSettings)
    folders = RemoteFolders(runtime.paths)
    return Hydration(
        settings,
        folder=runtime.config.folder,
        resolver=runtime.resolver,
        allowed=runtime.lifecycle.builder.allowed,
        memory=partial(getattr, folders, "memory"),
        shelf=partial(getattr, folders, "shelf"),
        clock=runtime.clock,
    )
