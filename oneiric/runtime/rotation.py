"""Read secrets anew, and swap what was made with other values of them."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, Any

from oneiric.core.activity import ActivityState
from oneiric.core.guard import attempt_async
from oneiric.core.ref import ComponentRef
from oneiric.errors import OneiricError
from oneiric.runtime.lifecycle_log import log_secrets_rotated
from oneiric.runtime.rotation_report import RotationFailure, RotationReport
from oneiric.runtime.secret_names import check_wanted, names_in, unknown_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oneiric.core.generation import Generation
    from oneiric.core.swap import SwapReport
    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.running import Marks
    from oneiric.runtime.secret_references import SecretKey
    from oneiric.runtime.secrets import SecretsHook

_AT_ONCE = 8


class Rotation:
    """Rotate the secrets of a hook, one rotation after the other.

    Args:
        runtime: whose components follow.
        hook: who reads the secrets.
    """

    def __init__(self, runtime: RuntimeOrchestrator, hook: SecretsHook) -> None:
        self._runtime = runtime
        self._hook = hook
        self._turn = asyncio.Lock()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._news = asyncio.Event()
        self._tried: dict[Generation[Any], Marks] = {}
        runtime.running.told = self._news.set

    async def rotate(self, names: tuple[str, ...], *, every: bool) -> RotationReport:
        """Do what `SecretsHook.rotate` says."""
        check_wanted(names, every=every)
        async with self._turn:
            known = self._known()
            wanted = sorted({key.name for key in known}) if every else list(dict.fromkeys(names))
            for name in wanted:
                await self._check(name, known)
            keys = [key for key in known if key.name in wanted]
            return await self._rotated(tuple(wanted), keys, forgets=True)

    async def run(self) -> None:
        """Do what `SecretsHook.run` says."""
        seconds = self._hook.settings.refresh_interval
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_news())
            while True:
                await (self._runtime.clock.sleep(seconds) if seconds else asyncio.Event().wait())
                async with self._turn:
                    keys = self._known()
                    names = tuple(sorted({key.name for key in keys}))
                    await self._rotated(names, keys, forgets=False)

    async def follow(self, ref: str = "") -> None:
        """Swap what is up with another value than the one read last, or *ref* alone of it."""
        async with self._turn:
            late = [each for each in self._outdated() if ref in ("", each.candidate.ref)]
            if late:
                swapped, deferred, failed = await self._swap(late)
                self._log(0, swapped, deferred, failed)

    async def _follow_news(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self.follow()

    async def _rotated(
        self, names: tuple[str, ...], keys: list[SecretKey], *, forgets: bool
    ) -> RotationReport:
        before = self._marks_of(keys)
        forgotten = self._hook.forget(keys) if forgets else 0
        news: set[str] = set()
        swapped: list[SwapReport] = []
        deferred: list[str] = []
        failed: list[RotationFailure] = []
        for part in self._in_turn(keys):
            marks, unread = await self._read(part)
            news |= {k.name for k in marks if any(_differ(old, marks[k]) for old in before[k])}
            held, waiting, unswapped = await self._swap(self._outdated(marks, again=True))
            swapped += held
            deferred += waiting
            failed += unread + unswapped
        changed = {name: name in news for name in names if name not in {e.key for e in failed}}
        if forgets or news or failed:
            self._log(len(news), swapped, deferred, failed)
        return RotationReport(
            keys=names,
            applied="live",
            invalidated=forgotten,
            changed=changed,
            swapped=tuple(swapped),
            deferred=tuple(deferred),
            failed=tuple(failed),
        )

    def _marks_of(self, keys: Iterable[SecretKey]) -> dict[SecretKey, list[bytes | None]]:
        """Return what tells the values that were read last, and those in use."""
        made_with = self._runtime.running.made_with().values()
        return {key: [self._hook.mark(key), *(each.get(key) for each in made_with)] for key in keys}

    def _in_turn(self, keys: Iterable[SecretKey]) -> Iterator[list[SecretKey]]:
        """Yield the secrets that stores are made with, then those that stores hold for others."""
        made_with, place = self._runtime.running.made_with(), self._hook.stores.place
        own = {key for each in made_with if each.candidate.ref == place for key in made_with[each]}
        for is_own in (True, False):
            if part := [key for key in keys if (key in own) is is_own]:
                yield part

    async def _read(
        self, keys: Iterable[SecretKey]
    ) -> tuple[dict[SecretKey, bytes], list[RotationFailure]]:
        """Read all *keys* anew; return what tells their values, and what failed, once a name."""
        marks: dict[SecretKey, bytes] = {}
        failed: dict[str, RotationFailure] = {}

        async def read(key: SecretKey) -> None:
            async with self._slots:
                outcome = await attempt_async(self._hook.read_anew(key))
            if outcome.value is not None:
                marks[key] = outcome.value.mark
            elif isinstance(outcome.error, OneiricError):
                failed[key.name] = RotationFailure(error=outcome.error, key=key.name)
            elif outcome.error is not None:
                raise outcome.error

        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(read(key))
        return marks, list(failed.values())

    def _outdated(self, now: Marks | None = None, *, again: bool = False) -> list[Generation[Any]]:
        """Return what is up with other values than *now*, or than those that were read last.

        What was tried with the same ones is left out, unless *again*.
        """
        late = []
        made_with = self._runtime.running.made_with()
        self._tried = {each: self._tried[each] for each in self._tried if each in made_with}
        for generation, marks in made_with.items():
            newest = {key: self._hook.mark(key) if now is None else now.get(key) for key in marks}
            new = {key: mark for key, mark in newest.items() if mark and _differ(marks[key], mark)}
            if new and (again or self._tried.get(generation) != new):
                late.append(generation)
                self._tried[generation] = new
        return late

    async def _swap(
        self, late: Iterable[Generation[Any]]
    ) -> tuple[list[SwapReport], list[str], list[RotationFailure]]:
        """Swap the places of what is *late*; return what held, what waits and what failed."""
        status, activity = self._runtime.lifecycle.status, self._runtime.lifecycle.activity
        deferred: list[str] = []
        failed: list[RotationFailure] = []
        places: list[ComponentRef[Any]] = []
        for generation in late:
            ref = generation.candidate.ref
            if status(ref).generation != generation.number:
                ref = generation.offer  # it serves only who names it
            if activity.get(ref).state is not ActivityState.ACTIVE:
                deferred.append(str(ref))
                self._tried.pop(generation, None)
            else:
                places.append(ref)
        swapped: list[SwapReport] = []

        async def swap(ref: ComponentRef[Any]) -> None:
            async with self._slots:
                outcome = await attempt_async(self._runtime.lifecycle.renew(ref))
            report = outcome.value
            error = outcome.error or (report.error if report else None)
            if isinstance(error, OneiricError):
                failed.append(RotationFailure(error=error, ref=str(ref)))
            elif error is not None:
                raise error
            elif report is not None:
                swapped.append(report)

        async with asyncio.TaskGroup() as group:
            for ref in dict.fromkeys(places):
                group.create_task(swap(ref))
        return sorted(swapped, key=lambda each: each.ref), deferred, failed

    def _known(self) -> list[SecretKey]:
        """Return every secret that is kept or that something up was made with."""
        used = [key for marks in self._runtime.running.made_with().values() for key in marks]
        return sorted({*self._hook.kept(), *used})

    async def _check(self, name: str, known: Iterable[SecretKey]) -> None:
        """Pass if a secret of that name is used, named in settings, or in the default store.

        Raises:
            NotFoundError: it is none of these.
        """
        names = {key.name for key in known} | names_in(self._runtime.config)
        if name in names or name in (listed := await self._hook.names()):
            return
        raise unknown_secret(name, names | listed, hint="nothing that runs here uses it")

    def _log(
        self,
        changed: int,
        swapped: Iterable[SwapReport],
        deferred: list[str],
        failed: Iterable[RotationFailure],
    ) -> None:
        log_secrets_rotated(
            changed=changed,
            swapped=[str(each.ref) for each in swapped],
            deferred=deferred,
            failed=[f"{each.key or each.ref}: {each.error.message}" for each in failed],
        )


def _differ(mark: bytes | None, other: bytes | None) -> bool:
    """Tell whether two values are known to differ, in a time that does not tell how."""
    return mark is not None and other is not None and not hmac.compare_digest(mark, other)
