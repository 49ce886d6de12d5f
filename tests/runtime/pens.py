"""Components with settings, a runtime that follows its file, and what watches both."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from oneiric.backoff import Backoff
from oneiric.core.candidate import Candidate
from oneiric.core.handle import Link
from oneiric.core.plugin import Plugin
from oneiric.errors import JSONValue
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.watchers import (
    SelectionWatcher,
)

PEN, DESK, LAMP = "adapter:pen", "service:desk", "adapter:lamp"
QUICK = "[watch]\ndebounce = 0.02\n[activity]\npoll_interval = 0.05\n"
SOON = Backoff(base_seconds=0.05, max_seconds=0.05)
PATIENCE_SECONDS = 20.0


class InkSettings(BaseModel):
    """How a pen writes."""

    ink: str = "blue"
    width: int = 1


class Pen:
    """Something with settings, which is gone once it was cleaned up."""

    made: ClassVar[list[str]] = []

    def __init__(self, settings: InkSettings) -> None:
        self.settings = settings
        self.ended = False
        Pen.made.append(type(self).__name__)

    async def write(self) -> str:
        """Return the ink; a pen that was cleaned up cannot write."""
        assert not self.ended
        await asyncio.sleep(0)
        assert not self.ended
        return self.settings.ink

    async def cleanup(self) -> None:
        self.ended = True


class Biro(Pen):
    """Another one."""


class Dry(Pen):
    """One that does not come up until it is filled."""

    filled: ClassVar[bool] = False
    tries: ClassVar[int] = 0

    async def init(self) -> None:
        Dry.tries += 1
        if not Dry.filled:
            raise OSError("no ink")


class Desk:
    """Something that holds a pen by its name."""

    def __init__(self, pen: Link[Pen]) -> None:
        self.pen = pen


class Lamp:
    """Something without settings."""


class Queue:
    """A queue that keeps what it is given."""

    async def enqueue(self, payload: Any, **_: Any) -> str:
        return str(len(payload))


DAG: Mapping[str, JSONValue] = {
    "dag": {"queue_category": "mail", "nodes": [{"id": "a", "task": "a"}]}
}
OFFERS = Plugin(
    [
        Candidate(PEN, "quill", Pen, settings_model=InkSettings, priority=2),
        Candidate(PEN, "biro", Biro, settings_model=InkSettings, priority=1, stack="site"),
        Candidate(PEN, "dry", Dry, settings_model=InkSettings),
        Candidate(LAMP, "oil", Lamp, priority=1),
        Candidate(LAMP, "led", Lamp),
        Candidate(DESK, "oak", Desk, requires={"pen": f"{PEN}@biro"}, priority=1),
        Candidate(DESK, "pine", Desk, requires={"pen": f"{PEN}@biro"}),
        Candidate("event:pen", "quill", Pen, settings_model=InkSettings),
        Candidate("workflow:pen", "quill", Pen, settings_model=InkSettings),
        Candidate("adapter:mail", "post", Queue, priority=1),
        Candidate("adapter:mail", "pigeon", Queue),
        Candidate("task:a", "one", Lamp),
        Candidate("workflow:letters", "one", Lamp, metadata=DAG),
    ]
)


def forget() -> None:
    """Forget what earlier tests made."""
    Pen.made.clear()
    Dry.filled, Dry.tries = False, 0


def save(folder: Path, text: str, *, name: str = "oneiric.toml") -> None:
    """Save as careful editors do: a new file over the old one."""
    (folder / "swap.tmp").write_text(QUICK + text)
    (folder / "swap.tmp").replace(folder / name)


def select(folder: Path, provider: str) -> None:
    """Save a file that selects a pen."""
    save(folder, f"[adapters.selections]\npen = '{provider}'\n")


def opened(folder: Path, path: Path | None = None) -> RuntimeOrchestrator:
    return RuntimeOrchestrator.open(folder=folder, path=path, plugins=(OFFERS,))


@asynccontextmanager
async def followed(
    folder: Path, *, path: Path | None = None, up: Iterable[str] = (PEN,)
) -> AsyncIterator[tuple[RuntimeOrchestrator, SelectionWatcher]]:
    """Give a runtime that follows its file, with something up, and its watcher."""
    async with (
        opened(folder, path) as runtime,
        following(SelectionWatcher(runtime, retry=SOON)) as (watcher,),
    ):
        for ref in up:
            await runtime.lifecycle.activate(ref)
        yield runtime, watcher


@asynccontextmanager
async def following(*watchers: SelectionWatcher) -> AsyncIterator[tuple[SelectionWatcher, ...]]:
    """Have watchers watch until the end of the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(watcher.watch()) for watcher in watchers]
        yield watchers
        for task in tasks:
            task.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something holds that no event tells of."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110  what is waited for knows no event
            await asyncio.sleep(0.01)


def serves(runtime: RuntimeOrchestrator, provider: str, ref: str = PEN) -> Callable[[], bool]:
    """Tell whether that provider is up for a place."""
    return lambda: runtime.lifecycle.status(ref).provider == provider


async def ink_of(runtime: RuntimeOrchestrator, ref: str = PEN) -> str:
    """Return what a component was made with."""
    async with runtime.lifecycle.use(ref) as pen:
        return str(pen.settings.ink)


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    """Return the events of that name that were logged, as their keys."""
    return [vars(record) for record in caplog.records if vars(record).get("event") == name]


def so_many(caplog: pytest.LogCaptureFixture, name: str, count: int) -> Callable[[], bool]:
    """Tell whether the event of that name was logged so often."""
    return lambda: len(events(caplog, name)) == count


class Crowd:
    """Busy tasks and threads that use a pen until they are told to stop."""

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        self.runtime = runtime
        self.stop = threading.Event()
        self.inks: set[str] = set()
        self.failures: list[BaseException] = []

    async def task(self) -> None:
        """Write, let others run, write again."""
        while not self.stop.is_set():
            try:
                async with self.runtime.lifecycle.use(PEN) as pen:
                    self.inks.add(await pen.write())
            except Exception as error:  # noqa: BLE001  counted, and shown when it is not nought
                self.failures.append(error)
            await asyncio.sleep(0.001)

    def thread(self) -> None:
        """Look at the pen, again and again."""
        while not self.stop.wait(0.002):
            try:
                with self.runtime.lifecycle.use(PEN) as pen:
                    assert not pen.ended
            except Exception as error:  # noqa: BLE001  counted, and shown when it is not nought
                self.failures.append(error)

    def wrote(self, ink: str) -> Callable[[], bool]:
        """Tell whether somebody wrote with that ink."""
        return lambda: ink in self.inks
