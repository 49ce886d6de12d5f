"""The demonstration's parts: its offers, its load, and a story that is only ok if all held."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.handle import Handle
from oneiric.core.lifecycle import LifecycleManager
from oneiric.core.ref import ComponentRef
from oneiric.core.resolver import Resolver
from oneiric.demo import StoryReport, open_runtime, tell_story
from oneiric.demo.faults import SickeningCache, UnreachableCache
from oneiric.demo.load import Load, words_in
from oneiric.demo.main import run
from oneiric.demo.narrators import PlainNarrator, SilentNarrator
from oneiric.demo.plugin import PLUGIN
from oneiric.domains.events import Event
from oneiric.errors import InvalidError
from oneiric.ports.cache import CacheValue
from oneiric.ports.errors import UnavailableError
from oneiric.runtime import RuntimeOrchestrator
from tests.core.components import until

WORK = {
    "service:status": "report",
    "service:payment": "charge",
    "service:notification": "send",
    "task:demo-words": "run",
    "task:demo-pause": "run",
    "task:demo-say": "run",
    "event:order-created": "handle",
    "workflow:word-report": "run",
}


def opened(folder: Path) -> RuntimeOrchestrator:
    return RuntimeOrchestrator.open(folder=folder, plugins=(PLUGIN,))


def test_every_place_of_the_demo_has_two_offers_and_a_clear_winner() -> None:
    """So each can be listed, explained and swapped; no two are tied."""
    offers: dict[str, list[Candidate]] = {}
    for candidate in PLUGIN.candidates:
        offers.setdefault(candidate.ref, []).append(candidate)

    assert set(offers) == set(WORK)
    priorities = {tuple(offer.priority for offer in pair) for pair in offers.values()}
    assert priorities == {(20, 10)}


@pytest.mark.parametrize("offer", [str(each.offer) for each in PLUGIN.candidates])
async def test_every_offer_of_the_demo_comes_up_and_works(offer: str, tmp_path: Path) -> None:
    """None is a dummy: each does what its place promises."""
    ref: ComponentRef[Any] = ComponentRef(offer)
    async with opened(tmp_path) as runtime:
        handle: Handle[Any] = runtime.lifecycle.use(ref)
        async with handle as component:
            assert hasattr(component, WORK[ref.place])


async def test_the_demos_components_do_their_work(tmp_path: Path) -> None:
    """Payments are made once, messages kept, words counted, and the report follows a swap."""
    async with opened(tmp_path) as runtime:

        def use(offer: str) -> Handle[Any]:
            return runtime.lifecycle.use(ComponentRef[Any](offer))

        async with use("service:payment") as payment:
            first = await payment.charge("o-1", 500)
            assert first == await payment.charge("o-1", 500)
            with pytest.raises(ValueError, match="more than 0 cents"):
                await payment.charge("o-2", 0)
        async with use("service:notification@digest") as digest:
            assert [await digest.send("a"), await digest.send("a"), await digest.send("b")] == [
                1,
                1,
                2,
            ]
        async with use("event:order-created") as handler:
            event = Event(id="1", type="order.created")
            assert [await handler.handle(event), await handler.handle(event)] == [1, 2]
        async with use("workflow:word-report") as report:
            assert await report.run({"text": "to be or not to be"}) == "6 words"
            await runtime.lifecycle.swap("task:demo-words", provider="distinct")
            assert await report.run({"text": "to be or not to be"}) == "4 words"
        async with use("workflow:word-report@loud") as loud:
            assert await loud.run({"text": "a"}) == "1 WORDS"


async def test_the_bad_caches_are_bad_as_announced() -> None:
    """One cannot come up; one is healthy once and then no more."""
    with pytest.raises(UnavailableError, match="nobody listens"):
        await UnreachableCache().init()
    sickening = SickeningCache()
    assert [await sickening.health(), await sickening.health()] == [True, False]


class Forgetful(SickeningCache):
    async def health(self) -> bool:
        return True

    async def get(self, key: str, default: object = None) -> None:
        del key, default


async def test_the_load_notices_a_cache_that_does_not_give_back_what_it_got() -> None:
    """Each call compares; a wrong answer is a failure that names the provider."""
    resolver = Resolver()
    resolver.register(Candidate("adapter:cache", "forgetful", Forgetful))
    lifecycle = LifecycleManager(resolver)
    load = Load(lifecycle, ["word"], callers=2)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        await asyncio.sleep(0.05)
        load.stop()

    assert set(load.calls) == {"forgetful"}
    assert load.failures[0] == "forgetful gave None for caller-0:word, not ['word', 0]"
    await lifecycle.close()


class Picky(SickeningCache):
    async def health(self) -> bool:
        return True

    async def set(self, key: str, value: CacheValue, *, ttl: float | None = None) -> None:
        if value == ["word", 0]:
            raise ValueError("too soon")
        await super().set(key, value, ttl=ttl)


async def test_the_load_counts_a_call_that_fails_and_goes_on() -> None:
    """What a cache raises is a failure in words, and no end of the callers."""
    resolver = Resolver()
    resolver.register(Candidate("adapter:cache", "picky", Picky))
    lifecycle = LifecycleManager(resolver)
    load = Load(lifecycle, ["word"], callers=2)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run())
        await until(lambda: load.calls)
        load.stop()

    assert sorted(load.failures) == [
        f"a call for caller-{number}:word failed: ValueError: too soon" for number in (0, 1)
    ]
    await lifecycle.close()


def test_words_come_from_every_page_in_order(tmp_path: Path) -> None:
    """Pages below folders too; code marks and single letters are no words."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.md").write_text("# Two `words`!")
    (tmp_path / "sub" / "c.md").write_text("a last")
    (tmp_path / "x.txt").write_text("not read")

    assert words_in(tmp_path) == ["Two", "words", "last"]


def test_a_story_without_words_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An empty folder is invalid input, told as any other error."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidError, match="holds no words"):
        asyncio.run(tell_story(open_runtime(), SilentNarrator(), texts=tmp_path))
    assert run(texts=tmp_path) == 2
    assert capsys.readouterr().err.startswith("error[invalid]: ")


async def test_the_story_does_not_start_from_swaps_that_were_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that `oneiric swap` selected, and that needs a server, stops nothing."""
    monkeypatch.chdir(tmp_path)
    async with RuntimeOrchestrator.open(folder=tmp_path) as runtime:
        runtime.stored.remember("adapter:cache", provider="redis")
        assert runtime.stored.problem is None

    async with open_runtime() as runtime:
        assert [kept.provider for kept in runtime.stored.kept.values()] == ["redis"]
        assert runtime.resolver.resolve("adapter:cache").provider == "memory"


def test_a_report_of_nothing_is_not_ok() -> None:
    """Ok needs calls, swaps and faults survived; silence is no proof."""
    assert StoryReport().ok is False
    assert StoryReport().as_json()["schema"] == "oneiric.demo/1"


def test_the_plain_narrator_prints_each_line_as_it_comes() -> None:
    """Nothing is held back, nothing is added."""
    said: list[str] = []
    narrator = PlainNarrator(said.append)
    narrator.say("one")
    narrator.say("two\nlines")

    assert said == ["one", "two\nlines"]
