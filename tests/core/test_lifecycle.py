"""Bringing components up, lending them, and bringing them down in order."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from oneiric.core.candidate import Candidate
from oneiric.core.generation import LifecycleState
from oneiric.core.handle import Link
from oneiric.core.health import HealthReport
from oneiric.core.ref import ComponentRef
from oneiric.errors import (
    ComponentError,
    ConfigError,
    ForbiddenFactoryError,
    NoCandidateError,
    UnknownSelectionError,
)
from tests.core.components import (
    CACHE,
    Broken,
    Entered,
    Ledger,
    Phased,
    Plain,
    Staged,
    SyncPhased,
    offer,
    running,
    until,
)

DATABASE, QUEUE = "adapter:database", "adapter:queue"


# -- L1: one instance ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Plain, Phased, SyncPhased, Entered])
@pytest.mark.parametrize("blocking", [False, True])
async def test_promise_l1_72_cold_callers_share_one_instance(
    kind: Callable[..., object], blocking: bool
) -> None:
    """64 tasks and 8 threads ask at once; one instance is made, and all of them hold it."""
    ledger, start = Ledger(), threading.Barrier(8)
    async with running(offer(ledger, "a", kind, blocking=blocking)) as lifecycle:

        async def task() -> int:
            async with lifecycle.use(CACHE) as held:
                return id(held)

        def thread() -> int:
            start.wait(5.0)
            with lifecycle.use(CACHE) as held:
                return id(held)

        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(8) as pool:
            threads = [loop.run_in_executor(pool, thread) for _ in range(8)]
            ids = await asyncio.gather(*(task() for _ in range(64)), *threads)
        assert (len(ids), len(set(ids)), ledger.made) == (72, 1, ["a"])


async def test_promise_l1_a_failed_start_is_retried_by_the_next_caller() -> None:
    """A failure is told to everyone who waited, each by an error of its own, and not kept."""
    ledger, fails = Ledger(), {"init"}
    async with running(offer(ledger, "a", partial(Staged, fails=fails))) as lifecycle:

        async def ask() -> object:
            async with lifecycle.use(CACHE) as held:
                return held

        errors = await asyncio.gather(*(ask() for _ in range(5)), return_exceptions=True)
        failed = lifecycle.status(CACHE)
        fails.clear()
        assert {str(error) for error in errors} == {"adapter:cache@a failed in init: Broken: init"}
        assert len({id(error) for error in errors}) == 5
        assert (failed.state, failed.problem) == (
            LifecycleState.FAILED,
            "adapter:cache@a failed in init: Broken: init",
        )
        assert (ledger.made, ledger.open) == (["a"], 0)
        async with lifecycle.use(CACHE):
            assert lifecycle.status(CACHE).state is LifecycleState.READY
        assert (ledger.made, ledger.open) == (["a", "a"], 1)


async def test_a_place_and_its_offer_share_the_instance() -> None:
    """Asking for the provider that serves anyway makes no second instance."""
    ledger = Ledger()
    async with running(offer(ledger, "a")) as lifecycle:
        async with lifecycle.use(CACHE) as by_place, lifecycle.use(CACHE, provider="a") as by_name:
            assert by_place is by_name
        assert ledger.made == ["a"]


# -- L6: what a factory is given, and what it may give ------------------------------------------


class Limits(BaseModel):
    """Settings of a test component."""

    size: int = 7


class Settings:
    """Give every component the same values."""

    def __init__(self, **values: object) -> None:
        self.values = values

    def settings_for(self, candidate: Candidate, model: type[BaseModel]) -> BaseModel:
        try:
            return model(**self.values)
        except ValueError as error:
            raise ConfigError(f"settings of {candidate.offer} are wrong") from error


async def test_promise_l6_the_factory_gets_validated_settings_and_its_links() -> None:
    """`factory(settings, **links)`, with `init` awaited before anyone is given the instance."""
    seen: list[object] = []

    class Store:
        def __init__(self, settings: Limits, *, database: Link[Plain]) -> None:
            self.settings, self.database = settings, database

        async def init(self) -> None:
            async with self.database.use() as database:
                seen.append(database.work())

    needs = {"database": DATABASE}
    store = Candidate(CACHE, "store", Store, settings_model=Limits, requires=needs)
    settings = Settings(size="9")
    ref, database = ComponentRef[Store](CACHE), offer(Ledger(), "d", ref=DATABASE)
    async with running(store, database, settings=settings) as lifecycle, lifecycle.use(ref) as held:
        assert (held.settings, held.database.ref, seen) == (Limits(size=9), DATABASE, ["d"])


async def test_promise_l6_without_a_model_there_are_no_settings() -> None:
    """Defaults of the model when nobody has settings; no argument at all without a model."""
    given: list[tuple[object, ...]] = []

    def factory(*arguments: object) -> object:
        given.append(arguments)
        return object()

    with_model = Candidate(CACHE, "a", factory, settings_model=Limits)
    async with running(with_model, Candidate(QUEUE, "b", factory)) as lifecycle:
        await lifecycle.activate(CACHE)
        await lifecycle.activate(QUEUE)
    assert given == [(Limits(size=7),), ()]


async def test_promise_l6_wrong_settings_are_told_before_anything_is_made() -> None:
    """A `ConfigError` reaches the caller as it is; the factory is not called."""
    ledger = Ledger()
    wrong = offer(ledger, "a", settings_model=Limits)
    async with running(wrong, settings=Settings(size="many")) as lifecycle:
        with pytest.raises(ConfigError, match="settings of adapter:cache@a are wrong"):
            await lifecycle.activate(CACHE)
        assert (ledger.made, lifecycle.status(CACHE).state) == ([], LifecycleState.FAILED)


async def test_promise_l6_a_provider_that_is_asked_for_is_given_or_refused() -> None:
    """`use(provider="b")` gives b while a serves, or fails; never another."""
    ledger = Ledger()
    offers = offer(ledger, "a", priority=1), offer(ledger, "b")
    async with running(*offers) as lifecycle:
        async with lifecycle.use(CACHE) as serving, lifecycle.use(CACHE, provider="b") as asked:
            assert (serving.work(), asked.work()) == ("a", "b")
        status = await lifecycle.activate(CACHE, provider="b")
        assert (status.ref, status.provider) == ("adapter:cache@b", "b")
        assert lifecycle.status(CACHE).provider == "a"
        with pytest.raises(NoCandidateError, match="no candidate may serve adapter:cache@c"):
            await lifecycle.activate(CACHE, provider="c")
        lifecycle.resolver.withdraw("adapter:cache@b")
        await lifecycle.activate(CACHE, provider="b")


async def test_promise_l6_needs_choose_one_that_has_them_or_fail() -> None:
    """Capabilities that a caller needs outrank precedence, for that caller only."""
    ledger = Ledger()
    offers = offer(ledger, "a", priority=1), offer(ledger, "b", capabilities=["ttl"])
    async with running(*offers) as lifecycle:
        async with lifecycle.use(CACHE, needs=["ttl"]) as able, lifecycle.use(CACHE) as best:
            assert (able.work(), best.work()) == ("b", "a")
        with pytest.raises(NoCandidateError):
            lifecycle.use(CACHE, needs=["cluster"])


@pytest.mark.parametrize("instance", [[], 0, "", False, SimpleNamespace(__bool__=None)])
async def test_promise_l6_a_falsy_instance_is_an_instance(instance: object) -> None:
    """Only `None` is nothing."""
    falsy = Candidate(CACHE, "a", lambda: instance)
    async with running(falsy) as lifecycle, lifecycle.use(CACHE) as held:
        assert held is instance


@pytest.mark.parametrize("blocking", [False, True])
async def test_promise_l6_none_is_an_error(blocking: bool) -> None:
    """A factory that returns `None` failed, and says so."""
    async with running(Candidate(CACHE, "a", lambda: None, blocking=blocking)) as lifecycle:
        with pytest.raises(ComponentError) as caught:
            await lifecycle.activate(CACHE)
        assert caught.value.details() == {
            "ref": CACHE,
            "provider": "a",
            "phase": "create",
            "reason": "it gave None, not an instance",
        }


async def test_a_factory_may_be_async() -> None:
    """An awaitable is awaited, and what it gives is the instance."""

    async def factory(ledger: Ledger) -> Plain:
        await asyncio.sleep(0)
        return Plain(ledger, "made")

    offered = Candidate(CACHE, "a", partial(factory, Ledger()))
    async with running(offered) as lifecycle, lifecycle.use(CACHE) as held:
        assert held.work() == "made"


async def test_a_context_manager_is_entered_and_what_it_yields_serves() -> None:
    """It is left by the task that entered it, so task groups and scopes may live inside."""
    tasks: list[object] = []

    class Scope:
        async def __aenter__(self) -> str:
            tasks.append(asyncio.current_task())
            self.group = await asyncio.TaskGroup().__aenter__()
            return "inside"

        async def __aexit__(self, *failure: Any) -> None:
            await self.group.__aexit__(*failure)
            tasks.append(asyncio.current_task())

    async with running(Candidate(CACHE, "a", Scope)) as lifecycle:
        async with lifecycle.use(CACHE) as held:
            assert held == "inside"
        await lifecycle.swap(CACHE)
        assert (len(tasks), tasks[0] is tasks[2]) == (3, True)


async def test_a_context_manager_that_ended_by_itself_is_not_healthy() -> None:
    """When its background work has failed, a probe says so instead of praising what is gone."""

    fates = [Broken("background"), None]
    may_end = asyncio.Event()

    class Worker:
        async def __aenter__(self) -> str:
            self.group = await asyncio.TaskGroup().__aenter__()
            self.group.create_task(self.work(fates.pop(0)))
            return "inside"

        async def __aexit__(self, *failure: Any) -> None:
            await self.group.__aexit__(*failure)

        async def work(self, fate: Exception | None) -> None:
            await may_end.wait()
            if fate:
                raise fate

    async with running(Candidate(CACHE, "a", Worker)) as lifecycle:
        await lifecycle.activate(CACHE)
        assert (await lifecycle.probe(CACHE)).healthy
        may_end.set()
        async with asyncio.timeout(20):
            while (found := await lifecycle.probe(CACHE)).healthy:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.01)
        assert found == HealthReport(healthy=False, detail="its context manager ended by itself")
        report = await lifecycle.swap(CACHE)
        assert (report.ok, len(report.cleanup_errors)) == (True, 1)
        assert "unhandled errors in a TaskGroup" in report.cleanup_errors[0].message


@pytest.mark.parametrize("error", [Broken("enter"), SystemExit(2), asyncio.CancelledError()])
async def test_a_context_manager_that_cannot_be_entered_fails_in_init(
    error: BaseException,
) -> None:
    """Whatever it raises, the caller is told, and neither the loop nor a task is lost."""

    class Closed:
        async def __aenter__(self) -> None:
            await asyncio.sleep(0)
            raise error

        async def __aexit__(self, *failure: object) -> None:
            raise AssertionError("never entered")

    async with running(Candidate(CACHE, "a", Closed)) as lifecycle:
        with pytest.raises(ComponentError, match="failed in init"):
            await lifecycle.activate(CACHE)


async def test_a_factory_named_by_text_must_be_allowed() -> None:
    """What lies under no allowed prefix is not even imported."""
    text = Candidate(CACHE, "a", "tests.core.components:Ledger")
    async with running(text) as lifecycle:
        with pytest.raises(ForbiddenFactoryError, match=r"tests.core.components is under no"):
            await lifecycle.activate(CACHE)
    async with running(text, allowed=["tests"]) as lifecycle, lifecycle.use(CACHE) as held:
        assert type(held) is Ledger


@pytest.mark.parametrize(
    ("found", "detail"),
    [
        (True, ""),
        (HealthReport(healthy=True, detail="fine"), "fine"),
        (False, "health returned False"),
        (None, "health returned NoneType, not a bool or HealthReport"),
        (0, "health returned int, not a bool or HealthReport"),
        (HealthReport(healthy=False, detail="disk full"), "disk full"),
    ],
)
async def test_only_true_or_a_healthy_report_is_healthy(found: object, detail: str) -> None:
    """An unchecked thing is never healthy; a probe hands on what the component found."""
    answers = [True, found]

    class Checked:
        def health(self) -> object:
            return answers.pop(0)

    async with running(Candidate(CACHE, "a", Checked)) as lifecycle:
        await lifecycle.activate(CACHE)
        report = await lifecycle.probe(CACHE)
        assert (report.detail, bool(report)) == (detail, bool(found) and found is not None)


async def test_both_health_checks_must_be_content() -> None:
    """The candidate's check is asked beside the instance's own, with the instance."""
    ledger, seen = Ledger(), list[object]()

    def check(instance: Staged) -> bool:
        seen.append(instance.name)
        return "unhealthy" not in instance.fails

    fails = set[str]()
    async with running(offer(ledger, "a", partial(Staged, fails=fails), health=check)) as lifecycle:
        await lifecycle.activate(CACHE)
        assert (seen, ledger.take()) == (["a"], ["a create", "a init", "a health"])


# -- what status tells --------------------------------------------------------------------------


async def test_status_tells_state_provider_generation_and_holds() -> None:
    """From inactive over activating to ready; each number as it stands."""
    ledger, go_on = Ledger(), asyncio.Event()

    class Slow(Plain):
        async def init(self) -> None:
            await go_on.wait()

    async with running(offer(ledger, "a", Slow)) as lifecycle:
        states = [lifecycle.status(CACHE).state]
        activating = asyncio.create_task(lifecycle.activate(CACHE))
        await until(lambda: ledger.made)
        states.append(lifecycle.status(CACHE).state)
        go_on.set()
        inside = await activating
        states.append(lifecycle.status(CACHE).state)
        assert states == [
            LifecycleState.INACTIVE,
            LifecycleState.ACTIVATING,
            LifecycleState.READY,
        ]
        assert inside.as_json() == {
            "ref": CACHE,
            "state": "ready",
            "provider": "a",
            "generation": 1,
            "in_flight": 1,
            "activity": {"state": "active", "note": "", "actor": "", "since": None},
            "problem": "",
            "swaps": {"count": 0, "p50_ms": 0.0, "p95_ms": 0.0, "p99_ms": 0.0},
            "failed_swaps": 0,
            "forced_drains": 0,
        }


async def test_an_unknown_selection_is_told_and_brings_nothing_up() -> None:
    """`swap` to a provider that nobody offers changes nothing."""
    async with running(offer(Ledger(), "memory")) as lifecycle:
        report = await lifecycle.swap(CACHE, provider="memry")
        assert isinstance(report.error, UnknownSelectionError)
        assert (report.error.hint, report.failed_phase) == ("did you mean memory?", "resolve")
        assert lifecycle.status(CACHE).state is LifecycleState.FAILED
