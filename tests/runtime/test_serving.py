"""An orchestrator in this process: it starts in order, is ready, and leaves nothing behind."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import LockedError, OneiricError
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.end_failed import EndFailedError
from oneiric.runtime.health import ServingState
from oneiric.runtime.lock import FolderLock, StateGoneError
from oneiric.runtime.loops import LoopFailedError
from oneiric.runtime.serving import ServeOptions, Serving
from oneiric.runtime.serving_parts import PARTS
from oneiric.web.control.client import ControlClient
from tests.runtime.pens import until
from tests.runtime.served import Desk, failing, opened, serving, told

NAMES = [name for name, _ in PARTS]
MANIFEST = """
schema: oneiric.manifest/2
name: shop
version: {version}
issued: "2025-01-01T00:00:00Z"
expires: "2099-01-01T00:00:00Z"
entries:
  - domain: adapter
    key: till
    provider: drawer
    factory: oneiric.adapters.cache.memory:MemoryCache
"""


@pytest.fixture(autouse=True)
def no_desks() -> None:
    Desk.opened.clear()


def holder(folder: Path) -> Any:
    return FolderLock(folder / ".oneiric_cache" / "orchestrator.lock").holder()


async def test_it_is_ready_when_everything_is_up_and_says_so(tmp_path: Path) -> None:
    """Every part is started in order; the file says it while it lasts, and its end thereafter."""
    found = serving(tmp_path)
    assert (found.ready, found.state) == (False, ServingState.STOPPED)
    async with found:
        await found.runtime.lifecycle.activate("service:desk")
        during, lock = told(tmp_path), holder(tmp_path)
        assert found.ready
        found.stop()
        await found.until_stopped()
        assert not found.ready
    after = told(tmp_path)

    assert list(found.statuses) == NAMES
    assert (during["schema"], during["state"], during["ready"]) == (
        "oneiric.runtime-health/1", "ready", True,
    )  # fmt: skip
    assert during["orchestrator_pid"] == lock.pid
    assert (during["watchers_running"], during["remote_enabled"]) == (True, True)
    assert (after["state"], after["ready"], after["watchers_running"]) == ("stopped", False, False)
    assert after["problem"] == ""
    assert not any(loop["running"] for loop in after["loops"].values())
    assert holder(tmp_path) is None
    assert Desk.opened == []


@pytest.mark.parametrize("place", range(len(PARTS) + 1), ids=[*NAMES, "last"])
async def test_defect_oneiric_o1_a_start_that_fails_leaves_nothing_behind(
    place: int, tmp_path: Path
) -> None:
    """Whichever part fails: no task, no open component, no lock; the health file says why."""
    parts = [*PARTS[:place], ("broken", failing("start")), *PARTS[place:]]
    before = asyncio.all_tasks()
    found = serving(tmp_path, parts=parts)

    with pytest.raises(ConnectionError, match="no line"):
        async with found:
            pytest.fail("it was entered")

    assert asyncio.all_tasks() == before
    assert holder(tmp_path) is None
    assert found.state is ServingState.FAILED
    assert Desk.opened == []
    file = tmp_path / ".oneiric_cache" / "runtime_health.json"
    assert file.exists() is (place > NAMES.index("health"))
    if file.exists():
        health = told(tmp_path)
        assert (health["state"], health["watchers_running"]) == ("failed", False)
        assert health["problem"].startswith("broken: ConnectionError")
    async with serving(tmp_path) as again:
        assert again.ready


async def test_defect_oneiric_o2_a_failed_first_sync_is_told_until_a_good_one_clears_it(
    tmp_path: Path,
) -> None:
    """The orchestrator is ready without it, and does not say for ever that it failed."""
    (tmp_path / "oneiric.toml").write_text(
        "[orchestrator]\nhealth_interval = 0.05\n[remote.sources.shop]\nuri = 'shop.yaml'\n"
    )
    async with serving(tmp_path, refresh_interval=0.05) as found:
        assert found.ready
        await until(lambda: told(tmp_path)["state"] == "ready")
        assert "shop.yaml" in told(tmp_path)["last_remote_error"]
        (tmp_path / "shop.yaml").write_text(MANIFEST.format(version=1))
        await until(lambda: told(tmp_path)["last_remote_error"] is None)
        good = told(tmp_path)

    assert good["last_remote_registered"] == 1
    assert good["last_remote_per_domain"] == {"adapter": 1}


async def test_a_named_manifest_of_which_nothing_can_be_had_is_fatal(tmp_path: Path) -> None:
    """For it was asked for; its error is that of the start, and nothing is left."""
    found = serving(tmp_path, manifest="missing.yaml")

    with pytest.raises(OneiricError) as caught:
        async with found:
            pytest.fail("it was entered")

    assert (caught.value.code, caught.value.exit_code) == ("not-found", 6)
    assert told(tmp_path)["state"] == "failed"
    assert holder(tmp_path) is None


@pytest.mark.parametrize("profile", ["default", "serverless"])
async def test_a_named_manifest_is_applied_before_it_is_ready(profile: str, tmp_path: Path) -> None:
    """Also where configured sources are looked at by nobody, which then bring nothing."""
    (tmp_path / "shop.yaml").write_text(MANIFEST.format(version=1))
    (tmp_path / "oneiric.toml").write_text("[remote.sources.shop]\nuri = 'other.yaml'\n")
    (tmp_path / "other.yaml").write_text(
        MANIFEST.format(version=1).replace("shop", "other").replace("till", "safe")
    )
    if profile == "default":
        (tmp_path / "oneiric.toml").write_text("[remote.sources.other]\nuri = 'other.yaml'\n")
    runtime = RuntimeOrchestrator.open(folder=tmp_path, profile=profile)
    async with runtime.serve(ServeOptions(manifest="shop.yaml")) as found:
        assert found.ready
        refs = {str(ref) for ref in runtime.resolver.registry.refs("adapter")}

    assert "adapter:till" in refs
    assert ("adapter:safe" in refs) is (profile == "default")
    assert told(tmp_path)["remote_enabled"] is (profile == "default")


async def test_a_second_orchestrator_of_the_folder_is_refused(tmp_path: Path) -> None:
    """It names the process, and touches neither the lock nor the health of the first."""
    async with serving(tmp_path) as first:
        pid = holder(tmp_path).pid
        with pytest.raises(LockedError) as caught:
            async with serving(tmp_path):
                pytest.fail("it was entered")
        assert first.ready
        assert told(tmp_path)["state"] == "ready"

    assert (caught.value.exit_code, caught.value.details()["pid"]) == (3, pid)
    assert f"process {pid}" in caught.value.message
    assert told(tmp_path)["state"] == "stopped"


@pytest.mark.parametrize("what", [".oneiric_cache", ".oneiric_cache/orchestrator.lock"])
async def test_one_whose_state_is_removed_ends_and_leaves_the_next_one_alone(
    what: str, tmp_path: Path
) -> None:
    """Nothing keeps a second one from starting then, so the first ends, and says why."""
    first = serving(tmp_path)
    async with AsyncExitStack() as both:
        await both.enter_async_context(first)
        gone = tmp_path / what
        gone.rename(tmp_path / "elsewhere")
        if gone.name == ".oneiric_cache":
            await both.enter_async_context(serving(tmp_path))
        with pytest.raises(StateGoneError) as caught:
            await first.until_stopped()
        await first.__aexit__(None, None, None)
        after = holder(tmp_path)
        if gone.name == ".oneiric_cache":
            assert (told(tmp_path)["state"], told(tmp_path)["ready"]) == ("ready", True)
            assert after is not None
            assert (gone / "control.sock").exists()

    assert caught.value.details() == {"folder": str(tmp_path / ".oneiric_cache")}
    assert first.state is ServingState.FAILED


async def test_promise_c4_a_stop_while_it_still_starts_ends_it_as_well(tmp_path: Path) -> None:
    """The part that is being started is cut short, and nothing is left."""
    begun = asyncio.Event()

    @asynccontextmanager
    async def slow(_: Serving) -> AsyncIterator[None]:
        begun.set()
        await asyncio.sleep(600)
        yield

    found = serving(tmp_path, parts=[*PARTS[:8], ("slow", slow), *PARTS[8:]])

    async def stopped() -> None:
        await begun.wait()
        found.stop()

    async with asyncio.TaskGroup() as group:
        group.create_task(stopped())
        async with found:
            assert not found.ready
            await found.until_stopped()

    assert told(tmp_path)["state"] == "stopped"
    assert holder(tmp_path) is None


async def test_a_part_that_does_not_end_in_order_stops_no_other_from_ending(tmp_path: Path) -> None:
    """All others end; the end is told as a failure, with each reason."""
    found = serving(tmp_path, parts=[*PARTS, ("jammed", failing("end"))])

    with pytest.raises(EndFailedError) as caught:
        async with found:
            found.stop()

    assert caught.value.details() == {"problems": ["jammed: ConnectionError: no line any more"]}
    assert told(tmp_path)["state"] == "failed"
    assert holder(tmp_path) is None


async def test_a_component_that_cannot_be_closed_is_told(tmp_path: Path) -> None:
    """The rest of the orchestrator ends all the same."""
    found = serving(tmp_path)
    with pytest.raises(EndFailedError, match="not everything ended"):
        async with found:
            await found.runtime.lifecycle.activate("service:desk@fussy")

    assert told(tmp_path)["state"] == "failed"
    assert (holder(tmp_path), Desk.opened) == (None, [])


async def test_defect_oneiric_a2_a_loop_that_fails_too_often_ends_everything_loudly(
    tmp_path: Path,
) -> None:
    """No loop is ever quietly dead: the orchestrator ends with the reason, and exit code 1."""
    tries: list[int] = []

    async def broken() -> None:
        tries.append(1)
        raise ConnectionError("no line")

    found = serving(tmp_path, parts=[*PARTS, ("broken", lambda s: s.loop("broken", broken))])
    found.loops._retry = found.loops._retry.__class__(base_seconds=0)
    with pytest.raises(LoopFailedError) as caught:
        async with found:
            await found.until_stopped()

    assert (caught.value.exit_code, len(tries)) == (1, 8)
    assert "broken failed 8 times in a row: ConnectionError: no line" in caught.value.message
    health = told(tmp_path)
    assert (health["state"], health["problem"]) == ("failed", caught.value.message)


async def test_defect_oneiric_l15_a_restarted_one_shows_nothing_as_ready(tmp_path: Path) -> None:
    """What an earlier process had up is of no account; only what this one started is told."""
    async with serving(tmp_path) as first:
        await first.runtime.lifecycle.activate("service:desk")
        await first.tell_health()
        before = told(tmp_path)["lifecycle_state"]["service"]["desk"]["state"]
    async with serving(tmp_path, works=False):
        after = told(tmp_path)["lifecycle_state"]

    assert before == "ready"
    assert "service" not in after


async def test_defect_oneiric_l14_a_swap_is_counted_in_the_health(tmp_path: Path) -> None:
    """What is written was counted before."""
    async with serving(tmp_path) as found:
        await found.runtime.lifecycle.activate("service:desk")
        assert (await found.runtime.lifecycle.swap("service:desk", provider="fussy")).ok
        assert (await found.runtime.lifecycle.swap("service:desk", provider="oak")).ok
        await found.tell_health()
        status = told(tmp_path)["lifecycle_state"]["service"]["desk"]

    assert (status["swaps"]["count"], status["failed_swaps"]) == (2, 0)


async def test_defect_oneiric_l16_an_activation_writes_no_file(tmp_path: Path) -> None:
    """The health is written now and then, not with each turn of a component."""
    (tmp_path / "oneiric.toml").write_text("[orchestrator]\nhealth_interval = 3600\n")
    async with serving(tmp_path) as found:
        await asyncio.sleep(0)
        before = told(tmp_path)["updated_at"]
        for _ in range(50):
            await found.runtime.lifecycle.swap("service:desk")
        assert told(tmp_path)["updated_at"] == before


async def test_what_is_paused_is_in_the_health(tmp_path: Path) -> None:
    """By domain and key, with the note."""
    async with serving(tmp_path) as found:
        await found.runtime.pause("service:desk", note="new top")
        await found.tell_health()
        activity = told(tmp_path)["activity_state"]

    assert activity == {"service": {"desk": {"paused": True, "draining": False, "note": "new top"}}}


async def test_a_health_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    """It is logged."""
    (tmp_path / "health").mkdir()
    async with serving(tmp_path, health_path=tmp_path / "health") as found:
        assert found.ready


async def test_without_work_everything_is_up_and_nothing_is_begun(tmp_path: Path) -> None:
    """As for a check: no message is taken, nothing scheduled begun, no run taken up."""
    async with serving(tmp_path, works=False) as found:
        states = {name: status.state for name, status in found.statuses.items()}

    off = {"recovery", "schedule", "worker", "deferred-events"}
    assert {name for name in off if states[name] == "off"} == off
    assert not (tmp_path / ".oneiric_cache" / "queue.sqlite").exists()


async def test_a_reload_reads_the_configuration_and_looks_at_the_sources(tmp_path: Path) -> None:
    """Also where no file is watched: what is up is swapped to what the file says now."""
    config = "[watch]\nenabled = false\n[orchestrator]\nhealth_interval = 0.05\n"
    sources = "[remote.sources.shop]\nuri = 'shop.yaml'\n"
    (tmp_path / "shop.yaml").write_text(MANIFEST.format(version=1))
    (tmp_path / "oneiric.toml").write_text(config + sources)
    async with serving(tmp_path, refresh_interval=3_600) as found:
        await found.runtime.lifecycle.activate("service:desk")
        first = told(tmp_path)["last_remote_sync_at"]
        (tmp_path / "oneiric.toml").write_text(
            f"{config}{sources}[services.selections]\ndesk = 'fussy'\n"
        )
        found.reload()
        await until(lambda: found.runtime.lifecycle.status("service:desk").provider == "fussy")
        await until(lambda: told(tmp_path)["last_remote_sync_at"] != first)
        await found.runtime.lifecycle.swap("service:desk", provider="oak")

    assert told(tmp_path)["watchers_running"] is False


async def test_defect_the_verb_reload_has_what_is_up_follow_where_no_file_is_watched(
    tmp_path: Path,
) -> None:
    """As SIGHUP does: what is in force is what serves."""
    config = "[watch]\nenabled = false\n"
    (tmp_path / "oneiric.toml").write_text(config)
    async with serving(tmp_path) as found:
        await found.runtime.lifecycle.activate("service:desk")
        (tmp_path / "oneiric.toml").write_text(f"{config}[services.selections]\ndesk = 'fussy'\n")
        client = ControlClient(found.runtime.paths.control)
        ask = partial(client.ask, "/v1/reload", {}, reads=False, headers={})
        reply = await asyncio.to_thread(ask)
        await until(lambda: found.runtime.lifecycle.status("service:desk").provider == "fussy")
        await found.runtime.lifecycle.swap("service:desk", provider="oak")

    assert (reply.exit_code, reply.body["mode"]) == (0, "off")


async def test_defect_oneiric_o3_a_reload_while_it_starts_claims_no_readiness(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service manager hears of it when everything is up, and here that fails."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        @asynccontextmanager
        async def late(found: Serving) -> AsyncIterator[None]:
            for _ in range(100):  # the loop that reloads is up by now
                await asyncio.sleep(0.001)
            raise ConnectionError("no line")
            yield

        found = serving(tmp_path, parts=[*PARTS, ("late", late)])
        found.reload()
        with pytest.raises(ConnectionError):
            await found.__aenter__()
        said = [manager.recv(4_096)]

    assert said == [b"STOPPING=1\nSTATUS=stopping"]


async def test_entering_the_runtime_alone_stays_as_light_as_it_was(tmp_path: Path) -> None:
    """No lock is taken and no file is written."""
    async with opened(tmp_path):
        pass

    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))
