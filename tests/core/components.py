"""Small real components: they count themselves, and fail or hang where they are told to."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from oneiric.clock import Clock
from oneiric.core.build import PhaseLimits, SettingsSource
from oneiric.core.candidate import Candidate
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.quarantine import QuarantinePolicy
from oneiric.core.resolver import Resolver

CACHE = "adapter:cache"
PHASES = ("create", "init", "health", "cleanup")


class Broken(Exception):
    """What a component raises when it was told to fail."""


class UsedAfterCleanup(Exception):
    """Somebody was given, or kept, an instance that was cleaned up."""


class Ledger:
    """What components did, in order; lists only, so that threads may write too."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.made: list[str] = []
        self.ended: list[str] = []
        self.late: list[str] = []
        self.awake = False
        """Whether what hangs, deaf to all that would end it, may go on."""

    @property
    def open(self) -> int:
        """How many instances were made and not cleaned up."""
        return len(self.made) - len(self.ended)

    def take(self) -> list[str]:
        """Return the log and start a new one."""
        taken, self.log = self.log, []
        return taken


class Plain:
    """A component without any phase."""

    def __init__(self, ledger: Ledger, name: str = "plain") -> None:
        self.ledger = ledger
        self.name = name
        self.ended = False
        ledger.made.append(name)

    def work(self) -> str:
        """Return the name; an instance that was cleaned up cannot."""
        if self.ended:
            self.ledger.late.append(self.name)
            raise UsedAfterCleanup(self.name)
        return self.name

    def end(self) -> None:
        """Note the end; what `cleanup` and its like call."""
        if self.ended:
            self.ledger.late.append(f"{self.name} ended twice")
        self.ended = True
        self.ledger.ended.append(self.name)


class Phased(Plain):
    """Async phases, each with points at which it may be cancelled."""

    async def init(self) -> None:
        await asyncio.sleep(0)

    async def health(self) -> bool:
        await asyncio.sleep(0)
        return not self.ended

    async def cleanup(self) -> None:
        await asyncio.sleep(0)
        self.end()


class SyncPhased(Plain):
    """Sync phases; with `blocking=True` each runs in a thread."""

    def init(self) -> None:
        time.sleep(0)

    def health(self) -> bool:
        return not self.ended

    def cleanup(self) -> None:
        self.end()


class Entered(Plain):
    """An async context manager that yields itself."""

    async def __aenter__(self) -> Self:
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.sleep(0)
        self.end()


class Staged(Plain):
    """Write every phase into the log, and fail in those that *fails* holds by then."""

    def __init__(self, ledger: Ledger, name: str, *, fails: Collection[str] = ()) -> None:
        self.fails = fails
        self.ledger = ledger
        self.name = name
        self._step("create")
        super().__init__(ledger, name)

    async def init(self) -> None:
        await asyncio.sleep(0)
        self._step("init")

    async def health(self) -> bool:
        await asyncio.sleep(0)
        self._step("health")
        return "unhealthy" not in self.fails

    async def cleanup(self) -> None:
        await asyncio.sleep(0)
        self.end()
        self._step("cleanup")

    async def pause(self) -> None:
        self._step("pause")

    async def resume(self) -> None:
        self._step("resume")

    def _step(self, phase: str) -> None:
        self.ledger.log.append(f"{self.name} {phase}")
        if phase in self.fails:
            raise Broken(phase)


class Options(TypedDict, total=False):
    """What a manager may be given."""

    settings: SettingsSource | None
    limits: PhaseLimits | None
    allowed: Iterable[str]
    quarantine: QuarantinePolicy | None
    clock: Clock | None


def offer(
    ledger: Ledger,
    provider: str,
    kind: Callable[..., object] = Phased,
    *,
    ref: str = CACHE,
    **fields: Any,
) -> Candidate:
    """Return an offer whose instances write into *ledger* under the provider's name."""
    return Candidate(ref, provider, partial(kind, ledger, provider), **fields)


def manager_of(*offers: Candidate, **options: Unpack[Options]) -> LifecycleManager:
    """Return a manager with a resolver of its own that knows *offers*."""
    resolver = Resolver()
    for candidate in offers:
        resolver.register(candidate)
    return LifecycleManager(resolver, **options)


@asynccontextmanager
async def running(
    *offers: Candidate, **options: Unpack[Options]
) -> AsyncIterator[LifecycleManager]:
    """Lend a manager, close it, and see that it left no task behind."""
    before = asyncio.all_tasks()
    async with manager_of(*offers, **options) as lifecycle:
        yield lifecycle
    left = asyncio.all_tasks() - before
    assert not left, f"tasks left: {left}"


async def until(condition: Callable[[], object], *, seconds: float = 5.0) -> None:
    """Let other tasks run until *condition* holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what is waited for knows no event
            await asyncio.sleep(0)
