"""Paused and draining components take no new work, whichever way it comes, and whoever said so."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from oneiric.clock import SystemClock
from oneiric.core.activity import Activity, ActivityState
from oneiric.core.candidate import Candidate
from oneiric.core.handle import Link
from oneiric.core.plugin import Plugin
from oneiric.demo.plugin import PLUGIN
from oneiric.domains.events import Event
from oneiric.errors import NotFoundError, PausedError
from oneiric.runtime import Operator, RuntimeOrchestrator
from oneiric.stores.activity import DomainActivityStore
from tests.core.components import until


class Ink:
    """Something to hold."""


class Pen:
    """Something that needs another component for each of its calls."""

    def __init__(self, ink: Link[Ink]) -> None:
        self.ink = ink

    async def write(self) -> str:
        async with self.ink.use():
            return "written"


class Diary:
    """A handler that keeps what it was told."""

    kept: list[str] = []  # noqa: RUF012  what all instances of a test were told

    async def handle(self, event: Event) -> None:
        Diary.kept.append(event.topic)


class Stamp:
    """An action."""

    def execute(self, payload: Any) -> str:
        return f"stamped {payload}"


DESK = Plugin(
    [
        Candidate("adapter:ink", "blue", Ink, priority=1),
        Candidate("adapter:ink", "black", Ink),
        Candidate("service:pen", "quill", Pen, requires={"ink": "adapter:ink"}),
        Candidate("event:diary", "plain", Diary),
        Candidate("action:stamp", "rubber", Stamp),
    ]
)


@pytest.fixture(autouse=True)
def quick(tmp_path: Path) -> None:
    """Let processes poll often, and forget what earlier tests told."""
    (tmp_path / "oneiric.toml").write_text("[activity]\npoll_interval = 0.02\n")
    Diary.kept.clear()


def opened(folder: Path) -> RuntimeOrchestrator:
    return RuntimeOrchestrator.open(folder=folder, plugins=(DESK,))


def operator(folder: Path) -> Operator:
    return Operator(folder=folder, plugins=(DESK,))


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[RuntimeOrchestrator]:
    """Give a runtime that follows, with everything in it up."""
    async with opened(folder) as runtime:
        for ref in runtime.resolver.registry.refs():
            if ref.key in ("ink", "pen", "diary", "stamp"):
                await runtime.lifecycle.activate(ref)
        yield runtime


async def stands(runtime: RuntimeOrchestrator, ref: str, state: str) -> None:
    async with asyncio.timeout(10):
        await until(lambda: runtime.lifecycle.activity.get(ref).state == state)


def pause(folder: Path, ref: str) -> None:
    """Pause as the command does."""
    DomainActivityStore(folder / ".oneiric_cache" / "domain_activity.sqlite").set(
        ref, Activity(ActivityState.PAUSED, "audit", "ada", SystemClock().now())
    )


async def test_promise_a1_bridges_and_links_refuse_what_another_process_paused(
    tmp_path: Path,
) -> None:
    """Whoever holds a link is refused like whoever asks for the component."""
    async with running(tmp_path) as runtime:
        pause(tmp_path, "adapter:ink")
        await stands(runtime, "adapter:ink", "paused")
        with pytest.raises(PausedError, match="adapter:ink is paused by ada: audit"):
            async with runtime.bridges["adapter"].use("ink"):
                pass
        async with runtime.bridges["service"].use("pen") as pen:
            with pytest.raises(PausedError):
                await pen.write()


async def test_promise_a1_a_paused_offer_lets_the_next_best_serve(tmp_path: Path) -> None:
    """The decision says why, here and in the command that explains it."""
    async with running(tmp_path) as runtime:
        pause(tmp_path, "adapter:ink@blue")
        await stands(runtime, "adapter:ink@blue", "paused")
        decision = runtime.bridges["adapter"].explain("ink")
        assert decision.winner is not None
        assert decision.winner.provider == "black"
    told = await asyncio.to_thread(lambda: operator(tmp_path).explain("adapter:ink"))
    assert [(each.provider, each.why) for each in told.decision.standings] == [
        ("black", "the only one that may serve"),
        ("blue", "paused by ada: audit"),
    ]


async def test_promise_a1_actions_refuse_with_exit_code_3(tmp_path: Path) -> None:
    """An action of a one-shot command too: what is stored holds from the first call on."""
    pause(tmp_path, "action:stamp")
    with pytest.raises(PausedError) as caught:
        await operator(tmp_path).invoke_action("stamp", {})
    assert caught.value.exit_code == 3


async def test_promise_a1_events_wait_until_another_process_resumes(tmp_path: Path) -> None:
    """They become dead letters and are delivered, once, where the handler takes work again."""
    async with running(tmp_path) as runtime:
        pause(tmp_path, "event:diary")
        await stands(runtime, "event:diary", "paused")
        (result,) = await runtime.events.emit("order.created")
        assert (result.outcome, Diary.kept) == ("deferred", [])

        ref = runtime.events.ref("diary")
        change = await asyncio.to_thread(lambda: operator(tmp_path).resume(ref))
        assert (change.applied, change.before.note, change.takes_work) == ("stored", "audit", True)
        async with asyncio.timeout(10):
            await until(lambda: bool(Diary.kept))
        assert Diary.kept == ["order.created"]
        async with asyncio.timeout(10):
            while await runtime.events.letters():  # noqa: ASYNC110  the database tells nobody
                await asyncio.sleep(0.005)


async def test_defect_oneiric_a2_letters_that_cannot_be_read_end_no_loop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged dead letter is logged, and what comes after it is followed."""
    async with running(tmp_path) as runtime:
        pause(tmp_path, "event:diary")
        await stands(runtime, "event:diary", "paused")
        await runtime.events.emit("order.created")
        with closing(sqlite3.connect(runtime.paths.database)) as database, database:
            database.execute("UPDATE dead_letters SET event = '{'")

        desk = operator(tmp_path)
        await asyncio.to_thread(lambda: desk.resume(desk.ref("event:diary")))
        async with asyncio.timeout(10):
            await until(lambda: any("replay-failed" in each for each in caplog.messages))
        pause(tmp_path, "adapter:ink")
        await stands(runtime, "adapter:ink", "paused")


async def test_promise_a1_events_are_delivered_by_the_orchestrators_own_resume(
    tmp_path: Path,
) -> None:
    """By whichever of its verbs."""
    async with running(tmp_path) as runtime:
        for verb in (runtime.resume, lambda ref: runtime.events.resume(ref.partition(":")[2])):
            await runtime.pause("event:diary")
            await runtime.events.emit("order.created")
            await verb("event:diary")
        assert Diary.kept == ["order.created"] * 2
        assert await runtime.events.letters() == []


async def test_promise_a2_verbs_of_bridges_and_orchestrator_are_stored(tmp_path: Path) -> None:
    """The next process knows who paused what, and why."""
    async with running(tmp_path) as runtime:
        await runtime.pause("adapter:ink", note="audit", actor="ada")
        await runtime.bridges["service"].pause("pen", note="dry", actor="bob")
        report = await runtime.bridges["action"].drain("stamp", actor="cy")
        assert report.in_flight == 0
        await runtime.bridges["event"].pause("diary")
        await runtime.bridges["event"].resume("diary")
        with pytest.raises(NotFoundError):
            await runtime.bridges["service"].pause("pn")
    async with opened(tmp_path) as later:
        found = {ref: str(each) for ref, each in later.lifecycle.activity.snapshot().items()}
    assert found == {
        "action:stamp": "draining by cy",
        "adapter:ink": "paused by ada: audit",
        "service:pen": "paused by bob: dry",
    }


async def test_defect_oneiric_a1_a_pause_holds_at_once_in_its_own_process(tmp_path: Path) -> None:
    """No poll decides: the very next call is refused."""
    async with running(tmp_path) as runtime:
        await runtime.pause("adapter:ink")
        with pytest.raises(PausedError):
            async with runtime.lifecycle.use("adapter:ink"):
                pass


@pytest.mark.parametrize("by", ["setting", "variable"])
def test_the_store_may_lie_elsewhere(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from the working folder, or absolute."""
    if by == "variable":
        monkeypatch.setenv("ONEIRIC_ACTIVITY_STORE", str(tmp_path / "elsewhere" / "a.sqlite"))
    else:
        (tmp_path / "oneiric.toml").write_text("[activity]\nstore = 'elsewhere/a.sqlite'\n")
    desk = operator(tmp_path)
    desk.pause(desk.ref("adapter:ink"))
    assert (tmp_path / "elsewhere" / "a.sqlite").exists()
    assert not (tmp_path / ".oneiric_cache").exists()


async def test_leaving_ends_the_following(tmp_path: Path) -> None:
    """Even when something went wrong inside, and without a word when nothing did."""
    before = asyncio.all_tasks()
    runtime = opened(tmp_path)

    async def fail() -> None:
        async with runtime:
            assert len(asyncio.all_tasks() - before) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await runtime.stop()
    assert asyncio.all_tasks() == before


async def test_a_drain_waits_for_work_that_holds_no_component(tmp_path: Path) -> None:
    """Such as the runs of a workflow: it names them after its limit, and ends with the last."""
    left = ["run r-1"]
    async with RuntimeOrchestrator.open(folder=tmp_path, plugins=(PLUGIN,)) as runtime:
        runtime.activity.work = lambda _ref: tuple(left)
        report = await runtime.drain("workflow:word-report", limit=0.1)
        assert (report.in_flight, report.holders) == (1, ("run r-1",))

        asyncio.get_running_loop().call_later(0.05, left.clear)
        report = await runtime.drain("workflow:word-report", limit=30)
        assert (report.in_flight, report.holders) == (0, ())
