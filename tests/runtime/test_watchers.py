"""A running program follows its configuration file: nothing is lost, nothing wrong is taken."""

import asyncio
import logging
from pathlib import Path

import pytest

from oneiric.backoff import Backoff
from oneiric.core.activity import Activity
from oneiric.runtime.watchers import (
    SelectionWatcher,
)
from oneiric.stores.activity import DomainActivityStore
from tests.runtime.pens import (
    LAMP,
    PEN,
    QUICK,
    Crowd,
    Dry,
    Pen,
    events,
    followed,
    following,
    forget,
    ink_of,
    opened,
    save,
    select,
    serves,
    so_many,
    until,
)


@pytest.fixture(autouse=True)
def anew() -> None:
    """Forget what earlier tests made."""
    forget()


# -- following ----------------------------------------------------------------------------


async def test_a_selection_is_followed_whenever_it_is_added_changed_or_taken_away(
    tmp_path: Path,
) -> None:
    """The file may not even have been there; a selection taken away is really gone."""
    async with followed(tmp_path) as (runtime, watcher):
        assert serves(runtime, "quill")()
        for provider in ("biro", "quill", "biro"):
            select(tmp_path, provider)
            await until(serves(runtime, provider))
        save(tmp_path, "")
        await until(serves(runtime, "quill"))

        assert dict(runtime.resolver.rules.configured) == {}
        assert (watcher.problem, watcher.status().file) == (None, str(tmp_path / "oneiric.toml"))


async def test_a_stack_order_is_followed(tmp_path: Path) -> None:
    """It changes the winner of a place, which is swapped; another place is left alone."""
    async with followed(tmp_path, up=(PEN, LAMP)) as (runtime, _):
        save(tmp_path, "[resolver]\nstack_order = 'base,site'\n")
        await until(serves(runtime, "biro"))
        save(tmp_path, "")
        await until(serves(runtime, "quill"))

        assert runtime.lifecycle.status(LAMP).generation == 1


async def test_settings_of_a_provider_are_followed_by_what_they_are_for(tmp_path: Path) -> None:
    """A new instance has them; a table that says the same in another way swaps nothing."""
    async with followed(tmp_path) as (runtime, _):
        save(tmp_path, "[adapters.provider_settings.quill]\nink = 'red'\n")
        await until(lambda: runtime.lifecycle.status(PEN).generation == 2)
        assert await ink_of(runtime) == "red"

        save(tmp_path, "[adapters.provider_settings.'pen@quill']\nink = 'red'\n")
        await until(lambda: "pen@quill" in str(runtime.config.filed("adapters")))
        save(tmp_path, "[adapters.provider_settings.'pen@quill']\nink = 'green'\n")
        await until(lambda: runtime.lifecycle.status(PEN).generation == 3)
        assert await ink_of(runtime) == "green"


async def test_what_is_not_up_is_not_brought_up(tmp_path: Path) -> None:
    """It has the new configuration when it first comes up."""
    async with followed(tmp_path, up=()) as (runtime, _):
        save(
            tmp_path,
            "[adapters.selections]\npen = 'biro'\n[adapters.provider_settings.biro]\nink = 'red'\n",
        )
        await until(lambda: runtime.config.file is not None)

        assert Pen.made == []
        assert (await ink_of(runtime), serves(runtime, "biro")()) == ("red", True)


async def test_two_quick_changes_end_in_the_last(tmp_path: Path) -> None:
    """Even while the swap for the first is still held up by who uses the old one."""
    async with followed(tmp_path) as (runtime, _):
        async with runtime.lifecycle.use(PEN):
            select(tmp_path, "biro")
            await until(lambda: runtime.resolver.resolve(PEN).provider == "biro")
            save(tmp_path, "[adapters.provider_settings.quill]\nink = 'red'\n")
            await until(lambda: runtime.resolver.resolve(PEN).provider == "quill")
        await until(serves(runtime, "quill"))
        await until(lambda: not runtime.reloads.outdated)

        assert await ink_of(runtime) == "red"


@pytest.mark.parametrize("stored", [True, False])
async def test_promise_r9_a_swap_ends_when_the_file_changes_that_ref(
    stored: bool, tmp_path: Path
) -> None:
    """Not when it changes another, and it does not come back when the file changes back."""
    async with followed(tmp_path, up=(PEN, LAMP)) as (runtime, _):
        if stored:
            await runtime.swap(PEN, provider="biro")
        else:
            await runtime.lifecycle.swap(PEN, provider="biro")
        save(tmp_path, "[adapters.selections]\nlamp = 'led'\n")
        await until(serves(runtime, "led", LAMP))
        assert serves(runtime, "biro")()

        select(tmp_path, "quill")
        await until(serves(runtime, "quill"))
        await until(lambda: not runtime.stored.kept)
        save(tmp_path, "")
        await until(serves(runtime, "oil", LAMP))
        assert runtime.resolver.resolve(PEN).provider == "quill"

    assert opened(tmp_path).resolver.resolve(PEN).provider == "quill"


async def test_promise_r9_a_file_ends_a_swap_though_a_variable_hides_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable goes on to say the same; what the file says is what a swap is held against."""
    monkeypatch.setenv("ONEIRIC_ADAPTERS__SELECTIONS__PEN", "quill")
    async with followed(tmp_path) as (runtime, _):
        await runtime.swap(PEN, provider="biro")
        select(tmp_path, "dry")
        await until(serves(runtime, "quill"))

        assert runtime.resolver.resolve(PEN).provider == "quill"


async def test_promise_l3_no_call_fails_while_the_file_is_saved_again_and_again(
    tmp_path: Path,
) -> None:
    """32 busy tasks and 4 busy threads, renames and rewrites: 0 failures, each use alive."""
    async with followed(tmp_path) as (runtime, _), asyncio.TaskGroup() as group:
        crowd = Crowd(runtime)
        for _ in range(32):
            group.create_task(crowd.task())
        for _ in range(4):
            group.create_task(asyncio.to_thread(crowd.thread))
        try:
            for number in range(20):
                provider = ("biro", "quill")[number % 2]
                text = f"[adapters.selections]\npen = '{provider}'\n"
                text += f"[adapters.provider_settings.{provider}]\nink = 'ink{number}'\n"
                if number % 3:
                    save(tmp_path, text)
                else:
                    (tmp_path / "oneiric.toml").write_text(QUICK + text)
                await until(crowd.wrote(f"ink{number}"))
        finally:
            crowd.stop.set()

    assert crowd.failures == []


async def test_a_reload_tells_who_has_to_follow(tmp_path: Path) -> None:
    """Places that are up and concerned, and no others; without a watcher nobody is swapped."""
    async with opened(tmp_path) as runtime:
        for ref in (PEN, LAMP):
            await runtime.lifecycle.activate(ref)
        select(tmp_path, "biro")

        assert runtime.reload(opened(tmp_path).config) == (PEN,)
        assert runtime.reload(opened(tmp_path).config) == ()
        assert (runtime.resolver.resolve(PEN).provider, serves(runtime, "quill")()) == (
            "biro",
            True,
        )
        assert list(runtime.reloads.outdated) == [PEN]


# -- what is wrong ------------------------------------------------------------------------


async def test_defect_oneiric_w1_an_invalid_save_ends_no_watcher(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good configuration holds, every problem is told, and the next good one counts."""
    select(tmp_path, "biro")
    async with followed(tmp_path) as (runtime, watcher):
        save(
            tmp_path,
            "[adapters.selections]\npen = 'quill'\n[adapter]\n[lifecycle]\ndrain_timout = 1\n"
            "[adapters.provider_settings.biro]\nwidth = 'wide'\n",
        )
        await until(lambda: watcher.problem)
        problems = watcher.status().as_json()["error"]
        assert serves(runtime, "biro")()
        assert runtime.resolver.resolve(PEN).provider == "biro"

        for count, broken in enumerate(("[", "a = 1\na = 2\n"), start=2):
            save(tmp_path, broken)
            await until(so_many(caplog, "config-rejected", count))
        select(tmp_path, "quill")
        await until(serves(runtime, "quill"))
        assert (watcher.problem, watcher.status().error) == (None, None)

    assert isinstance(problems, dict)
    assert [each["key"] for each in problems["details"]["problems"]] == [
        "adapter",
        "lifecycle.drain_timout",
        "adapters.provider_settings.biro.width",
    ]
    assert len(events(caplog, "config-rejected")[0]["problems"]) == 3


async def test_settings_that_are_wrong_for_a_provider_are_refused_whole(tmp_path: Path) -> None:
    """Nothing else of that file counts, though its sections alone are right."""
    async with followed(tmp_path) as (runtime, watcher):
        save(
            tmp_path,
            "[adapters.selections]\npen = 'biro'\n"
            "[adapters.provider_settings.biro]\nwidth = 'wide'\n",
        )
        await until(lambda: watcher.problem)

        assert watcher.problem is not None
        assert "adapters.provider_settings.biro.width" in str(watcher.problem)
        assert runtime.resolver.resolve(PEN).provider == "quill"


@pytest.mark.parametrize("named", [True, False])
async def test_a_file_that_goes_changes_nothing_and_is_told(named: bool, tmp_path: Path) -> None:
    """Nor one that becomes a folder; when it is back, it counts again."""
    path = tmp_path / "oneiric.toml"
    select(tmp_path, "biro")
    async with followed(tmp_path, path=path if named else None) as (runtime, watcher):
        path.unlink()
        await until(lambda: watcher.problem)
        assert str(path) in str(watcher.problem)
        path.mkdir()
        await until(lambda: "regular" in str(watcher.problem))
        assert runtime.resolver.resolve(PEN).provider == "biro"
        path.rmdir()
        select(tmp_path, "quill")
        await until(serves(runtime, "quill"))

        assert watcher.problem is None


# -- what cannot follow at once -----------------------------------------------------------


@pytest.mark.parametrize("verb", ["pause", "drain"])
@pytest.mark.parametrize("elsewhere", [True, False])
async def test_defect_oneiric_w3_a_change_waits_for_what_takes_no_work(
    verb: str, elsewhere: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is made when the component takes work again, whichever process said so."""
    caplog.set_level(logging.INFO, "oneiric.config")
    async with followed(tmp_path) as (runtime, watcher):
        await getattr(runtime, verb)(PEN)
        select(tmp_path, "biro")
        await until(lambda: watcher.status().deferred == (PEN,))
        assert serves(runtime, "quill")()

        if elsewhere:
            store = DomainActivityStore(runtime.paths.activity)
            await asyncio.to_thread(store.set, PEN, Activity())
        else:
            await runtime.resume(PEN)
        await until(serves(runtime, "biro"))
        await until(lambda: watcher.status().deferred == ())

    assert [each["key"] for each in events(caplog, "change-deferred")] == ["pen"]


async def test_defect_oneiric_w3_a_swap_that_failed_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The old one serves meanwhile; why it failed is told until the new one is up."""
    async with followed(tmp_path) as (runtime, watcher):
        select(tmp_path, "dry")
        await until(lambda: Dry.tries >= 2)
        assert serves(runtime, "quill")()
        assert [ref for ref, _ in watcher.status().failed] == [PEN]
        Dry.filled = True
        await until(serves(runtime, "dry"))
        await until(lambda: not watcher.status().failed)

    told = events(caplog, "change-retried")
    assert [each["attempt"] for each in told] == list(range(1, len(told) + 1))
    assert "no ink" in told[0]["reason"]


async def test_who_is_quarantined_follows_when_that_ends(tmp_path: Path) -> None:
    """Who stands in meanwhile is not made anew, and the change is not forgotten."""
    text = "[lifecycle]\nquarantine_after = 1\nquarantine_seconds = 0.5\n"
    save(tmp_path, text)
    async with followed(tmp_path) as (runtime, watcher):
        save(tmp_path, f"{text}[adapters.selections]\npen = 'dry'\n")
        await until(lambda: watcher.status().failed)
        await until(lambda: runtime.resolver.explain(PEN).winner is not None)
        assert runtime.resolver.resolve(PEN).provider == "quill"
        assert serves(runtime, "quill")()
        Dry.filled = True
        await until(serves(runtime, "dry"))
        await until(lambda: not runtime.reloads.outdated)

        assert watcher.status().failed == ()
        assert Pen.made.count("Pen") == 1


async def test_a_failed_swap_is_given_up_when_the_file_changes_back(tmp_path: Path) -> None:
    """Nothing is made anew, for the one that serves is the one that is wanted."""
    async with followed(tmp_path) as (runtime, watcher):
        select(tmp_path, "dry")
        await until(lambda: watcher.status().failed)
        save(tmp_path, "")
        await until(lambda: not runtime.reloads.outdated)

        assert watcher.status().failed == ()
        assert (runtime.lifecycle.status(PEN).generation, Pen.made.count("Pen")) == (1, 1)


async def test_a_new_save_is_tried_at_once_however_long_the_wait_was(tmp_path: Path) -> None:
    """The wait after a failure is for the file that failed, not for the next."""
    async with opened(tmp_path) as runtime:
        slow = SelectionWatcher(runtime, retry=Backoff(base_seconds=3600, max_seconds=3600))
        async with following(slow):
            await runtime.lifecycle.activate(PEN)
            select(tmp_path, "dry")
            await until(lambda: slow.status().failed)
            select(tmp_path, "biro")
            await until(serves(runtime, "biro"))


async def test_what_a_reload_cannot_change_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Sections that count after a restart."""
    caplog.set_level(logging.INFO, "oneiric.config")
    save(tmp_path, "")
    async with followed(tmp_path, up=(PEN,)) as (runtime, watcher):
        save(tmp_path, "[worker]\nconcurrency = 9\n")
        await until(lambda: events(caplog, "config-reloaded"))

        assert watcher.status().awaiting_restart == ("worker",)
        assert events(caplog, "config-reloaded")[-1]["awaiting_restart"] == ["worker"]
        save(tmp_path, "")
        await until(lambda: not watcher.status().awaiting_restart)
        assert runtime.lifecycle.status(PEN).generation == 1


async def test_defect_an_offer_that_serves_who_names_it_follows_the_file(tmp_path: Path) -> None:
    """It is made anew with its own settings, and what serves its place is left as it is."""
    save(tmp_path, "")
    async with followed(tmp_path, up=(PEN, f"{PEN}@biro")) as (runtime, watcher):
        before = runtime.lifecycle.status(PEN)
        save(tmp_path, "[adapters.provider_settings.biro]\nink = 'red'\n")

        async def ink() -> str:
            async with runtime.lifecycle.use(PEN, provider="biro") as pen:
                return str(await pen.write())

        await until(lambda: runtime.lifecycle.status(f"{PEN}@biro").generation > 2)
        await until(lambda: not runtime.reloads.outdated)
        after = runtime.lifecycle.status(PEN)

        assert (await ink(), watcher.status().awaiting_restart) == ("red", ())
        assert (after.provider, after.generation) == (before.provider, before.generation)
