"""Who runs programs where nobody was given: processes of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from oneiric.targets import load

if TYPE_CHECKING:
    from oneiric.ports.executor import Executor

PROGRAMS = "oneiric.adapters.executors.process:ProcessExecutor"
"""Named by text, for it stands beside the products."""


@asynccontextmanager
async def own_programs(folder: Path | str) -> AsyncIterator[Executor]:
    """Lend one that runs programs in *folder*, as long as the block lasts."""
    settings = load(f"{PROGRAMS}Settings", ("oneiric",))(root=folder)
    programs = cast("Any", load(PROGRAMS, ("oneiric",))(settings))
    await programs.init()
    try:
        yield programs
    finally:
        await programs.cleanup()
