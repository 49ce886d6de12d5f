"""The composition root: everything from one configuration, and nothing written unasked."""

import asyncio
import os
from pathlib import Path

import pytest

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.errors import ConfigError, StoreError
from oneiric.runtime import RuntimeOrchestrator
from oneiric.stores.selections import StoredSelection


class Tool:
    closed = 0

    async def cleanup(self) -> None:
        Tool.closed += 1


class Broken:
    async def init(self) -> None:
        raise OSError("no ink")


PENS = Plugin(
    [
        Candidate("adapter:pen", "quill", Tool, priority=1),
        Candidate("adapter:pen", "biro", Tool),
        Candidate("adapter:pen", "dry", Broken, priority=-1),
    ]
)


def opened(folder: Path) -> RuntimeOrchestrator:
    return RuntimeOrchestrator.open(folder=folder, plugins=(PENS,))


def pen_of(runtime: RuntimeOrchestrator) -> str:
    return runtime.resolver.resolve("adapter:pen").provider


def configure(folder: Path, provider: str) -> None:
    (folder / "oneiric.toml").write_text(f"[adapters.selections]\npen = '{provider}'\n")


def stored(folder: Path) -> dict[str, StoredSelection]:
    return dict(opened(folder).stored.kept)


async def test_opening_and_using_writes_nothing(tmp_path: Path) -> None:
    """Only a swap leaves a file behind."""
    async with opened(tmp_path) as runtime, runtime.lifecycle.use("adapter:pen"):
        pass

    assert os.listdir(tmp_path) == []  # noqa: PTH208


async def test_relative_paths_of_settings_start_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the configuration lies; only `.oneiric_cache` is kept beside that."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    (home / "oneiric.toml").write_text(
        "[adapters.provider_settings.local]\nbase_path = 'objects'\n"
    )
    monkeypatch.chdir(here)

    async with opened(home) as runtime, runtime.lifecycle.use("adapter:storage@local"):
        assert runtime.paths.root == home / ".oneiric_cache"

    assert (os.listdir(here), os.listdir(home)) == (["objects"], ["oneiric.toml"])  # noqa: PTH208


async def test_leaving_closes_every_component(tmp_path: Path) -> None:
    """What came up is cleaned up once, at the end of the block."""
    Tool.closed = 0

    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate("adapter:pen")
        assert Tool.closed == 0

    assert Tool.closed == 1


async def test_every_domain_has_its_bridge(tmp_path: Path) -> None:
    """The bridges are keyed by domain and share the one lifecycle."""
    async with opened(tmp_path) as runtime:
        assert list(runtime.bridges) == [
            "adapter",
            "service",
            "task",
            "event",
            "workflow",
            "action",
        ]
        async with runtime.bridges["adapter"].use("pen") as pen:
            assert isinstance(pen, Tool)
            assert runtime.lifecycle.in_flight("adapter:pen") == 1


async def test_promise_r9_a_swap_is_stored_only_when_it_held(tmp_path: Path) -> None:
    """A good swap outlives the process; one that failed leaves the selection as it was."""
    async with opened(tmp_path) as runtime:
        good = await runtime.swap("adapter:pen", provider="biro", actor="me")
        bad = await runtime.swap("adapter:pen", provider="dry")
        assert (good.ok, bad.ok, pen_of(runtime)) == (True, False, "biro")

    assert pen_of(opened(tmp_path)) == "biro"
    assert {(each.provider, each.actor) for each in stored(tmp_path).values()} == {("biro", "me")}


async def test_defect_swaps_at_the_same_time_store_who_serves(tmp_path: Path) -> None:
    """Whichever comes last, the next process begins with it."""
    told = []
    async with opened(tmp_path) as runtime:
        for _ in range(30):
            asked = [{"provider": "biro"}, {"provider": "quill"}, {"clear": True}] * 2
            await asyncio.gather(*(runtime.swap("adapter:pen", **each) for each in asked))  # type: ignore[arg-type]
            chosen = runtime.resolver.rules.swapped.get("adapter:pen")
            kept = stored(tmp_path).get("adapter:pen")
            told.append((chosen and chosen.provider) == (kept and kept.provider))

    assert all(told)


async def test_defect_swaps_of_two_places_at_the_same_time_are_both_kept(tmp_path: Path) -> None:
    """What one stores does not undo what the other has."""
    async with opened(tmp_path) as runtime:
        for _ in range(30):
            await asyncio.gather(
                runtime.swap("adapter:pen", provider="biro"),
                runtime.swap("adapter:cache", provider="memory"),
            )
            assert sorted(runtime.stored.kept) == ["adapter:cache", "adapter:pen"]
            await asyncio.gather(
                runtime.swap("adapter:pen", clear=True), runtime.swap("adapter:cache", clear=True)
            )
            assert runtime.stored.kept == {}


async def test_promise_r9_clearing_a_swap_ends_it_for_good(tmp_path: Path) -> None:
    """After `clear` the configuration counts again, here and in the next process."""
    configure(tmp_path, "quill")
    async with opened(tmp_path) as runtime:
        await runtime.swap("adapter:pen", provider="biro")
        await runtime.swap("adapter:pen", clear=True)
        assert pen_of(runtime) == "quill"

    assert pen_of(opened(tmp_path)) == "quill"
    assert stored(tmp_path) == {}


async def test_promise_r9_a_rollback_is_stored_like_a_swap(tmp_path: Path) -> None:
    """A restart brings back who was rolled back to, not who was rolled back."""
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate("adapter:pen")
        await runtime.swap("adapter:pen@biro")
        report = await runtime.rollback("adapter:pen", actor="tests")

    assert report.ok
    assert pen_of(opened(tmp_path)) == "quill"
    assert {ref: (each.provider, each.actor) for ref, each in stored(tmp_path).items()} == {
        "adapter:pen": ("quill", "tests")
    }


def test_defect_oneiric_c5_settings_for_nobody_are_told(tmp_path: Path) -> None:
    """Settings under a name that no provider has are shown with file, line and near spelling."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.memry]\nmax_entries = 1\n"
        '[adapters.provider_settings."pen@quill"]\nink = 1\n'
    )

    assert opened(tmp_path).warnings() == [
        "adapters.provider_settings.memry (oneiric.toml:1): no such provider; did you mean memory?"
    ]


async def test_promise_r9_explain_shows_the_swap_and_what_it_outranks(tmp_path: Path) -> None:
    """The decision names both choices, each with where it was made."""
    configure(tmp_path, "quill")
    async with opened(tmp_path) as runtime:
        await runtime.swap("adapter:pen", provider="biro", actor="me")

    decision = opened(tmp_path).resolver.explain("adapter:pen")

    assert decision.selection is not None
    assert decision.selection.provider == "biro"
    assert decision.selection.origin.startswith("swap at ")
    assert decision.selection.origin.endswith("Z by me")
    assert decision.overridden is not None
    assert (decision.overridden.provider, decision.overridden.origin) == ("quill", "oneiric.toml:2")


@pytest.mark.parametrize(
    ("before", "after", "serves"),
    [
        ("quill", "dry", "dry"),
        ("", "quill", "quill"),
        ("quill", "", "quill"),
        ("quill", "quill", "biro"),
        ("", "", "biro"),
    ],
)
async def test_promise_r9_a_swap_ends_when_the_file_changes_that_ref(
    before: str, after: str, serves: str, tmp_path: Path
) -> None:
    """A selection added, changed or taken away ends the swap; one that stays does not."""
    if before:
        configure(tmp_path, before)
    async with opened(tmp_path) as runtime:
        await runtime.swap("adapter:pen", provider="biro")
    (tmp_path / "oneiric.toml").write_text("")
    if after:
        configure(tmp_path, after)

    assert pen_of(opened(tmp_path)) == serves


async def test_promise_r9_a_swap_that_the_file_ended_is_told_and_does_not_come_back(
    tmp_path: Path,
) -> None:
    """It is kept to be told until the next swap of anything; then the file may change back."""
    configure(tmp_path, "quill")
    async with opened(tmp_path) as runtime:
        await runtime.swap("adapter:pen", provider="biro", actor="me")
    configure(tmp_path, "dry")

    ended = opened(tmp_path).stored.dormant("adapter:pen")
    async with opened(tmp_path) as runtime:
        await runtime.swap("adapter:cache", provider="memory")
        assert runtime.stored.dormant("adapter:pen") is None
    configure(tmp_path, "quill")

    assert ended is not None
    assert (ended.ended, ended.why) == (
        True,
        "it has ended: the file selected quill then, and dry now",
    )
    assert pen_of(opened(tmp_path)) == "quill"
    assert set(stored(tmp_path)) == {"adapter:cache"}


async def test_a_swap_that_ended_counts_again_if_the_file_changes_back_at_once(
    tmp_path: Path,
) -> None:
    """Nothing was stored meanwhile that could have forgotten it."""
    configure(tmp_path, "quill")
    async with opened(tmp_path) as runtime:
        await runtime.swap("adapter:pen", provider="biro")
    configure(tmp_path, "dry")
    assert pen_of(opened(tmp_path)) == "dry"
    configure(tmp_path, "quill")

    assert (pen_of(opened(tmp_path)), opened(tmp_path).stored.dormant("adapter:pen")) == (
        "biro",
        None,
    )


async def test_promise_r9_a_swap_belongs_to_its_profile(tmp_path: Path) -> None:
    """Under another one it is not in force, is told, and is not lost by a swap there."""

    def under(profile: str) -> RuntimeOrchestrator:
        return RuntimeOrchestrator.open(folder=tmp_path, profile=profile, plugins=(PENS,))

    (tmp_path / "oneiric.toml").write_text("[profiles.night.adapters.selections]\npen = 'quill'\n")
    async with under("night") as runtime:
        await runtime.swap("adapter:pen", provider="biro")
    async with under("default") as runtime:
        elsewhere = runtime.stored.dormant("adapter:pen")
        before = pen_of(runtime)
        await runtime.swap("adapter:cache", provider="memory")

    assert elsewhere is not None
    assert (elsewhere.ended, elsewhere.why) == (False, "it belongs to the profile night")
    assert (before, pen_of(under("night"))) == ("quill", "biro")


async def test_promise_r9_a_variable_neither_ends_nor_outranks_a_swap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made under one variable, it is in force under another and under none; explain shows both."""
    variable = "ONEIRIC_ADAPTERS__SELECTIONS__PEN"
    monkeypatch.setenv(variable, "quill")
    async with opened(tmp_path) as runtime:
        await runtime.swap("adapter:pen", provider="biro")

    monkeypatch.setenv(variable, "dry")
    decision = opened(tmp_path).resolver.explain("adapter:pen")
    monkeypatch.delenv(variable)

    assert decision.winner is not None
    assert decision.winner.provider == "biro"
    assert decision.overridden is not None
    assert (decision.overridden.provider, decision.overridden.origin) == ("dry", variable)
    assert pen_of(opened(tmp_path)) == "biro"


async def test_what_cannot_be_read_is_not_entered(tmp_path: Path) -> None:
    """With a damaged database one can look, but not run: another provider might serve."""
    database = tmp_path / ".oneiric_cache" / "oneiric.sqlite"
    database.parent.mkdir()
    database.write_bytes(b"no database, but long enough to be one" * 30)

    runtime = opened(tmp_path)
    assert pen_of(runtime) == "quill"
    with pytest.raises(StoreError, match="file is not a database"):
        async with runtime:
            pass


async def test_promise_r9_a_change_of_another_ref_leaves_the_swap(tmp_path: Path) -> None:
    """Only what the file says about the place itself counts."""
    async with opened(tmp_path) as runtime:
        await runtime.swap("adapter:pen", provider="biro")
    (tmp_path / "oneiric.toml").write_text("[adapters.selections]\ncache = 'memory'\n")

    assert pen_of(opened(tmp_path)) == "biro"


async def test_a_swap_that_cannot_be_stored_is_done_and_told(tmp_path: Path) -> None:
    """The new component serves, and the caller learns that it will not outlive the process."""
    (tmp_path / ".oneiric_cache").write_text("in the way")

    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate("adapter:pen")
        with pytest.raises(StoreError, match="file exists") as caught:
            await runtime.swap("adapter:pen", provider="biro")
        assert pen_of(runtime) == "biro"
        with pytest.raises(StoreError) as undone:
            await runtime.rollback("adapter:pen")

    until = "until this process ends, for its selection was not stored"
    assert caught.value.message.startswith(f"adapter:pen is served by biro {until}: ")
    assert undone.value.message.startswith(f"adapter:pen is served by quill {until}: ")


def test_all_wrong_selections_are_told_at_once(tmp_path: Path) -> None:
    """Names that can be no key or provider are problems with file and line."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.selections]\n'a key' = 'x'\ncache = '../x'\n[tasks.selections]\n'b c' = 'y'\n"
    )

    with pytest.raises(ConfigError) as caught:
        opened(tmp_path)

    assert [(problem.key, problem.origin) for problem in caught.value.problems] == [
        ("adapters.selections.a key", "oneiric.toml:2"),
        ("adapters.selections.cache", "oneiric.toml:3"),
        ("tasks.selections.b c", "oneiric.toml:5"),
    ]


def test_the_stack_order_applies_to_what_is_resolved(tmp_path: Path) -> None:
    """A stack that the order lifts outranks a priority."""
    (tmp_path / "oneiric.toml").write_text("[resolver]\nstack_order = 'oneiric,mine'\n")
    mine = Plugin([Candidate("adapter:cache", "mine", Tool, stack="mine", priority=-500)])

    runtime = RuntimeOrchestrator.open(folder=tmp_path, plugins=(mine,))

    level = runtime.resolver.explain("adapter:cache").standing("mine").level
    assert level == (10, "oneiric.toml:2")
    assert runtime.resolver.resolve("adapter:cache").provider == "mine"


def test_relaxed_selections_warn_and_let_the_rules_decide(tmp_path: Path) -> None:
    """With `strict_selections = false` a selection that names nobody is a warning."""
    (tmp_path / "oneiric.toml").write_text(
        "[resolver]\nstrict_selections = false\n[adapters.selections]\npen = 'crayon'\n"
    )

    decision = opened(tmp_path).resolver.explain("adapter:pen")

    assert decision.winner is not None
    assert decision.winner.provider == "quill"
    assert decision.warning == (
        "oneiric.toml:4 selects crayon for adapter:pen, but nobody offers it"
    )
