"""A law: whatever is asked of a manager, in any order and cancelled anywhere, it stays whole."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from oneiric.backoff import Backoff
from oneiric.core.build import PhaseLimits
from oneiric.core.generation import LifecycleState
from oneiric.core.hooks import SwapContext
from oneiric.core.quarantine import QuarantinePolicy
from oneiric.errors import ComponentError, OneiricError
from tests.core.components import CACHE, Ledger, Staged, manager_of, offer
from tests.core.test_swap import Near

USER = "service:user"
FAULTS = ("create", "init", "health", "unhealthy", "cleanup", "pause", "resume")
BACKOFF = Backoff(base_seconds=0.001, factor=1.5, max_seconds=0.005)


class Chaos:
    """One manager, three offers for one place, two users of it, and a source of chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ledger = Ledger()
        self.fails: dict[str, set[str]] = {name: set() for name in "abc"}
        offers = [
            offer(self.ledger, name, partial(Staged, fails=self.fails[name]), priority=rank)
            for rank, name in enumerate("abc")
        ]
        near = self.chance.choice([CACHE, f"{CACHE}@a", f"{CACHE}@b"])
        for name, ref in (("u", near), ("v", CACHE)):
            offers.append(offer(self.ledger, name, Near, ref=USER, requires={"near": ref}))
        failures, probation = self.chance.choice([1, 3, 99]), self.chance.choice([0.0, 0.0005])
        self.lifecycle = manager_of(
            *offers,
            limits=PhaseLimits(probation=probation, drain=5.0),
            quarantine=QuarantinePolicy(failures=failures, backoff=BACKOFF),
        )
        self.lifecycle.resolver.configure(failover=self.chance.random() < 0.8)
        for point in ("pre_swap", "post_swap"):
            self.lifecycle.hook(point, self._hook)
        self.tasks: list[asyncio.Task[object]] = []

    async def live(self) -> None:
        """Ask for many things, cancel some, and sometimes wait for what is under way."""
        for _ in range(self.chance.randrange(5, 40)):
            self.tasks.append(asyncio.create_task(self._ask()))
            await self._turns(6)
            if self.chance.random() < 0.3:
                self.chance.choice(self.tasks).cancel()
        if self.chance.random() < 0.6:
            await asyncio.wait(self.tasks)
            while busy := {task for task in self.lifecycle._tasks if not _is_retry(task)}:
                await asyncio.wait(busy)
                await asyncio.sleep(0)
            self._check()

    async def close(self) -> None:
        """Close in the midst of it, and see that nothing is left."""
        try:
            await self.lifecycle.close()
        except* ComponentError:
            pass
        outcomes = await asyncio.gather(*self.tasks, return_exceptions=True)
        raised = [error for error in outcomes if isinstance(error, BaseException)]
        assert all(isinstance(e, OneiricError | asyncio.CancelledError) for e in raised), raised
        assert (self.ledger.open, self.ledger.late) == (0, [])

    def _check(self) -> None:
        """See that what serves is alive, known, bound to its offer, and all there is."""
        slots = self.lifecycle._slots
        paused = set(self.lifecycle.activity.snapshot()) - {CACHE}
        up = {slot.current for ref, slot in slots.items() if slot.current and "@" in ref}
        assert (set(self.lifecycle._roster), self.ledger.open) == (up, len(up))
        for ref, slot in slots.items():
            if slot.current is not None:
                one = slot.current
                assert (one.state, one.instance.ended) == (LifecycleState.READY, False)
                assert (slots[one.offer].current, len(one.holds)) == (one, 0)
                assert "@" in ref or one.offer not in paused

    async def _ask(self) -> object:
        """Ask for one thing by chance."""
        lifecycle, name = self.lifecycle, self.chance.choice("abc")
        ref = self.chance.choice([CACHE, f"{CACHE}@{name}"])
        verbs: list[Callable[[], Awaitable[object]]] = [
            partial(self._use, CACHE),
            partial(self._use, f"{CACHE}@{name}"),
            self._use_user,
            partial(lifecycle.swap, CACHE, provider=name),
            partial(lifecycle.swap, CACHE),
            partial(lifecycle.swap, CACHE, clear=True),
            partial(lifecycle.swap, USER, provider=self.chance.choice("uv")),
            partial(lifecycle.rollback, CACHE),
            partial(lifecycle.probe, CACHE),
            partial(lifecycle.pause, ref),
            partial(lifecycle.resume, ref),
            partial(lifecycle.resume, CACHE),
            partial(lifecycle.drain, ref, limit=0.01),
            partial(self._flip, name),
        ]
        return await self.chance.choice(verbs)()

    async def _use(self, ref: str) -> None:
        async with self.lifecycle.use(ref) as held:
            await self._turns(4)
            held.work()

    async def _use_user(self) -> None:
        async with self.lifecycle.use(USER) as held:
            await held.ask()

    async def _flip(self, name: str) -> None:
        fails = self.fails[name]
        if fails:
            fails.clear()
        else:
            fails.add(self.chance.choice(FAULTS))

    async def _turns(self, limit: int) -> None:
        for _ in range(self.chance.randrange(limit)):
            await asyncio.sleep(0)

    async def _hook(self, _: SwapContext) -> None:
        await asyncio.sleep(0)
        if self.chance.random() < 0.15:
            raise ValueError("hook")


def _is_retry(task: asyncio.Task[object]) -> bool:
    """Tell whether *task* only waits for the end of a quarantine."""
    return "_retry" in repr(task.get_coro())


SHORT = range(0, 160, 40)
LONG = (pytest.param(n, marks=pytest.mark.soak) for n in range(SHORT.stop, 4_000, SHORT.step))


@pytest.mark.parametrize("first", [*SHORT, *LONG])
async def test_any_sequence_of_verbs_leaves_a_manager_whole(first: int) -> None:
    """One instance an offer, no orphan, no closed one served, no error but our own; all closes."""
    before = asyncio.all_tasks()
    for seed in range(first, first + SHORT.step):
        chaos = Chaos(seed)
        try:
            await chaos.live()
            await chaos.close()
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        assert asyncio.all_tasks() == before, f"seed {seed}"
