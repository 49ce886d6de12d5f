"""Callers that write and read real words through whatever cache serves."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path

from oneiric.core.guard import attempt_async
from oneiric.core.handle import Handle
from oneiric.core.lifecycle import LifecycleManager
from oneiric.ports.cache import CACHE, Cache

PACE_SECONDS = 0.004
_WORD = re.compile(r"[A-Za-z][a-z]+")


def words_in(folder: Path) -> list[str]:
    """Return the words of the Markdown files below *folder*, in order."""
    texts = (path.read_text("utf-8") for path in sorted(folder.rglob("*.md")))
    return [word for text in texts for word in _WORD.findall(text)]


class Load:
    """Keep callers busy: each writes a word, reads it back in the same hold, and compares.

    `calls` counts by provider what came to an end; `failures` holds what went wrong, in words.
    A call that fails is one failure, whatever it raised, and its caller goes on.
    """

    def __init__(self, lifecycle: LifecycleManager, words: Sequence[str], *, callers: int) -> None:
        self._lifecycle = lifecycle
        self._words = words
        self._callers = callers
        self._stopping = asyncio.Event()
        self.calls: Counter[str] = Counter()
        self.failures: list[str] = []

    @property
    def total(self) -> int:
        """All calls so far."""
        return self.calls.total()

    def stop(self) -> None:
        """Let every caller finish its call and end."""
        self._stopping.set()

    async def run(self) -> None:
        """Run the callers until `stop`."""
        share = len(self._words) // self._callers
        async with asyncio.TaskGroup() as group:
            for number in range(self._callers):
                words = self._words[number * share : (number + 1) * share]
                group.create_task(self._call(f"caller-{number}", words or self._words))

    async def _call(self, name: str, words: Iterable[str]) -> None:
        for position, word in enumerate(cycle(words)):
            if self._stopping.is_set():
                return
            key = f"{name}:{word}"
            outcome = await attempt_async(self._write_and_read(key, [word, position]))
            if outcome.error is not None:
                self.failures.append(f"a call for {key} failed: {outcome.reason}")
            await asyncio.sleep(PACE_SECONDS)

    async def _write_and_read(self, key: str, value: list[str | int]) -> None:
        handle: Handle[Cache] = self._lifecycle.use(CACHE)
        async with handle as cache:
            provider = handle.provider
            await cache.set(key, value)
            found = await cache.get(key)
        self.calls[provider] += 1
        if found != value:
            self.failures.append(f"{provider} gave {found!r} for {key}, not {value!r}")
