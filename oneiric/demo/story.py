"""The demonstration: choose, explain, hold, swap under load, and survive bad providers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from oneiric.core.candidate import Candidate
from oneiric.core.decision import Decision
from oneiric.core.hooks import SwapContext
from oneiric.core.plugin import Plugin
from oneiric.core.swap import SwapReport
from oneiric.demo.faults import SickeningCache, UnreachableCache
from oneiric.demo.load import Load, words_in
from oneiric.errors import InvalidError, JSONValue, OneiricError
from oneiric.latency import LatencySummary
from oneiric.ports.cache import CACHE
from oneiric.runtime.orchestrator import RuntimeOrchestrator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CALLERS = 64
PAUSE_SECONDS = 0.7
FAULTS = Plugin(
    [
        Candidate("adapter:cache", "unreachable", UnreachableCache, priority=-10),
        Candidate("adapter:cache", "sickening", SickeningCache, priority=-10),
    ]
)


class Narrator(Protocol):
    """Who shows the story as it happens."""

    def say(self, text: str) -> None:
        """Show a line, or several."""
        ...

    def watch(self, load: Load, serving: Callable[[], str]) -> None:
        """Show from now on how many calls were made, and who serves."""
        ...


@dataclass(slots=True)
class StoryReport:
    """What happened; `ok` only if all of it held."""

    sources: dict[str, int] = field(default_factory=dict)
    words: int = 0
    decision: Decision | None = None
    swaps: list[SwapReport] = field(default_factory=list)
    faults: list[SwapReport] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    latency: LatencySummary | None = None
    closed: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every swap held, every fault was survived, and no call failed."""
        return not self.problems()

    def problems(self) -> list[str]:
        """Return what did not hold, in words."""
        changed = [swap.before != swap.after for swap in self.swaps if swap.ok]
        held = {
            "offers come from three sources; is examples/plugin installed?": len(self.sources) >= 3,
            "calls were made": bool(self.calls),
            "no call failed": not self.failures,
            "two swaps changed the provider": changed == [True, True],
            "no holder outlived a swap": not any(swap.forced for swap in self.swaps),
            "the bad providers failed in init and post_swap": [
                fault.failed_phase for fault in self.faults
            ]
            == ["init", "post_swap"],
            "everything was closed without an error": self.closed,
        }
        return [claim for claim, is_true in held.items() if not is_true]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.demo/1`."""
        return {
            "schema": "oneiric.demo/1",
            "ok": self.ok,
            "problems": self.problems(),
            "sources": self.sources,
            "words": self.words,
            "decision": self.decision.as_json() if self.decision else None,
            "swaps": [swap.as_json() for swap in self.swaps],
            "faults": [fault.as_json() for fault in self.faults],
            "calls": dict(self.calls),
            "failed": len(self.failures),
            "failures": list(self.failures[:10]),
            "latency": self.latency.as_json() if self.latency else None,
            "closed": self.closed,
            "seconds": round(self.seconds, 3),
        }


def open_runtime() -> RuntimeOrchestrator:
    """Compose what the demonstration runs on: what is installed, and two bad caches.

    What `oneiric swap` stored is for the commands; the story makes its own swaps.
    """
    runtime = RuntimeOrchestrator.open(plugins=(FAULTS,))
    for ref in runtime.stored.kept:
        runtime.resolver.unselect(ref)
    return runtime


async def tell_story(
    runtime: RuntimeOrchestrator, narrator: Narrator, *, texts: Path
) -> StoryReport:
    """Run the demonstration on the words of the Markdown files in *texts*, and stop *runtime*.

    Raises:
        InvalidError: there are no words.
    """
    started = time.monotonic()
    report = StoryReport()
    words = words_in(texts)
    if not words:
        raise InvalidError(f"{texts} holds no words", hint="name a folder of Markdown files")
    report.words = len(words)
    try:
        _choose(runtime, report, narrator)
        await _serve(runtime, words, report, narrator)
    finally:
        report.closed = await _closed(runtime, narrator)
    report.seconds = time.monotonic() - started
    return report


def _choose(runtime: RuntimeOrchestrator, report: StoryReport, narrator: Narrator) -> None:
    for warning in runtime.warnings():
        narrator.say(f"warning: {warning}")
    registry = runtime.resolver.registry
    offers = [offer for ref in registry.refs() for offer in registry.offers(ref)]
    report.sources = dict(sorted(Counter(str(offer.source) for offer in offers).items()))
    lines = [f"  {count:>3} from {source}" for source, count in report.sources.items()]
    narrator.say("\n".join((f"{len(offers)} offers from {len(lines)} sources", *lines, "")))
    report.decision = runtime.resolver.explain(CACHE)
    narrator.say(f"who serves, and why\n{report.decision.render(width=100)}\n")


async def _serve(
    runtime: RuntimeOrchestrator, words: Sequence[str], report: StoryReport, narrator: Narrator
) -> None:
    lifecycle = runtime.lifecycle
    await lifecycle.activate(CACHE)
    first = lifecycle.status(CACHE).provider
    partner = _partner(runtime, first)
    async with _loaded(runtime, words, report, narrator):
        for provider in (partner, first):
            await asyncio.sleep(PAUSE_SECONDS)
            report.swaps.append(await lifecycle.swap(CACHE, provider=provider))
            narrator.say(f"swap      {report.swaps[-1].render()}")
        remove = lifecycle.hook("post_swap", _still_healthy)
        for provider in ("unreachable", "sickening"):
            await asyncio.sleep(PAUSE_SECONDS)
            report.faults.append(await lifecycle.swap(CACHE, provider=provider))
            narrator.say(f"bad swap  {report.faults[-1].render()}")
        remove()
        await asyncio.sleep(PAUSE_SECONDS)
    report.latency = lifecycle.status(CACHE).swaps
    narrator.say(_summary(report))


@asynccontextmanager
async def _loaded(
    runtime: RuntimeOrchestrator, words: Sequence[str], report: StoryReport, narrator: Narrator
) -> AsyncIterator[None]:
    """Keep the callers busy for the length of the block."""
    load = Load(runtime.lifecycle, words, callers=CALLERS)
    report.calls, report.failures = load.calls, load.failures
    narrator.say(f"{CALLERS} callers write and read the {len(words):,} words of the docs")
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        narrator.watch(load, lambda: runtime.lifecycle.status(CACHE).provider)
        try:
            yield
        finally:
            load.stop()


def _partner(runtime: RuntimeOrchestrator, first: str) -> str:
    """Return the provider to swap with: the second distribution's, where it is installed."""
    offers = {offer.provider for offer in runtime.resolver.registry.offers(CACHE)}
    return next((name for name in ("files", "memory") if name in offers - {first}), first)


async def _closed(runtime: RuntimeOrchestrator, narrator: Narrator) -> bool:
    try:
        await runtime.stop()
    except* OneiricError as group:
        for error in group.exceptions:
            narrator.say(str(error))
        clean = False
    else:
        clean = not runtime.lifecycle.in_flight(CACHE)
    if clean:
        narrator.say("closed: every component was cleaned up, nothing is in flight")
    return clean


async def _still_healthy(context: SwapContext) -> None:
    """Look at a new cache once more, now that it serves."""
    instance = context.instance
    if isinstance(instance, SickeningCache) and not await instance.health():
        raise RuntimeError("it was healthy when it came up, and is not now that it serves")


def _summary(report: StoryReport) -> str:
    by_provider = ", ".join(f"{count:,} by {name}" for name, count in report.calls.most_common())
    latency = report.latency
    assert latency is not None
    quantiles = (("p50", latency.p50_ms), ("p95", latency.p95_ms), ("p99", latency.p99_ms))
    spread = ", ".join(f"{name} {value:.2f} ms" for name, value in quantiles)
    failed = "".join(f"  {failure}\n" for failure in report.failures[:3])
    counted = f"{report.calls.total():,} calls ({by_provider})"
    return (
        f"\n{counted}, {len(report.failures):,} failed\n{failed}"
        f"{latency.count} swaps, from request to service: {spread}"
    )
