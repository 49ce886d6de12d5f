"""Holds: what a block holds, what misuse says, and no interleaving that ends in a late use."""

import asyncio
import linecache
import re
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.generation import Generation, LifecycleState
from oneiric.core.handle import Gate, Handle
from oneiric.core.ref import ComponentRef
from oneiric.core.slots import Binding, Slot
from oneiric.errors import ClosedError
from tests.core.components import CACHE, Ledger, Phased, Plain, manager_of, offer, running, until


async def test_a_block_holds_the_instance_and_tells_which() -> None:
    """The block gives the instance itself; the handle names provider and generation meanwhile."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        handle = lifecycle.use(CACHE)
        outside = (handle.provider, handle.generation)
        async with handle as held:
            inside = (type(held), handle.provider, handle.generation, lifecycle.in_flight(CACHE))
        after = (handle.provider, handle.generation, lifecycle.in_flight(CACHE))
    assert (outside, inside, after) == (("", 0), (Phased, "a", 1, 1), ("", 0, 0))


async def test_a_block_that_raises_lets_go() -> None:
    """An error in the block reaches the caller, and the hold ends all the same."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        with pytest.raises(KeyError):
            async with lifecycle.use(CACHE):
                raise KeyError
        assert lifecycle.in_flight(CACHE) == 0


async def test_a_thread_holds_with_a_plain_block() -> None:
    """A thread other than the loop's writes `with`, whether the component is up or not."""
    async with running(offer(Ledger(), "a")) as lifecycle:

        def work() -> tuple[str, int]:
            with lifecycle.use(CACHE) as held:
                return held.work(), lifecycle.in_flight(CACHE)

        cold = await asyncio.to_thread(work)
        warm = await asyncio.to_thread(work)
    assert (cold, warm) == (("a", 1), ("a", 1))


async def test_two_blocks_with_one_handle_are_an_error() -> None:
    """A handle that is in use says so and goes on holding; it may be used again afterwards."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        handle = lifecycle.use(CACHE)
        async with handle as held:
            with pytest.raises(RuntimeError, match="on adapter:cache is in use; call use"):
                await handle.__aenter__()
            assert (held.work(), lifecycle.in_flight(CACHE)) == ("a", 1)
        async with handle as held:
            assert held.work() == "a"
        assert lifecycle.in_flight(CACHE) == 0


async def test_two_tasks_that_enter_one_cold_handle_are_an_error() -> None:
    """The second is refused even while the first still waits for the component."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        handle = lifecycle.use(CACHE)

        async def block() -> str:
            async with handle as held:
                await asyncio.sleep(0)
                return str(held.work())

        outcomes = await asyncio.gather(block(), block(), return_exceptions=True)
        assert (outcomes[0], type(outcomes[1])) == ("a", RuntimeError)
        assert lifecycle.in_flight(CACHE) == 0


async def test_a_handle_that_was_refused_may_try_again() -> None:
    """A failed entry leaves the handle as it was."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        handle = lifecycle.use(CACHE)
        await lifecycle.pause(CACHE)
        with pytest.raises(Exception, match="is paused"):
            await handle.__aenter__()
        await lifecycle.resume(CACHE)
        async with handle as held:
            assert held.work() == "a"


async def test_a_plain_block_on_the_loops_thread_is_an_error() -> None:
    """It would stop the loop, so it is refused, warm or cold, and says what to write."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        with pytest.raises(ClosedError, match="would stop the event loop") as cold:
            lifecycle.use(CACHE).__enter__()
        await lifecycle.activate(CACHE)
        with pytest.raises(ClosedError, match="would stop the event loop"):
            lifecycle.use(CACHE).__enter__()
        assert cold.value.hint == "write async with in a task, or leave the loop's thread"
        assert lifecycle.in_flight(CACHE) == 0


async def test_another_loop_is_refused_warm_and_cold() -> None:
    """Components belong to one loop; a task of another one is told so and holds nothing."""
    async with running(
        offer(Ledger(), "a"), offer(Ledger(), "b", ref="adapter:queue")
    ) as lifecycle:
        await lifecycle.activate(CACHE)

        async def trespass(ref: str) -> None:
            async with lifecycle.use(ref):
                pass

        def elsewhere(ref: str) -> str:
            with pytest.raises(ClosedError) as caught:
                asyncio.run(trespass(ref))
            return caught.value.message

        messages = [await asyncio.to_thread(elsewhere, ref) for ref in (CACHE, "adapter:queue")]
        assert messages == ["this lifecycle belongs to another event loop"] * 2
        assert lifecycle.in_flight(CACHE) == 0


async def test_every_verb_refuses_another_loop() -> None:
    """Probing, swapping, pausing and closing belong to the manager's loop too."""
    async with running(offer(Ledger(), "a")) as lifecycle:
        await lifecycle.activate(CACHE)
        verbs: list[Callable[[], Any]] = [
            lambda: lifecycle.probe(CACHE),
            lambda: lifecycle.swap(CACHE),
            lambda: lifecycle.pause(CACHE),
            lambda: lifecycle.drain(CACHE),
            lifecycle.close,
        ]

        def elsewhere(verb: Callable[[], Any]) -> str:
            with pytest.raises(ClosedError) as caught:
                asyncio.run(verb())
            return caught.value.message

        messages = {await asyncio.to_thread(elsewhere, verb) for verb in verbs}
        assert messages == {"this lifecycle belongs to another event loop"}
        async with lifecycle.use(CACHE) as held:
            assert held.work() == "a"


def test_a_cold_component_needs_a_loop() -> None:
    """A thread cannot bring a component up before any loop owns the manager."""
    lifecycle = manager_of(offer(Ledger(), "a"))
    with pytest.raises(ClosedError, match="no event loop runs that could bring it up"):
        lifecycle.use(CACHE).__enter__()


async def test_a_thread_that_waits_while_the_loop_ends_is_let_go() -> None:
    """Nobody waits for ever: a thread whose loop is gone is told that it is."""
    errors, ready = list[str](), threading.Event()

    class Slow(Phased):
        async def init(self) -> None:
            ready.set()
            await asyncio.sleep(60)

    lifecycle = manager_of(offer(Ledger(), "s", Slow))

    async def main() -> None:
        await lifecycle.__aenter__()
        waiting.start()
        await until(ready.is_set)

    def wait() -> None:
        with pytest.raises(ClosedError) as caught:
            lifecycle.use(CACHE).__enter__()
        errors.append(caught.value.message)

    waiting = threading.Thread(target=wait)
    await asyncio.to_thread(asyncio.run, main())
    await asyncio.to_thread(waiting.join, 5.0)
    assert not waiting.is_alive()
    assert errors == ["adapter:cache: the event loop ended before it was up"]


async def test_a_link_follows_what_serves_and_shows_its_reference() -> None:
    """Each use of a link holds what serves at that time."""
    async with running(offer(Ledger(), "a", priority=1), offer(Ledger(), "b")) as lifecycle:
        link = lifecycle.link(CACHE)
        async with link.use() as first:
            names = [first.work()]
        await lifecycle.swap(CACHE, provider="b")
        async with link.use() as second:
            names.append(second.work())
        assert (names, link.ref, repr(link)) == (["a", "b"], CACHE, "Link('adapter:cache')")


# -- every interleaving of a holder with a swap -----------------------------------------------

SHARED = re.compile(
    r"holds\[self\] = None|if generation.retired|held.work|if self.watchers"
    r"|slot.current = (generation|before)|self.retired = (True|False)|while self.holds"
    r"|self.idle.(clear|wait)|instance.end"
)
"""The statements that touch what two threads share; between two of them the other may run."""
WATCHED = (
    "oneiric.core.handle",
    "oneiric.core.generation",
    "oneiric.core.swap",
    __name__,
)


class Careless(Handle[Plain]):
    """The control: a handle that does not look at `retired` after it entered itself."""

    __slots__ = ()

    def take(self, generation: Generation[Plain]) -> bool:
        """Enter the hold and hope."""
        generation.holds[self] = None
        self._generation = generation
        return True


RUNNING, ASLEEP = "running", "asleep"


class Turns:
    """Let two threads run in turns, one shared statement at a time, by a given schedule."""

    def __init__(self, schedule: list[int]) -> None:
        self.schedule = schedule
        self.choices: list[tuple[int, tuple[int, ...]]] = []
        self._at: list[str | None] = [RUNNING, RUNNING]
        self._go = (threading.Semaphore(0), threading.Semaphore(0))
        self._news = threading.Semaphore(0)
        self._errors: list[BaseException] = []

    def run(self, actors: tuple[Callable[[], None], Callable[[], None]]) -> None:
        """Run both to their ends; `choices` then tells who was chosen, and from whom."""
        threads = [threading.Thread(target=self._act, args=(i, actors[i])) for i in (0, 1)]
        for me, thread in enumerate(threads):
            thread.start()
            self._wait_while(me, RUNNING)
        while ready := self._ready():
            step = len(self.choices)
            chosen = self.schedule[step] if step < len(self.schedule) else ready[0]
            self.choices.append((chosen, ready))
            self._wait_while(chosen, ASLEEP)
            sleeps = ".wait()" in str(self._at[chosen]) and self._at[1 - chosen] is not None
            self._at[chosen] = ASLEEP if sleeps else RUNNING
            self._go[chosen].release()
            self._wait_while(chosen, RUNNING)
        for thread in threads:
            thread.join(5.0)
        if self._errors:
            raise self._errors[0]

    def _ready(self) -> tuple[int, ...]:
        """Return who can go on; whoever sleeps when the other has ended must wake by itself."""
        if None in self._at:
            self._wait_while(1 - self._at.index(None), ASLEEP)
        return tuple(i for i in (0, 1) if self._at[i] not in (None, ASLEEP))

    def _wait_while(self, actor: int, state: str) -> None:
        while self._at[actor] == state:
            assert self._news.acquire(timeout=5.0), f"nobody goes on: {self._at}"

    def _act(self, me: int, actor: Callable[[], None]) -> None:
        def trace(frame: FrameType, event: str, _: object) -> Any:
            if frame.f_globals.get("__name__") not in WATCHED:
                return None
            if event == "line":
                line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
                if SHARED.search(line):
                    self._pause(me, line)
            return trace

        sys.settrace(trace)
        try:
            actor()
        except BaseException as error:  # noqa: BLE001  the other thread reports it
            self._errors.append(error)
        finally:
            sys.settrace(None)
            self._at[me] = None
            self._news.release()

    def _pause(self, me: int, at: str) -> None:
        self._at[me] = at
        self._news.release()
        self._go[me].acquire()


class Still(Gate):
    """Admit as the manager does on its loop, where nothing moves meanwhile."""

    __slots__ = ()

    def admit_thread(self, slot: Slot, handle: Handle[Any]) -> Generation[Any]:
        while True:
            generation = slot.current
            assert generation is not None
            if handle.take(generation):
                return generation


async def no_task_enters(slot: Slot, handle: Handle[Any]) -> Generation[Any]:
    raise NotImplementedError


class Scene:
    """One place that a thread holds while the loop swaps it, or takes a swap of it back."""

    def __init__(self, kind: type[Handle[Plain]], *, undone: bool) -> None:
        self.ledger = Ledger()
        self.loop = asyncio.new_event_loop()
        self.kind = kind
        self.undone = undone
        candidate = Candidate(CACHE, "a", dict)
        self.old, self.new = (Generation[Plain](candidate, n, self.loop) for n in (1, 2))
        for generation in (self.old, self.new):
            generation.instance = Plain(self.ledger, f"g{generation.number}")
            generation.move(LifecycleState.READY)
        self.slot = Slot(ComponentRef(CACHE))
        self.slot.current = self.old
        if undone:
            self.binding = Binding({self.slot: self.new}, new=self.new, retire=(self.old,))

    def hold(self) -> None:
        """What a thread does: enter, work, leave."""
        with self.kind(Still(no_task_enters), self.slot) as held:
            held.work()

    def swap(self) -> None:
        """What the loop does: bind, retire, wait for the last holder, clean up."""
        self.loop.run_until_complete(self._swap())

    async def _swap(self) -> None:
        if self.undone:
            loose = self.binding.undo()
        else:
            loose = Binding({self.slot: self.new}, new=self.new, retire=(self.old,)).retired
        for generation in loose:
            forced = await generation.drained(5.0)
            assert not forced, "the last holder's leaving was not noticed"
            generation.instance.end()


def explore(kind: type[Handle[Plain]], *, undone: bool) -> tuple[int, int]:
    """Run every schedule up to the first bad one; return how many were good, and bad."""
    count = bad = 0
    schedules: list[list[int]] = [[]]
    while schedules and not bad:
        schedule = schedules.pop()
        scene, turns = Scene(kind, undone=undone), Turns(schedule)
        try:
            turns.run((scene.hold, scene.swap))
        except Exception:  # noqa: BLE001  what is counted below is what matters
            assert scene.ledger.late
        scene.loop.close()
        bad += bool(scene.ledger.late)
        count += not scene.ledger.late
        taken = [chosen for chosen, _ in turns.choices]
        for step in range(len(schedule), len(taken)):
            others = (i for i in turns.choices[step][1] if i != taken[step])
            schedules += [[*taken[:step], other] for other in others]
    return count, bad


@pytest.mark.parametrize("undone", [False, True], ids=["swap", "swap that is undone"])
def test_no_interleaving_of_a_holder_and_a_swap_uses_a_closed_instance(undone: bool) -> None:
    """Whatever the order of their statements, nobody works on what was cleaned up.

    The control leaves out the second look at `retired`, and is caught.
    """
    count, bad = explore(Handle, undone=undone)
    _, careless = explore(Careless, undone=undone)
    assert (count > 100, bad, careless) == (True, 0, 1)
