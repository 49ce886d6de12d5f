"""Secrets are read once for all who ask, count for a while, and are in no text."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from oneiric.runtime.secret_errors import MissingSecretError, SecretUnavailableError
from oneiric.testing import ManualClock
from tests.runtime.pens import events, until
from tests.runtime.vaults import CANARY, Vault, forget, opened, written


@pytest.fixture(autouse=True)
def anew() -> None:
    """Forget what earlier tests said."""
    forget()


async def test_a_secret_is_read_once_until_its_time_is_over(tmp_path: Path) -> None:
    """Then it is read anew; the default is ten minutes."""
    written(tmp_path)
    Vault.held = {"a": "one"}
    clock = ManualClock()
    async with opened(tmp_path, clock=clock) as runtime:
        assert [await runtime.secrets.get("a") for _ in range(3)] == ["one"] * 3
        Vault.held = {"a": "two"}
        clock.advance(599.0)
        assert await runtime.secrets.get("a") == "one"
        clock.advance(1.0)
        assert await runtime.secrets.get("a") == "two"

    assert Vault.asked == ["a", "a"]


async def test_many_who_ask_at_once_are_one_question(tmp_path: Path) -> None:
    """One of them that is cancelled ends nothing for the others."""
    written(tmp_path)
    Vault.held, Vault.open = {"a": "one"}, asyncio.Event()
    async with opened(tmp_path) as runtime, asyncio.TaskGroup() as group:
        tasks = [group.create_task(runtime.secrets.get("a")) for _ in range(50)]
        await until(lambda: Vault.asked)
        tasks[0].cancel()
        await asyncio.sleep(0)
        Vault.open.set()
        await asyncio.wait(tasks)

    assert Vault.asked == ["a"]
    assert tasks[0].cancelled()
    assert {task.result() for task in tasks[1:]} == {"one"}


async def test_versions_and_stores_are_kept_apart(tmp_path: Path) -> None:
    """A provider named is asked itself, though another serves."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("from a file\n")
    folder = (tmp_path / "kept").as_posix()
    written(tmp_path, f"[adapters.provider_settings.file]\npath = '{folder}'\n")
    Vault.held = {"a": "new", "a#1": "old"}
    async with opened(tmp_path) as runtime:
        get = runtime.secrets.get
        assert await get("a") == "new"
        assert await get("a", version="1") == "old"
        assert await get("a", provider="file") == "from a file"
        with pytest.raises(SecretUnavailableError, match="versions"):
            await get("a", provider="file", version="1")


async def test_no_more_are_kept_than_configured(tmp_path: Path) -> None:
    """Those that were not asked for longest are forgotten."""
    written(tmp_path, "[secrets]\nmax_cached = 2\n")
    Vault.held = {"a": "1", "b": "2", "c": "3"}
    async with opened(tmp_path) as runtime:
        for name in "abacb":
            await runtime.secrets.get(name)

        assert Vault.asked == ["a", "b", "c", "b"]
        assert runtime.secrets.status().cached == 2


async def test_a_secret_past_its_time_is_not_given_while_the_store_is_down(tmp_path: Path) -> None:
    """Unless the configuration says for how long; what nobody has is not given in any case."""
    written(tmp_path, "[secrets]\ncache_ttl_seconds = 10\n")
    clock = ManualClock()
    Vault.held = {"a": "one"}
    async with opened(tmp_path, clock=clock) as runtime:
        assert await runtime.secrets.get("a") == "one"
        Vault.down = True
        clock.advance(9.0)
        assert await runtime.secrets.get("a") == "one"
        clock.advance(1.0)
        with pytest.raises(SecretUnavailableError, match="connection refused") as caught:
            await runtime.secrets.get("a")
        assert (caught.value.exit_code, caught.value.details()["name"]) == (5, "a")
        Vault.down = False
        assert await runtime.secrets.get("a") == "one"


async def test_stale_secrets_are_given_as_long_as_configured_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A store that answers that there is none is not down."""
    written(tmp_path, "[secrets]\ncache_ttl_seconds = 10\nstale_seconds = 5\n")
    clock = ManualClock()
    Vault.held = {"a": CANARY}
    async with opened(tmp_path, clock=clock) as runtime:
        await runtime.secrets.get("a")
        Vault.down = True
        clock.advance(14.0)
        assert await runtime.secrets.get("a") == CANARY
        (told,) = events(caplog, "secret-stale")
        assert (told["age_seconds"], told["levelno"]) == (14.0, logging.WARNING)
        clock.advance(1.0)
        with pytest.raises(SecretUnavailableError):
            await runtime.secrets.get("a")
        Vault.down, Vault.held = False, {}
        with pytest.raises(MissingSecretError, match="adapter:secrets has no secret a"):
            await runtime.secrets.get("a")

    assert CANARY not in caplog.text


async def test_a_slow_store_is_given_up_and_a_late_answer_is_not_kept(tmp_path: Path) -> None:
    """The next who asks begins anew."""
    written(tmp_path, "[secrets]\ntimeout_seconds = 0.05\n")
    Vault.held, Vault.open = {"a": "one"}, asyncio.Event()
    async with opened(tmp_path) as runtime:
        with pytest.raises(SecretUnavailableError, match="longer than"):
            await runtime.secrets.get("a")
        Vault.open.set()
        assert await runtime.secrets.get("a") == "one"


@pytest.mark.parametrize("value", ["x" * 65_537, 7])
async def test_what_is_no_secret_is_refused(value: object, tmp_path: Path) -> None:
    """A store may give anything: only text of a bounded length counts."""
    written(tmp_path)
    Vault.held = {"a": value}  # type: ignore[dict-item]
    async with opened(tmp_path) as runtime:
        with pytest.raises(SecretUnavailableError, match="no text, or more than 65536"):
            await runtime.secrets.get("a")


async def test_no_text_tells_a_secret_not_even_that_of_a_rude_store(tmp_path: Path) -> None:
    """Errors of a store that are not the house's are told by their class only."""
    written(tmp_path, "[adapters.selections]\nsecrets = 'rude'\n")
    async with opened(tmp_path) as runtime:
        with pytest.raises(SecretUnavailableError, match="RuntimeError") as caught:
            await runtime.secrets.get("a")
        error: BaseException | None = caught.value
        while error is not None:
            assert CANARY not in repr(error) + str(error)
            error = error.__cause__ or error.__context__
        Vault.held = {"b": CANARY}
        await runtime.secrets.get("b", provider="vault")
        reading = await runtime.secrets.read(runtime.secrets.kept()[0])
        shown = [repr(runtime.secrets), repr(reading), str(runtime.secrets.status().as_json())]

    assert not [text for text in shown if CANARY in text]


async def test_inline_secrets_count_before_those_of_stores_and_are_marked(tmp_path: Path) -> None:
    """Outside development a warning says so; a provider named is asked all the same."""
    file = written(tmp_path, f"[secrets]\ninline = {{ a = '{CANARY}' }}\n")
    Vault.held = {"a": "one"}
    async with opened(tmp_path) as runtime:
        assert await runtime.secrets.get("a") == CANARY
        assert await runtime.secrets.get("a", provider="vault") == "one"
        assert runtime.warnings() == []
    file.write_text(file.read_text() + "[app]\nenvironment = 'production'\n")

    (warning,) = opened(tmp_path).warnings()

    assert warning == "secrets.inline (oneiric.toml:4) is for development, and this is production"


async def test_the_order_of_stores_is_told_without_names_of_secrets(tmp_path: Path) -> None:
    """Who is asked first, how long what it says counts, how much is kept."""
    written(tmp_path, "[secrets]\ncache_ttl_seconds = 5\ninline = { hush = 'x' }\n")
    Vault.held = {"quiet": CANARY}
    async with opened(tmp_path) as runtime:
        await runtime.secrets.get("quiet")
        told: Any = runtime.secrets.status().as_json()

    assert [(each["name"], each["kind"], each["standing"]) for each in told["order"]] == [
        ("inline", "inline", "selected"),
        ("vault", "provider", "selected"),
        ("env", "provider", "shadowed"),
        ("file", "provider", "shadowed"),
        ("rude", "provider", "shadowed"),
        ("hinged", "provider", "shadowed"),
    ]
    assert (told["cache_ttl_seconds"], told["inline_entries"], told["prefetched"]) == (5.0, 1, 1)
    assert not {word for word in ("hush", "quiet", CANARY) if word in str(told)}
