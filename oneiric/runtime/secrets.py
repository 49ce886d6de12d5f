"""Read secrets for settings and for code, keep them for a while, and follow their change."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from oneiric.core.guard import Guard, attempt_async
from oneiric.errors import ClosedError, OneiricError
from oneiric.ports.errors import PermissionDeniedError
from oneiric.runtime.lifecycle_log import log_secret_stale
from oneiric.runtime.rotation import Rotation
from oneiric.runtime.secret_errors import MissingSecretError, SecretUnavailableError
from oneiric.runtime.secret_references import SecretKey
from oneiric.runtime.secret_stores import SecretStores
from oneiric.runtime.secrets_status import SecretsStatus, status_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oneiric.runtime.orchestrator import RuntimeOrchestrator
    from oneiric.runtime.rotation_report import RotationReport
    from oneiric.runtime.settings import SecretsSettings

T = TypeVar("T")
LONGEST = 65_536
"""Characters of the longest secret."""


class Reading:
    """A secret as it was read: its value, what tells it from others, and when."""

    __slots__ = ("at", "mark", "value")

    def __init__(self, value: str, mark: bytes, at: float) -> None:
        self.value = value
        self.mark = mark
        self.at = at

    def __repr__(self) -> str:
        return "Reading(**********)"


class SecretsHook:
    """Give secrets by name, each read once for all who ask at a time, and then not for a while.

    What `[secrets]` says counts as it was at the start. Beyond `cache_ttl_seconds` no secret
    counts that was not read anew; only where `stale_seconds` says so, one is given a while longer
    if its store cannot be reached. Values are in no text of any error, log or `repr`.
    """

    def __init__(self, runtime: RuntimeOrchestrator) -> None:
        self._runtime = runtime
        self.stores = SecretStores(runtime.reloads.begun_with, runtime.resolver)
        self._kept: OrderedDict[SecretKey, Reading] = OrderedDict()
        self._marks: OrderedDict[SecretKey, bytes] = OrderedDict()
        self._reading: dict[SecretKey, asyncio.Task[object]] = {}
        self._salt = secrets.token_bytes(32)
        self._rotation = Rotation(runtime, self)

    @property
    def settings(self) -> SecretsSettings:
        """What `[secrets]` says."""
        return self.stores.settings

    async def get(self, name: str, *, version: str = "", provider: str = "") -> str:
        """Return a secret, of the default store or of *provider*'s.

        Raises:
            MissingSecretError: the store has none of that name.
            SecretUnavailableError: the store is down, slow or paused, or refuses.
        """
        return (await self.read(SecretKey(name, version, provider))).value

    async def rotate(self, names: Iterable[str] = (), *, every: bool = False) -> RotationReport:
        """Read secrets anew, and swap what is up and was made with another value of them.

        What was kept of them is forgotten first, and the store is asked again. A swap that does
        not hold, a store that gives nothing and what no swap renews are in the report; others
        are swapped all the same. What takes no work is swapped when it does again.

        Args:
            names: which; with *every* all that are in use or kept.

        Raises:
            InvalidError: neither or both are given.
            NotFoundError: nobody uses or has a secret of that name.
        """
        return await self._rotation.rotate(tuple(names), every=every)

    async def run(self) -> None:
        """Follow changed secrets without end; cancel it to stop.

        All that is in use is read anew each `refresh_interval` seconds, if that is above 0. A
        component that came up with an old value while one changed, and one that is up when a
        newer value is read for another, is swapped.
        """
        await self._rotation.run()

    async def resumed(self, ref: str) -> None:
        """Do the swap of *ref* that was put off until it took work again."""
        await self._rotation.follow(ref)

    def status(self) -> SecretsStatus:
        """Return the order of stores and what is kept, without names and values of secrets."""
        kept = [each for each in self._kept.values() if self._is_fresh(each)]
        return status_of(self.stores, self._runtime.resolver, cached=len(kept))

    # -- reading ------------------------------------------------------------------------

    async def read(self, key: SecretKey) -> Reading:
        """Return a secret that is kept, or read it; raises as `get` does."""
        if self.stores.is_inline(key):
            value = self.settings.inline[key.name].get_secret_value()
            return Reading(value, self._mark(value), self._now())
        kept = self._kept.get(key)
        if kept is not None and self._is_fresh(kept):
            self._kept.move_to_end(key)
            return kept
        found = await self._outcome(self._reading.get(key) or self._begin(key))
        if isinstance(found, Reading):
            return found
        if kept is not None and self._serves_stale(key, kept, found):
            return kept
        raise found.again()

    async def read_anew(self, key: SecretKey) -> Reading:
        """Read a secret now, whatever is kept or being read; raises as `get` does."""
        if self.stores.is_inline(key):
            return await self.read(key)
        found = await self._outcome(self._begin(key))
        if isinstance(found, Reading):
            return found
        raise found.again()

    async def names(self) -> set[str]:
        """Return the names that the default store lists; none where it gives no list."""
        limit = self.settings.timeout_seconds
        outcome = await self._guard.call(self._list, limit=limit)
        return set(map(str, outcome.value)) if isinstance(outcome.value, list) else set()

    def forget(self, keys: Iterable[SecretKey]) -> int:
        """Forget what is kept of *keys*, and return how many that were."""
        return sum(self._kept.pop(key, None) is not None for key in keys)

    def kept(self) -> tuple[SecretKey, ...]:
        """Return which secrets are kept."""
        return tuple(self._kept)

    def mark(self, key: SecretKey) -> bytes | None:
        """Return what tells the value that was read last from others, or None where none was."""
        return self._marks.get(key)

    def _begin(self, key: SecretKey) -> asyncio.Task[object]:
        """Read a secret in a task of its own, which no caller's end cuts short."""
        task = self._guard.keep(self._read(key))
        self._reading[key] = task
        task.add_done_callback(partial(self._ended, key))
        return task

    def _ended(self, key: SecretKey, task: asyncio.Task[object]) -> None:
        if self._reading.get(key) is not task:
            return  # another reading began later: what this one gave is old
        del self._reading[key]
        found = None if task.cancelled() else task.result()
        if isinstance(found, Reading):
            if self.settings.cache_ttl_seconds:
                _put(self._kept, key, found, self.settings.max_cached)
            _put(self._marks, key, found.mark, self.settings.max_cached)

    async def _outcome(self, task: asyncio.Task[object]) -> Reading | OneiricError:
        await asyncio.wait({task})
        if task.cancelled():
            raise ClosedError("the program ended while a secret was read")
        found = task.result()
        assert isinstance(found, Reading | OneiricError)
        return found

    async def _read(self, key: SecretKey) -> Reading | OneiricError:
        limit, store = self.settings.timeout_seconds, str(self.stores.store(key))
        outcome = await self._guard.call(partial(self._ask, key), limit=limit)
        error, value = outcome.error, outcome.value
        if error is not None:
            is_told = outcome.timed_out or isinstance(error, OneiricError)
            reason = str(error) if is_told else type(error).__name__  # others may tell anything
            refused = isinstance(error, PermissionDeniedError)
            return SecretUnavailableError(key.name, store, reason=reason, refused=refused)
        if isinstance(value, MissingSecretError):
            return value
        if not isinstance(value, str) or len(value) > LONGEST:
            what = f"it gave no text, or more than {LONGEST} characters"
            return SecretUnavailableError(key.name, store, reason=what, refused=True)
        return Reading(value, self._mark(value), self._now())

    async def _ask(self, key: SecretKey) -> object:
        async with self._runtime.lifecycle.use(self.stores.store(key)) as store:
            await store.invalidate_cache(key.name)
            ask = partial(store.get_secret, key.name, version=key.version or None)
            found = await ask(allow_missing=True)
            if found is not None:
                return found
            outcome = await attempt_async(ask())
            why = outcome.error.message if isinstance(outcome.error, OneiricError) else ""
            return MissingSecretError(key.name, str(self.stores.store(key)), reason=why)

    async def _list(self) -> object:
        async with self._runtime.lifecycle.use(self.stores.store(SecretKey(""))) as store:
            await store.invalidate_cache()
            return await store.list_secrets()

    def _serves_stale(self, key: SecretKey, kept: Reading, error: OneiricError) -> bool:
        age = self._age(kept)
        if age >= self.settings.cache_ttl_seconds + self.settings.stale_seconds:
            return False
        if not isinstance(error, SecretUnavailableError) or error.refused:
            return False
        log_secret_stale(error.name, error.store, round(age, 3), error.reason)
        return True

    @property
    def _guard(self) -> Guard:
        return self._runtime.lifecycle.builder.guard

    def _is_fresh(self, kept: Reading) -> bool:
        return self._age(kept) < self.settings.cache_ttl_seconds

    def _age(self, kept: Reading) -> float:
        return self._now() - kept.at

    def _now(self) -> float:
        return self._runtime.clock.monotonic()

    def _mark(self, value: str) -> bytes:
        return hmac.digest(self._salt, value.encode("utf-8", "surrogatepass"), "sha256")


def _put(shelf: OrderedDict[SecretKey, T], key: SecretKey, value: T, most: int) -> None:
    shelf[key] = value
    shelf.move_to_end(key)
    while len(shelf) > most:
        shelf.popitem(last=False)
