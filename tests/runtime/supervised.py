"""Services whose faults a test sets, and a supervisor whose time a test moves."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from oneiric.config import load_config
from oneiric.core.candidate import Candidate
from oneiric.core.health import HealthReport
from oneiric.core.plugin import Plugin
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.settings import SECTIONS, VARIABLES
from oneiric.runtime.supervision import ServiceNotice, ServiceSupervision
from oneiric.runtime.supervisor import ServiceSupervisor
from oneiric.testing import ManualClock

MILL, SHOP = "service:mill", "service:shop"
POLL = 0.5
ALONE = "[plugins]\nauto_load = false\n"
"""Keeps services of installed plugins out."""
SLOW_QUARANTINE = "[lifecycle]\nquarantine_after = 1000\n"
"""Has the kernel's quarantine leave the pace to the supervisor."""


class Faults:
    """What is wrong with which provider at present, and what was done to it."""

    def __init__(self) -> None:
        self.of: defaultdict[str, set[str]] = defaultdict(set)
        self.made: Counter[str] = Counter()
        self.up: set[Machine] = set()
        self.order: list[str] = []


class Machine:
    """A service; an instance that was said to crash stays crashed, the next one is well."""

    def __init__(self, faults: Faults, provider: str, **links: Any) -> None:
        self.faults, self.provider, self.links = faults, provider, links
        self.crashed = self.ended = False
        faults.made[provider] += 1
        faults.order.append(provider)

    async def init(self) -> None:
        if "start" in self.faults.of[self.provider]:
            raise OSError("no steam")
        self.faults.up.add(self)

    async def health(self) -> HealthReport:
        is_well = not (self.crashed or "health" in self.faults.of[self.provider])
        return HealthReport(is_well, "" if is_well else "it has stopped")

    async def work(self) -> int:
        """Do some work; one that crashed, or was cleaned up, cannot."""
        assert not self.ended
        if self.crashed:
            raise ConnectionError("crashed")
        await asyncio.sleep(0)
        assert not self.ended
        return 1

    async def cleanup(self) -> None:
        self.ended = True
        self.faults.up.discard(self)


class Bench:
    """A runtime, its supervisor and what that told, on a clock that stands still."""

    def __init__(
        self,
        folder: Path,
        *,
        text: str = "",
        offers: Iterable[tuple[str, int]] = (("mill@steam", 0),),
        requires: dict[str, dict[str, str]] | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "oneiric.toml").write_text(f"{text}\n{ALONE}")
        self.folder, self.clock, self.faults = folder, ManualClock(), Faults()
        self.requires = requires or {}
        self.runtime = RuntimeOrchestrator(
            load_config(SECTIONS, folder=folder, variables=VARIABLES),
            plugins=(Plugin([self.offer(name, priority) for name, priority in offers]),),
            clock=self.clock,
        )
        self.supervisor = ServiceSupervisor(self.runtime)
        self.heard: list[ServiceNotice] = []
        self.supervisor.listen(self._hear)

    def offer(self, name: str, priority: int = 0) -> Candidate:
        """Return an offer of a machine, `key@provider` or `domain:key@provider`."""
        place, _, provider = name.partition("@")
        ref = place if ":" in place else f"service:{place}"
        needed = self.requires.get(provider, {})
        factory = partial(Machine, self.faults, provider)
        return Candidate(ref, provider, factory, priority=priority, requires=needed)

    async def _hear(self, notice: ServiceNotice) -> None:
        self.heard.append(notice)

    def told(self, ref: str = MILL) -> list[str]:
        """Return what was told of a service since the last time, in order."""
        told = [str(each.kind) for each in self.heard if each.ref == ref]
        self.heard = [each for each in self.heard if each.ref != ref]
        return told

    def stands(self, ref: str = MILL) -> ServiceSupervision:
        """Return how a service stands."""
        return next(each for each in self.supervisor.status().services if each.ref == ref)

    def crash(self, provider: str = "steam") -> None:
        """Have the instances that are up do no work any more."""
        for machine in self.faults.up:
            machine.crashed |= machine.provider == provider

    def has_made(self, provider: str, count: int) -> Callable[[], bool]:
        """Tell whether so many instances of a provider were made."""
        return lambda: self.faults.made[provider] == count

    async def settle(self) -> None:
        """Let everybody do what is due now."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def later(self, seconds: float = POLL) -> None:
        """Move the clock, a poll at a time."""
        for _ in range(round(seconds / POLL)):
            self.clock.advance(POLL)
            await self.settle()

    async def until(self, condition: Callable[[], object], *, limit: float = 1_000.0) -> float:
        """Move the clock until something holds, and return the seconds that took."""
        begun = self.clock.monotonic()
        while not condition():
            assert self.clock.monotonic() - begun < limit
            await self.later()
        return self.clock.monotonic() - begun


def policy(**values: object) -> str:
    """Return a configuration in which the supervisor alone sets the pace."""
    keys = "".join(f"{name} = {str(value).lower()}\n" for name, value in values.items())
    return f"{SLOW_QUARANTINE}[runtime_supervisor]\n{keys}"


QUICK = policy(
    probe_interval=1, unhealthy_after=2, max_restarts=3, window_seconds=60, backoff_seconds=1
)


@asynccontextmanager
async def supervised(folder: Path, **how: Any) -> AsyncIterator[Bench]:
    """Give a bench whose supervisor runs, after its first look."""
    bench = Bench(folder, **how)
    async with supervising(bench):
        yield bench


@asynccontextmanager
async def supervising(bench: Bench) -> AsyncIterator[None]:
    """Have the supervisor of a bench run until the end of the block; it has looked once."""
    async with bench.runtime.lifecycle, asyncio.TaskGroup() as group:
        running = group.create_task(bench.supervisor.run())
        await bench.settle()
        yield
        running.cancel()


async def real(condition: Callable[[], object]) -> None:
    """Wait in real time until something holds that no event tells of."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110  what is waited for knows no event
            await asyncio.sleep(0.01)
