"""A supervisor survives whatever comes, tells who listens, and keeps to its data."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oneiric.config import load_config
from oneiric.core.activity import Activity, ActivityState
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.settings import SECTIONS, ServicePolicy, SupervisorSettings
from oneiric.runtime.supervision import Restarts, ServiceNotice, ServiceState
from oneiric.stores.activity import DomainActivityStore
from tests.runtime.pens import events
from tests.runtime.supervised import (
    MILL,
    POLL,
    QUICK,
    SHOP,
    Bench,
    policy,
    real,
    supervised,
    supervising,
)

# -- the loop -------------------------------------------------------------------------------


async def test_defect_oneiric_a2_no_error_ends_the_loop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged once, told by the status, and gone with its cause."""
    async with supervised(tmp_path, text=QUICK) as bench:
        registry = type(bench.runtime.resolver.registry)
        with monkeypatch.context() as broken:
            broken.setattr(registry, "refs", lambda *_: 1 / 0)
            await bench.later(10)
        problem = bench.supervisor.problem
        assert problem == "ZeroDivisionError: division by zero"
        assert len(events(caplog, "supervisor-failed")) == 1
        bench.crash()
        await bench.until(bench.has_made("steam", 2))
        assert (bench.supervisor.problem, bench.supervisor.status().ok) == ("", True)


@pytest.mark.parametrize("how", ["locked", "broken"])
async def test_defect_oneiric_a2_a_database_that_cannot_be_read_stops_no_supervisor(
    how: str, tmp_path: Path
) -> None:
    """What was last known holds, what crashes is restarted, and all recovers by itself."""
    pace = policy(poll_interval=0.02, probe_interval=0.02, unhealthy_after=1, backoff_seconds=0.01)
    text = f"{pace}[activity]\npoll_interval = 0.02\n"
    bench = Bench(tmp_path, text=text, offers=())
    runtime = RuntimeOrchestrator(bench.runtime.config)
    for name in ("mill@steam", "shop@oak"):
        runtime.resolver.register(bench.offer(name))
    path = runtime.paths.activity
    DomainActivityStore(path).set(SHOP, Activity(ActivityState.PAUSED))
    async with runtime, asyncio.TaskGroup() as group:
        running = group.create_task(runtime.supervisor.run())
        await real(bench.has_made("steam", 1))
        good = path.read_bytes()
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            if how == "locked":
                holder.execute("BEGIN EXCLUSIVE")
            else:
                path.write_bytes(b"no database" * 100)
            bench.crash()
            await real(bench.has_made("steam", 2))
            assert bench.faults.made["oak"] == 0
        path.write_bytes(good)
        DomainActivityStore(path).set(SHOP, Activity())
        await real(bench.has_made("oak", 1))
        running.cancel()


async def test_cancelling_it_leaves_no_task_behind_whatever_it_was_doing(tmp_path: Path) -> None:
    """A restart that hangs, a probe, a listener; and it may run again afterwards."""
    gate = asyncio.Event()
    bench = Bench(tmp_path, text=QUICK)

    async def hang(_: ServiceNotice) -> None:
        await gate.wait()

    bench.supervisor.listen(hang)
    async with bench.runtime.lifecycle:
        before = asyncio.all_tasks()
        for crash in (False, True):
            running = asyncio.create_task(bench.supervisor.run())
            await bench.settle()
            if crash:
                bench.crash()
                await bench.later(3)
            assert len(asyncio.all_tasks() - before) > 1
            running.cancel()
            await asyncio.wait({running})
            await bench.settle()
            assert asyncio.all_tasks() == before
            assert not bench.supervisor.status().running


async def test_it_runs_once_at_a_time(tmp_path: Path) -> None:
    """A second run is refused, and the first goes on."""
    async with supervised(tmp_path) as bench:
        with pytest.raises(RuntimeError):
            await bench.supervisor.run()
        assert bench.supervisor.status().running


async def test_switched_off_it_starts_nothing(tmp_path: Path) -> None:
    """`run` can be awaited all the same."""
    async with supervised(tmp_path, text=policy(enabled=False)) as bench:
        await bench.later(10)
        assert (bench.faults.made["steam"], bench.supervisor.status().enabled) == (0, False)


async def test_a_lifecycle_that_closes_under_it_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is restarted, given up or logged as an error."""
    async with supervised(tmp_path, text=QUICK) as bench:
        bench.crash()
        await bench.later(2)
        await bench.runtime.lifecycle.close()
        await bench.later(10)
        assert [each.levelname for each in caplog.records if each.levelno >= logging.ERROR] == []


# -- listeners ------------------------------------------------------------------------------


async def test_a_broken_or_slow_listener_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The others hear everything in order; sync ones are called in a thread."""
    bench = Bench(tmp_path, text=QUICK)
    heard: list[str] = []
    gate = asyncio.Event()

    def broken(_: ServiceNotice) -> None:
        raise SystemExit

    def plain(notice: ServiceNotice) -> None:
        heard.append(str(notice.kind))

    async def slow(_: ServiceNotice) -> None:
        await gate.wait()

    for each in (broken, slow, plain):
        bench.supervisor.listen(each)
    async with supervising(bench):
        bench.crash()
        await bench.until(bench.has_made("steam", 2))
        expected = ["started", "unhealthy", "restarting", "restarted"]
        await real(lambda: heard == expected)
        assert bench.told() == expected
    assert {each["reason"] for each in events(caplog, "listener-failed")} == {"SystemExit"}


async def test_a_listener_that_takes_too_long_is_cut_short(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call has the limit of a hook; the next notice is told all the same."""
    text = QUICK.replace("[lifecycle]\n", "[lifecycle]\nhook_timeout = 0.05\n")
    bench = Bench(tmp_path, text=text)
    gate, begun = asyncio.Event(), list[str]()

    async def slow(notice: ServiceNotice) -> None:
        begun.append(str(notice.kind))
        await gate.wait()

    bench.supervisor.listen(slow)
    async with supervising(bench):
        bench.crash()
        await bench.later(1)
        await real(lambda: begun == ["started", "unhealthy"])
    assert events(caplog, "listener-failed")[0]["reason"] == "took longer than 0.05 s"


async def test_a_listener_hears_from_when_it_listens_until_it_is_removed(tmp_path: Path) -> None:
    """Not what was before, nor what comes after."""
    async with supervised(tmp_path, text=QUICK) as bench:
        heard: list[ServiceNotice] = []

        async def hear(notice: ServiceNotice) -> None:
            heard.append(notice)

        remove = bench.supervisor.listen(hear)
        bench.crash()
        await bench.later(1)
        remove()
        await bench.later(10)
        assert [each.as_json() for each in heard] == [
            {
                "kind": "unhealthy",
                "ref": MILL,
                "at": "2026-01-01T00:00:01.000000Z",
                "provider": "steam",
                "generation": 1,
                "restarts": 0,
                "reason": "it has stopped",
            }
        ]


# -- the data -------------------------------------------------------------------------------


def test_a_policy_is_the_sections_with_what_is_different_for_one_service() -> None:
    """Key by key; what a service does not set is as the section says."""
    section = SupervisorSettings.model_validate(
        {"max_restarts": 2, "probe_interval": 7, "services": {"mill": {"max_restarts": 9}}}
    )
    assert section.policy_of("shop") == ServicePolicy(max_restarts=2, probe_interval=7)
    assert section.policy_of("mill") == ServicePolicy(max_restarts=9, probe_interval=7)


def test_the_status_tells_what_is_known_before_anything_runs(tmp_path: Path) -> None:
    """Also which keys of the configuration nobody offers."""
    text = "[runtime_supervisor.services.mil]\nkeep_up = false\n"
    status = Bench(tmp_path, text=text).supervisor.status()
    assert status.as_json() == {
        "enabled": True,
        "running": False,
        "poll_interval": 0.5,
        "services": [
            {
                "ref": MILL,
                "state": "idle",
                "provider": "",
                "generation": 0,
                "keep_up": True,
                "restarts": 0,
                "max_restarts": 5,
                "window_seconds": 300.0,
                "failed_probes": 0,
                "reason": "",
                "waits_for": "",
                "next_attempt_at": None,
                "given_up": False,
            }
        ],
        "given_up": [],
        "unknown": ["mil"],
        "problem": "",
    }


@pytest.mark.parametrize(
    ("keys", "waits"),
    [
        ({}, [1, 2, 4, 8, 16]),
        ({"backoff_seconds": 3, "backoff_factor": 1}, [3, 3, 3, 3, 3]),
        ({"backoff_seconds": 10, "backoff_max_seconds": 25}, [10, 20, 25, 25, 25]),
        ({"backoff_seconds": 0}, [0, 0, 0, 0, 0]),
    ],
)
async def test_the_waits_are_as_the_data_say(
    keys: Mapping[str, object], waits: list[int], tmp_path: Path
) -> None:
    """To within a poll of the supervisor, in which it looks what is due."""
    bench = Bench(tmp_path, text=policy(**keys))
    bench.faults.of["steam"].add("start")
    async with supervising(bench):
        await bench.until(lambda: bench.stands().is_given_up)
    at = [each.at.timestamp() for each in bench.heard if each.kind == "restarting"]
    first = 1_767_225_600.0  # the clock's first moment, when the start failed
    found = [after - before for before, after in zip([first, *at], at, strict=False)]
    assert all(wait <= took <= wait + POLL for wait, took in zip(waits, found, strict=True))


@given(
    most=st.integers(0, 5),
    window=st.floats(0.1, 100),
    gaps=st.lists(st.floats(0, 60), max_size=60),
)
def test_any_window_has_at_most_so_many_restarts(
    most: int, window: float, gaps: list[float]
) -> None:
    """However the faults come."""
    restarts = Restarts(ServicePolicy(max_restarts=most, window_seconds=window))
    now, at = 0.0, list[float]()
    for gap in gaps:
        now += gap
        if restarts.delay(now) is not None:
            restarts.note(now)
            at.append(now)
    for begin in at:
        assert sum(begin <= each <= begin + window for each in at) <= most
    assert restarts.delay(now + window + 1) == (1.0 if most else None)


_DEEDS = st.sampled_from(["crash", "heal", "fail", "start", "pause", "resume", "swap"])


@settings(max_examples=40, deadline=None)
@given(deeds=st.lists(st.tuples(_DEEDS, st.integers(1, 30)), max_size=25))
async def test_the_laws_hold_whatever_happens(
    deeds: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Never too many restarts, none while paused, one instance at the end, another unharmed."""
    folder = tmp_path_factory.mktemp("laws")
    offers = (("mill@steam", 0), ("shop@oak", 0))
    async with supervised(folder, text=QUICK, offers=offers) as bench:
        at, paused = list[float](), False
        faults, lifecycle = bench.faults.of["steam"], bench.runtime.lifecycle
        for deed, looks in deeds:
            match deed:
                case "crash":
                    bench.crash()
                case "heal":
                    faults.clear()
                case "fail" | "start":
                    faults.add({"fail": "health", "start": "start"}[deed])
                case "pause" | "resume":
                    await getattr(lifecycle, deed)(MILL)
                    paused = deed == "pause"
                    at = at if paused else []  # who resumes it, forgets
                case "swap":
                    await lifecycle.swap(MILL)
            bench.heard.clear()
            await bench.later(looks * POLL)
            found = [each for each in bench.heard if each.kind == "restarting"]
            assert not (paused and found)
            at += [each.at.timestamp() for each in found]
            assert all(sum(a <= b <= a + 60 for b in at) <= 3 for a in at)
            assert bench.stands(SHOP).state is ServiceState.SERVING
        assert not bench.supervisor.problem
        assert len([each for each in bench.faults.up if each.provider == "steam"]) <= 1


# -- under load -----------------------------------------------------------------------------


async def test_callers_fail_only_while_nobody_serves(tmp_path: Path) -> None:
    """A service crashes twenty times under thirty-two callers; `use` itself never fails."""
    toml = policy(
        poll_interval=0.01,
        probe_interval=0.01,
        unhealthy_after=1,
        max_restarts=100,
        backoff_seconds=0,
    )
    bench = Bench(tmp_path, text=toml)
    runtime = RuntimeOrchestrator(load_config(SECTIONS, folder=tmp_path))
    runtime.resolver.register(bench.offer("mill@steam"))
    done, failed, stop = 0, list[BaseException](), False

    async def call() -> None:
        nonlocal done
        while not stop:
            async with runtime.lifecycle.use(MILL) as mill:
                was_well = not mill.crashed
                try:
                    done += await mill.work()
                except ConnectionError as error:
                    if was_well:
                        failed.append(error)
            await asyncio.sleep(0)

    def beyond(least: int) -> Callable[[], bool]:
        return lambda: done > least + 100

    async with runtime, asyncio.TaskGroup() as group:
        running = group.create_task(runtime.supervisor.run())
        await real(lambda: bench.faults.up)
        for _ in range(32):
            group.create_task(call())
        for crash in range(20):
            await real(beyond(done))
            bench.crash()
            await real(bench.has_made("steam", crash + 2))
        await real(beyond(done))
        stop = True
        running.cancel()
    assert failed == []
    assert runtime.supervisor.status().ok
