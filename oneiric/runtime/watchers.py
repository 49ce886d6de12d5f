"""Follow the configuration file: what it says by now is in force, and what is up follows it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from oneiric.backoff import Backoff
from oneiric.clock import rfc3339
from oneiric.config import load_config
from oneiric.config.paths import possible_files
from oneiric.config.watch import ConfigWatch
from oneiric.core.guard import attempt, attempt_async
from oneiric.errors import ClosedError, ConfigError, NotFoundError, OneiricError
from oneiric.runtime.lifecycle_log import (
    log_change_deferred,
    log_change_retried,
    log_rejected,
    log_reloaded,
    log_watch_troubled,
)
from oneiric.runtime.reloads import Move
from oneiric.runtime.rooms import rooms
from oneiric.runtime.settings import WatchSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from oneiric.config import Config
    from oneiric.core.ref import ComponentRef
    from oneiric.errors import JSONValue, Problem
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.reloads import Outdated

RETRY = Backoff(base_seconds=1.0, factor=2.0, max_seconds=60.0)
_AT_ONCE = 8
_GLANCE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """How a watcher stands: what it follows, what is wrong, and who has yet to follow.

    `error` is why the file as it is now is not in force, with every problem; the last good
    configuration is that of `loaded_at`. `deferred` take no work at present; `failed` says of
    swaps that did not hold why, and they are tried again; `awaiting_restart` are the sections
    for which the file counts only after a restart. `trouble` says why the system tells of no
    change, where it does not.
    """

    mode: str
    file: str
    loaded_at: datetime
    error: OneiricError | None
    deferred: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]
    awaiting_restart: tuple[str, ...]
    trouble: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return the same as JSON, `error` as every error is told."""
        return {
            "mode": self.mode,
            "file": self.file or None,
            "loaded_at": rfc3339(self.loaded_at),
            "error": self.error.as_json()["error"] if self.error else None,
            "deferred": list(self.deferred),
            "failed": dict(self.failed),
            "awaiting_restart": list(self.awaiting_restart),
            "trouble": self.trouble,
        }


class SelectionWatcher:
    """Follow the configuration file of a runtime, for as long as `watch` is awaited.

    A file that is right is put in force whole and at once, and every component that is up and
    that it concerns is swapped, the new one up before the old one goes. One that is wrong, or
    gone, changes nothing and is told. What takes no work is swapped when it does again; a swap
    that did not hold is tried again, less and less often, until the file changes.

    Watchers of one domain put all of the file in force as well, and swap the components of
    their domain only; several of them share the work.

    Args:
        runtime: whose file, and whose components.
        retry: how long to wait after a swap that did not hold.
    """

    domain: ClassVar[str] = ""

    def __init__(self, runtime: RuntimeOrchestrator, *, retry: Backoff = RETRY) -> None:
        settings = runtime.config.section("watch")
        assert isinstance(settings, WatchSettings)
        self._runtime = runtime
        self._settings = settings
        self._retry = retry
        self._files = ConfigWatch(
            possible_files(runtime.config.folder, named=runtime.config.named),
            poll_interval=settings.poll_interval,
            debounce=settings.debounce,
            clock=runtime.clock,
        )
        self._loaded_at = runtime.clock.now()
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._pursued: dict[ComponentRef[Any], asyncio.Event] = {}
        self._deferred: set[ComponentRef[Any]] = set()
        self._failed: dict[ComponentRef[Any], str] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.problem: OneiricError | None = None
        """Why the file as it is now is not in force, with every problem, or None."""

    async def watch(self) -> None:
        """Follow the file, without end; cancel it to stop, and nothing of it is left.

        With `[watch] enabled = false` no file is watched; what `refresh` finds is followed.
        """
        self._pursued.clear()
        async with asyncio.TaskGroup() as group:
            if self._settings.enabled:
                group.create_task(self._follow_file())
            self._news.set()
            while True:
                await self._news.wait()
                self._news.clear()
                for ref in self._runtime.reloads.outdated:
                    if self.domain not in ("", ref.domain):
                        continue
                    if ref in self._pursued:
                        self._pursued[ref].set()
                    else:
                        self._pursued[ref] = asyncio.Event()
                        group.create_task(self._pursue(ref, self._pursued[ref]))

    async def refresh(self) -> bool:
        """Read the file now, put it in force and tell True, or keep the last good one.

        The components that it concerns follow where `watch` is under way.
        """
        async with self._turn:
            outcome = await asyncio.to_thread(attempt, self._reload)
            error = outcome.error
            if error is not None and not isinstance(error, OneiricError):
                error = ConfigError(f"the configuration cannot be read: {outcome.reason}")
            if error is not None:
                log_rejected(self._file, error)
            else:
                self._loaded_at = self._runtime.clock.now()
            self.problem = error
        self._news.set()
        return error is None

    def status(self) -> WatchStatus:
        """Return how this watcher stands now."""
        is_polling = bool(self._settings.poll_interval or self._files.trouble)
        mode = "polling" if is_polling else "notices"
        return WatchStatus(
            mode=mode if self._settings.enabled else "off",
            file=self._file,
            loaded_at=self._loaded_at,
            error=self.problem,
            deferred=tuple(sorted(self._deferred)),
            failed=tuple(sorted((str(ref), why) for ref, why in self._failed.items())),
            awaiting_restart=self._runtime.reloads.awaiting_restart(),
            trouble=self._files.trouble,
        )

    @property
    def _file(self) -> str:
        return str(self._runtime.config.file or "")

    async def _follow_file(self) -> None:
        trouble = ""
        async with aclosing(self._files.changes()) as changes:
            async for _ in changes:
                await self.refresh()
                if self._files.trouble not in ("", trouble):
                    trouble = self._files.trouble
                    log_watch_troubled(trouble)

    def _reload(self) -> None:
        """Load, check and put in force; it blocks."""
        runtime, was_wrong = self._runtime, self.problem is not None
        before, config = runtime.config, self._load()
        sections = [name for name in config.names if config.section(name) != before.section(name)]
        concerned = runtime.reload(config)
        if sections or was_wrong:
            restart = runtime.reloads.awaiting_restart()
            log_reloaded(self._file, sections=sections, concerned=concerned, restart=restart)

    def _load(self) -> Config:
        """Return the configuration as a start would load it now, settings of providers checked.

        Raises:
            OneiricError: it is wrong, with every problem, or the file is gone.
        """
        held = self._runtime.config

        def further(right: Config, _: Sequence[Problem]) -> Iterable[Problem]:
            return self._runtime.settings_under(right).problems()

        known = rooms()
        config = load_config(
            known.sections,
            path=held.named,
            profile=held.profile,
            folder=held.folder,
            variables=known.variables,
            further=further,
        )
        if config.file is None and held.file is not None:
            hint = "put it back, or restart to go on without one"
            raise NotFoundError("configuration file", str(held.file), hint=hint)
        if problems := self._runtime.settings_under(config).problems():
            raise ConfigError("the settings of providers are wrong", problems=problems)
        return config

    async def _pursue(self, ref: ComponentRef[Any], news: asyncio.Event) -> None:
        """Have a component follow; each further change of the file begins the attempts anew."""
        attempt_no, reloads = 0, self._runtime.reloads
        try:
            while True:
                news.clear()
                move, due = reloads.move(ref)
                if due is None:
                    return
                if move is Move.NOTHING:
                    reloads.settle(due)
                    continue
                if move is Move.DEFER:
                    self._defer(ref)
                    seconds = _GLANCE_SECONDS
                else:
                    self._deferred.discard(ref)
                    attempt_no += 1
                    seconds = self._retry.delay(attempt_no)
                    if move is Move.SWAP and await self._swapped(due, attempt_no, seconds):
                        continue
                if await _told(news, seconds):
                    attempt_no = 0
        except ClosedError:
            return  # everything is ending
        finally:
            self._pursued.pop(ref, None)
            self._deferred.discard(ref)
            self._failed.pop(ref, None)

    async def _swapped(self, due: Outdated, attempt_no: int, seconds: float) -> bool:
        """Swap, and tell whether that held.

        Raises:
            ClosedError: the lifecycle was closed.
        """
        async with self._slots:
            outcome = await attempt_async(self._runtime.lifecycle.renew(due.ref))
        if isinstance(outcome.error, ClosedError):
            raise outcome.error
        error = outcome.error or (outcome.value.error if outcome.value else None)
        if error is None:
            self._failed.pop(due.ref, None)
            self._runtime.reloads.settle(due)
            return True
        reason = error.message if isinstance(error, OneiricError) else outcome.reason
        self._failed[due.ref] = reason
        self._runtime.reloads.tried(due)
        log_change_retried(due.ref, attempt_no, seconds, reason)
        return False

    def _defer(self, ref: ComponentRef[Any]) -> None:
        if ref not in self._deferred:
            self._deferred.add(ref)
            log_change_deferred(ref, self._runtime.lifecycle.activity.get(ref))


async def _told(news: asyncio.Event, seconds: float) -> bool:
    """Wait for news, at most so long, and tell whether there are any."""
    try:
        async with asyncio.timeout(seconds):
            await news.wait()
    except TimeoutError:
        return False
    return True


class AdapterConfigWatcher(SelectionWatcher):
    """Follow the configuration file for adapters."""

    domain = "adapter"


class ServiceConfigWatcher(SelectionWatcher):
    """Follow the configuration file for services."""

    domain = "service"


class TaskConfigWatcher(SelectionWatcher):
    """Follow the configuration file for tasks."""

    domain = "task"


class EventConfigWatcher(SelectionWatcher):
    """Follow the configuration file for events."""

    domain = "event"


class WorkflowConfigWatcher(SelectionWatcher):
    """Follow the configuration file for workflows."""

    domain = "workflow"


class ActionConfigWatcher(SelectionWatcher):
    """Follow the configuration file for actions."""

    domain = "action"
