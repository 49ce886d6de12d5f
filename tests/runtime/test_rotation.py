"""A changed secret is followed by all that was made with it, and by nothing else."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import InvalidError, NotFoundError
from oneiric.runtime import Operator, RuntimeOrchestrator
from oneiric.runtime.secret_errors import SecretUnavailableError
from oneiric.testing import ManualClock
from tests.runtime.pens import events, until
from tests.runtime.vaults import (
    CANARY,
    DOOR,
    GATE,
    OFFERS,
    Door,
    Vault,
    forget,
    opened,
    settings,
    written,
)

PIN = "pin = { secret = '%s' }"


@pytest.fixture(autouse=True)
def anew() -> None:
    """Forget what earlier tests said."""
    forget()


async def pin_of(runtime: RuntimeOrchestrator, ref: str = DOOR) -> str:
    """Return the pin that a component was made with."""
    async with runtime.lifecycle.use(ref) as door:
        return str(door.pin)


@asynccontextmanager
async def running(runtime: RuntimeOrchestrator) -> AsyncIterator[None]:
    """Have the secrets of a runtime followed until the end of the block."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(runtime.secrets.run())
        yield
        task.cancel()


def generations(runtime: RuntimeOrchestrator) -> tuple[int, int]:
    """Return how often the door and the gate were made."""
    status = runtime.lifecycle.status
    return status(DOOR).generation, status(GATE).generation


async def test_exactly_what_uses_a_changed_secret_is_swapped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The store may keep what it read before; it is asked again all the same."""
    caplog.set_level(logging.INFO)
    written(tmp_path, settings("oak", PIN % "a"), settings("iron", PIN % "b"))
    Vault.held = {"a": "1", "b": "2"}
    async with opened(tmp_path) as runtime:
        for ref in (DOOR, GATE):
            await runtime.lifecycle.activate(ref)
        Vault.held = {"a": "1'", "b": "2"}
        report = await runtime.secrets.rotate(["a", "b"])

        assert (await pin_of(runtime), generations(runtime)) == ("1'", (2, 1))
        assert (report.exit_code, report.invalidated) == (0, 2)
        told: Any = report.as_json()
        del told["swapped"][0]["duration_ms"]
        assert told == {
            "schema": "oneiric.secret-rotation/1",
            "applied": "live",
            "keys": ["a", "b"],
            "invalidated": 2,
            "changed": {"a": True, "b": False},
            "swapped": [{"ref": DOOR, "before": "oak", "after": "oak", "generation": 2}],
            "deferred": [],
            "failed": [],
            "note": "",
        }
        assert (await runtime.secrets.rotate(every=True)).changed == {"a": False, "b": False}
    (first, _) = events(caplog, "secrets-rotated")
    assert (first["changed"], first["swapped"]) == (1, [DOOR])


async def test_what_was_not_asked_for_is_left_alone(tmp_path: Path) -> None:
    """Until it is: a rotation knows what each component was made with, not what was kept."""
    written(tmp_path, settings("oak", PIN % "a"), settings("iron", PIN % "b"))
    Vault.held = {"a": "1", "b": "2"}
    async with opened(tmp_path) as runtime:
        for ref in (DOOR, GATE):
            await runtime.lifecycle.activate(ref)
        Vault.held = {"a": "1'", "b": "2'"}
        await runtime.secrets.rotate(["a"])
        assert generations(runtime) == (2, 1)
        runtime.secrets.forget(runtime.secrets.kept())
        await runtime.secrets.get("b")
        report = await runtime.secrets.rotate(["b"])

    assert (report.changed, [each.ref for each in report.swapped]) == ({"b": True}, [GATE])


async def test_promise_l3_no_call_fails_while_a_secret_rotates_every_50_ms(tmp_path: Path) -> None:
    """32 tasks call what is made with it, 20 rotations: 0 failures, each use alive."""
    written(tmp_path, settings("oak", PIN % "a"))
    Vault.held = {"a": "0"}
    seen, failures, stop = set(), [], asyncio.Event()

    async def call(runtime: RuntimeOrchestrator) -> None:
        while not stop.is_set():
            try:
                async with runtime.lifecycle.use(DOOR) as door:
                    seen.add(await door.unlock())
            except Exception as error:  # noqa: BLE001  counted, and shown when it is not nought
                failures.append(error)
            await asyncio.sleep(0.001)

    async with opened(tmp_path) as runtime, asyncio.TaskGroup() as group:
        for _ in range(32):
            group.create_task(call(runtime))
        for number in range(1, 21):
            await asyncio.sleep(0.05)
            Vault.held = {"a": str(number)}
            report = await runtime.secrets.rotate(["a"])
            assert (report.exit_code, report.changed) == (0, {"a": True})
        await until(lambda: "20" in seen)
        stop.set()

    assert failures == []


async def test_promise_l4_a_swap_that_does_not_hold_is_told_and_the_old_one_serves(
    tmp_path: Path,
) -> None:
    """Others are swapped all the same; the next rotation tries again."""
    written(tmp_path, settings("oak", PIN % "a"), settings("iron", PIN % "b"))
    Vault.held = {"a": "1", "b": "2"}
    async with opened(tmp_path) as runtime:
        for ref in (DOOR, GATE):
            await runtime.lifecycle.activate(ref)
        Vault.held, Door.refuses = {"a": CANARY, "b": "2'"}, {CANARY}
        report = await runtime.secrets.rotate(every=True)

        assert (await pin_of(runtime), await pin_of(runtime, GATE)) == ("1", "2'")
        assert report.exit_code == 1
        (failed,) = report.failed
        assert (failed.ref, failed.error.code) == (DOOR, "component-failed")
        assert CANARY not in str(report.as_json()) + report.render(columns=80)

        Door.refuses = set()
        report = await runtime.secrets.rotate(["a"])
        assert (await pin_of(runtime), report.exit_code) == (CANARY, 0)


async def test_a_store_that_is_down_is_told_and_nothing_is_swapped(tmp_path: Path) -> None:
    """What was kept is forgotten, as was asked for; what is up goes on."""
    written(tmp_path, settings("oak", PIN % "a"))
    Vault.held = {"a": "1"}
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(DOOR)
        Vault.down = True
        report = await runtime.secrets.rotate(["a"])

        assert (report.exit_code, report.invalidated, report.changed) == (1, 1, {})
        (failed,) = report.failed
        assert (failed.key, failed.error.code) == ("a", "secret-unavailable")
        assert generations(runtime) == (1, 0)
        with pytest.raises(SecretUnavailableError):
            await runtime.secrets.get("a")


async def test_what_takes_no_work_is_swapped_when_it_does_again(tmp_path: Path) -> None:
    """And is told as put off."""
    written(tmp_path, settings("oak", PIN % "a"))
    Vault.held = {"a": "1"}
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(DOOR)
        await runtime.pause(DOOR)
        Vault.held = {"a": "2"}
        report = await runtime.secrets.rotate(["a"])
        assert (report.deferred, report.exit_code) == ((DOOR,), 0)
        assert generations(runtime) == (1, 0)

        await runtime.resume(DOOR)
        await until(lambda: generations(runtime) == (2, 0))
        assert await pin_of(runtime) == "2"


async def test_defect_what_serves_only_who_names_it_is_made_anew(tmp_path: Path) -> None:
    """Beside what serves its place, which goes on as it was."""
    written(tmp_path, settings("pine", PIN % "a"))
    Vault.held = {"a": "1"}
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(DOOR)
        await runtime.lifecycle.activate(f"{DOOR}@pine")
        before = runtime.lifecycle.status(DOOR)
        Vault.held = {"a": "2"}
        report = await runtime.secrets.rotate(["a"])
        async with runtime.lifecycle.use(DOOR, provider="pine") as door:
            pin = door.pin
        after = runtime.lifecycle.status(DOOR)

    assert ([each.ref for each in report.swapped], report.failed) == ([f"{DOOR}@pine"], ())
    assert (pin, after.provider, after.generation) == ("2", before.provider, before.generation)


async def test_a_secret_that_nobody_knows_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    """What is kept, in use, named in settings or listed by the store is known."""
    written(tmp_path, settings("oak", PIN % "door-pin"))
    Vault.held = {"other": "1"}
    async with opened(tmp_path) as runtime:
        with pytest.raises(NotFoundError) as caught:
            await runtime.secrets.rotate(["door-pim"])
        assert (caught.value.hint, caught.value.exit_code) == ("did you mean door-pin?", 6)
        with pytest.raises(InvalidError):
            await runtime.secrets.rotate()
        with pytest.raises(InvalidError):
            await runtime.secrets.rotate(["door-pin"], every=True)

        assert (await runtime.secrets.rotate(["door-pin", "other"])).invalidated == 0
        Vault.down = True
        with pytest.raises(NotFoundError):
            await runtime.secrets.rotate(["others"])


async def test_all_in_use_is_refreshed_as_often_as_configured(tmp_path: Path) -> None:
    """What is kept counts on while the store is down."""
    written(tmp_path, settings("oak", PIN % "a"), "[secrets]\nrefresh_interval = 60\n")
    Vault.held = {"a": "1"}
    clock = ManualClock()
    async with opened(tmp_path, clock=clock) as runtime, running(runtime):
        await runtime.lifecycle.activate(DOOR)
        Vault.down = True
        asked = len(Vault.asked)
        await _passed(clock, lambda: len(Vault.asked) > asked)
        assert await runtime.secrets.get("a") == "1"
        Vault.down, Vault.held = False, {"a": "2"}
        await _passed(clock, lambda: generations(runtime) == (2, 0))
        assert await pin_of(runtime) == "2"


async def test_who_came_up_while_a_secret_changed_follows(tmp_path: Path) -> None:
    """It was read before, and the component was up after; so are those made long before."""
    written(tmp_path, settings("oak", PIN % "a"), settings("iron", PIN % "a"))
    Vault.held = {"a": "1"}
    async with opened(tmp_path) as runtime, running(runtime):
        await runtime.lifecycle.activate(DOOR)
        Vault.held = {"a": "2"}
        runtime.secrets.forget(runtime.secrets.kept())
        await runtime.lifecycle.activate(GATE)
        await until(lambda: generations(runtime) == (2, 1))

        assert await pin_of(runtime) == "2"


async def test_a_failed_swap_is_not_tried_over_and_over(tmp_path: Path) -> None:
    """Only when the secret changes again, or a rotation is asked for."""
    written(tmp_path, settings("oak", PIN % "a"), settings("iron", PIN % "a"))
    Vault.held = {"a": "1"}
    async with opened(tmp_path) as runtime, running(runtime):
        await runtime.lifecycle.activate(DOOR)
        Vault.held, Door.refuses = {"a": "2"}, {"2"}
        report = await runtime.secrets.rotate(["a"])
        assert report.exit_code == 1
        Door.refuses = set()
        await runtime.lifecycle.activate(GATE)
        await asyncio.sleep(0.05)
        assert generations(runtime)[0] == 1

        assert (await runtime.secrets.rotate(["a"])).exit_code == 0
        assert await pin_of(runtime) == "2"


async def test_many_rotations_at_once_are_one_after_the_other(tmp_path: Path) -> None:
    """Each tells what it did itself."""
    written(tmp_path, settings("oak", PIN % "a"))
    Vault.held = {"a": "1"}
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(DOOR)
        Vault.held = {"a": "2"}
        reports = await asyncio.gather(*(runtime.secrets.rotate(["a"]) for _ in range(8)))

        assert sorted(len(report.swapped) for report in reports) == [0] * 7 + [1]
        assert generations(runtime) == (2, 0)


async def test_a_store_follows_its_own_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store is a component: its token rotates before the secrets that it holds."""
    monkeypatch.setenv("ONEIRIC_SECRET_TOKEN", "t1")
    written(tmp_path, settings("vault", "pin = { secret = 'token', provider = 'env' }"))
    Vault.held, Vault.token = {"a": "1"}, "t1"
    async with opened(tmp_path) as runtime:
        await runtime.secrets.get("a")
        monkeypatch.setenv("ONEIRIC_SECRET_TOKEN", "t2")
        Vault.token = "t2"
        report = await runtime.secrets.rotate(every=True)
        async with runtime.lifecycle.use("adapter:secrets") as vault:
            assert vault.settings.pin.get_secret_value() == "t2"

    assert (report.changed, report.exit_code) == ({"a": False, "token": True}, 0)


async def test_a_file_of_secrets_that_changed_is_followed(tmp_path: Path) -> None:
    """The provider `file` keeps what it read; a rotation reads the file again."""
    file = tmp_path / "secrets.toml"
    file.write_text("pin = '1'\n")
    file.chmod(0o600)
    written(
        tmp_path,
        "[adapters.selections]\nsecrets = 'file'",
        settings("file", f"path = '{file.as_posix()}'"),
        settings("oak", PIN % "pin"),
    )
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(DOOR)
        file.write_text("pin = '2'\n")
        report = await runtime.secrets.rotate(["pin"])
        assert (await pin_of(runtime), report.changed) == ("2", {"pin": True})


async def test_a_file_that_names_another_secret_swaps_what_it_is_for(tmp_path: Path) -> None:
    """And one that says the same in plain words; what the secret is does not count for that."""
    file = written(tmp_path, settings("oak", PIN % "a"))
    Vault.held = {"a": "1", "b": "2"}
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(DOOR)
        file.write_text(file.read_text().replace("'a'", "'b'"))
        assert runtime.reload(opened(tmp_path).config) == (DOOR,)
        await runtime.lifecycle.swap(DOOR)
        assert await pin_of(runtime) == "2"
        assert (await runtime.secrets.rotate(["a"])).swapped == ()


def test_defect_oneiric_secrets_rotate_a_command_says_that_nothing_is_kept_here(
    tmp_path: Path,
) -> None:
    """A process that just started keeps no secret: it says so, and never "invalidated 0"."""
    written(tmp_path, settings("oak", PIN % "a"), settings("iron", PIN % "b"))
    rotate = Operator(folder=tmp_path, plugins=(OFFERS,)).secrets.rotate

    report = rotate(every=True)

    assert (report.applied, report.keys, report.exit_code) == ("local", ("a", "b"), 0)
    assert report.render(columns=100) == (
        "local: no orchestrator runs here, and only one that runs keeps secrets"
    )
    assert rotate(keys=["b"]).keys == ("b",)
    with pytest.raises(NotFoundError):
        rotate(keys=["c"])
    assert Vault.asked == []


async def _passed(clock: ManualClock, condition: Any) -> None:
    """Let time go by until something holds."""

    def holds() -> bool:
        clock.advance(10.0)
        return bool(condition())

    await until(holds)
