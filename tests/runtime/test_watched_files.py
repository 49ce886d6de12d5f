"""Which file is followed, by whom and how, and what is told of it."""

from pathlib import Path

import pytest

from oneiric.domains.messages import CATEGORY
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.watchers import (
    ActionConfigWatcher,
    AdapterConfigWatcher,
    EventConfigWatcher,
    SelectionWatcher,
    ServiceConfigWatcher,
    TaskConfigWatcher,
    WorkflowConfigWatcher,
)
from oneiric.runtime.work import Work
from tests.runtime.pens import (
    DESK,
    LAMP,
    PEN,
    followed,
    following,
    forget,
    ink_of,
    opened,
    save,
    select,
    serves,
    until,
)


@pytest.fixture(autouse=True)
def anew() -> None:
    """Forget what earlier tests made."""
    forget()


async def test_defect_oneiric_w4_the_named_file_is_followed_and_settings_stay(
    tmp_path: Path,
) -> None:
    """Not the one in the folder; settings of no domain are lost at a change of another."""
    elsewhere = tmp_path / "etc"
    elsewhere.mkdir()
    inks = "".join(
        f"[{domain}.provider_settings.quill]\nink = '{domain}'\n"
        for domain in ("adapters", "events", "workflows")
    )
    save(elsewhere, inks, name="site.toml")
    places = (PEN, "event:pen", "workflow:pen")
    async with followed(tmp_path, path=elsewhere / "site.toml", up=(*places, LAMP)) as (runtime, _):
        save(tmp_path, "[adapters.selections]\npen = 'biro'\nlamp = 'oil'\n")
        save(elsewhere, f"{inks}[adapters.selections]\nlamp = 'led'\n", name="site.toml")
        await until(serves(runtime, "led", LAMP))

        assert [await ink_of(runtime, each) for each in places] == [
            "adapters",
            "events",
            "workflows",
        ]
        await runtime.lifecycle.swap("event:pen")
        assert await ink_of(runtime, "event:pen") == "events"
        assert [runtime.lifecycle.status(each).provider for each in places] == ["quill"] * 3


async def test_defect_oneiric_w5_the_category_of_a_workflow_is_its_own(tmp_path: Path) -> None:
    """No default takes its place, neither at the start nor after a reload."""
    runtime = opened(tmp_path)
    async with Work(runtime, checkpoints=False) as work, following(SelectionWatcher(runtime)):
        first = await work.workflows.enqueue("letters")
        save(tmp_path, f"[adapters.selections]\nmail = 'pigeon'\n{CATEGORY} = 'sqlite'\n")
        await until(serves(runtime, "pigeon", "adapter:mail"))
        second = await work.workflows.enqueue("letters")

    assert [(each.queue_category, each.queue_provider) for each in (first, second)] == [
        ("mail", "post"),
        ("mail", "pigeon"),
    ]


async def test_watchers_of_single_domains_share_the_work(tmp_path: Path) -> None:
    """Each swaps the components of its domain; what the file says is in force as a whole."""
    kinds = (
        AdapterConfigWatcher,
        ServiceConfigWatcher,
        TaskConfigWatcher,
        EventConfigWatcher,
        WorkflowConfigWatcher,
        ActionConfigWatcher,
    )
    assert [kind.domain for kind in kinds] == [
        "adapter",
        "service",
        "task",
        "event",
        "workflow",
        "action",
    ]
    text = "[adapters.selections]\npen = 'biro'\n[services.selections]\ndesk = 'pine'\n"
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(PEN)
        await runtime.lifecycle.activate(DESK)
        async with following(ServiceConfigWatcher(runtime)):
            save(tmp_path, text)
            await until(serves(runtime, "pine", DESK))
            assert serves(runtime, "quill")()
            assert runtime.resolver.resolve(PEN).provider == "biro"
        async with following(*(kind(runtime) for kind in kinds)):
            await until(serves(runtime, "biro"))
            save(tmp_path, "")
            await until(serves(runtime, "quill"))
            await until(serves(runtime, "oak", DESK))


@pytest.mark.parametrize(
    ("text", "mode"),
    [("", "notices"), ("poll_interval = 0.02\n", "polling"), ("enabled = false\n", "off")],
)
async def test_the_mode_is_as_asked(text: str, mode: str, tmp_path: Path) -> None:
    """With `enabled = false` the file is read again only when somebody asks for that."""
    (tmp_path / "oneiric.toml").write_text(f"[watch]\ndebounce = 0.02\n{text}")
    async with followed(tmp_path) as (runtime, watcher):
        assert watcher.status().mode == mode
        (tmp_path / "oneiric.toml").write_text(
            f"[watch]\ndebounce = 0.02\n{text}[adapters.selections]\npen = 'biro'\n"
        )
        if mode == "off":
            assert await watcher.refresh()
        await until(serves(runtime, "biro"))


def test_serverless_watches_nothing_and_polls_where_it_is_asked_to_watch(tmp_path: Path) -> None:
    """The system of such a place tells nothing of files."""
    (tmp_path / "oneiric.toml").write_text("[profiles.serverless.watch]\nenabled = true\n")
    modes = []
    for folder in (tmp_path / "none", tmp_path):
        folder.mkdir(exist_ok=True)
        runtime = RuntimeOrchestrator.open(folder=folder, profile="serverless")
        modes.append(runtime.watcher.status().mode)

    assert modes == ["off", "polling"]


async def test_a_watcher_can_be_stopped_and_begun_again(tmp_path: Path) -> None:
    """What changed meanwhile is followed; stopping is no error, even in the middle of a swap."""
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(PEN)
        async with following(runtime.watcher):
            select(tmp_path, "dry")
            await until(lambda: runtime.watcher.status().failed)
        assert runtime.watcher.status().failed == ()
        select(tmp_path, "biro")
        async with following(runtime.watcher):
            await until(serves(runtime, "biro"))


def test_the_status_is_told_as_json(tmp_path: Path) -> None:
    """Before anything was watched: what would be, and nothing wrong."""
    status = opened(tmp_path).watcher.status().as_json()

    assert str(status.pop("loaded_at")).endswith("Z")
    assert status == {
        "mode": "notices",
        "file": None,
        "error": None,
        "deferred": [],
        "failed": {},
        "awaiting_restart": [],
        "trouble": "",
    }
