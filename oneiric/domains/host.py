"""A composed runtime, as products see it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, cast

from oneiric.targets import load

if TYPE_CHECKING:
    from pydantic import BaseModel

    from oneiric.clock import Clock
    from oneiric.core.lifecycle import LifecycleManager
    from oneiric.ports.results import Results
    from oneiric.runs.engine import RunEngine
    from oneiric.runs.journal import Journal

ROOT = "oneiric.runtime.operator:hosted"
"""What composes; named by text, for the composition root stands beside the products."""


class Host(AbstractAsyncContextManager["Host"], Protocol):
    """What a product is made of: components, an engine, a journal and the configuration.

    Use it as `async with`; leaving closes everything, and lets go of runs under way.
    """

    @property
    def folder(self) -> Path:
        """Where the configuration was looked for, and `.oneiric_cache` is kept."""
        ...

    @property
    def clock(self) -> Clock:
        """The source of time."""
        ...

    @property
    def lifecycle(self) -> LifecycleManager:
        """Who brings components up; its `resolver` chooses them."""
        ...

    @property
    def engine(self) -> RunEngine:
        """Who does runs; tasks and actions do their steps."""
        ...

    @property
    def journal(self) -> Journal:
        """Where runs are kept."""
        ...

    @property
    def results(self) -> Results:
        """Where results are kept that may serve again."""
        ...

    @property
    def lease_seconds(self) -> float:
        """How long after a process has died others may take up its runs."""
        ...

    def section(self, name: str) -> BaseModel:
        """Return the settings of one section of the configuration."""
        ...

    async def __aenter__(self) -> Self:
        """Return the host, ready."""
        ...


def host(
    *,
    path: Path | None = None,
    profile: str | None = None,
    folder: Path | None = None,
    checkpoints: bool = True,
) -> Host:
    """Return a runtime composed as every command composes it, to be used as `async with`.

    Args:
        path: the configuration file; else it is looked for in *folder*.
        profile: the profile laid over it.
        folder: where configuration and state are; the working directory when left out.
        checkpoints: whether runs outlive the process; else they are kept in memory.

    Raises:
        ConfigError: the configuration is wrong; carries every problem.
    """
    made = load(ROOT, ("oneiric",))(
        path=path, profile=profile, folder=folder, checkpoints=checkpoints
    )
    return cast("Host", made)
