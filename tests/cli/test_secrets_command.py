"""`oneiric secrets rotate`, in a process of its own and beside nobody."""

import asyncio
import os
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.runtime.lock import FolderLock
from tests.cli.calls import Call, document

TEXT = "[adapters.provider_settings.redis]\npassword = { secret = 'redis-password' }\n"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a configuration that names a secret."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "oneiric.toml").write_text(TEXT)


def test_defect_oneiric_secrets_rotate_a_new_process_pretends_nothing(
    call: Call, tmp_path: Path
) -> None:
    """It keeps no secrets, so it says that none is to be forgotten, and leaves no file."""
    found = document(call("secrets", "rotate", "--keys", "redis-password", "--json"))

    assert (found["applied"], found["keys"]) == ("local", ["redis-password"])
    assert "no orchestrator runs here" in found["note"]
    code, out, _ = call("secrets", "rotate", "--all")
    assert (code, out) == (
        0,
        "local: no orchestrator runs here, and only one that runs keeps secrets\n",
    )
    assert [each.name for each in tmp_path.iterdir()] == ["oneiric.toml"]


@pytest.mark.parametrize(
    ("option", "mine"), [("--demo", "further offers"), ("--profile=serverless", "another")]
)
def test_promise_c1_one_that_runs_and_was_not_asked_is_named(
    option: str, mine: str, call: Call, tmp_path: Path
) -> None:
    """It is not said that nobody runs where somebody does."""
    lock = FolderLock(tmp_path / ".oneiric_cache" / "orchestrator.lock")
    asyncio.run(lock.take(SystemClock(), health=tmp_path / "health"))
    try:
        found = document(call(option, "secrets", "rotate", "--all", "--json"))
    finally:
        lock.release()

    assert found["applied"] == "local"
    assert found["note"].startswith(f"process {os.getpid()} runs here, but was not asked, for this")
    assert f"names {mine}" in found["note"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--keys", "redis-pasword"), 6, "hint: did you mean redis-password?"),
        (("--keys", ""), 2, "hint: oneiric secrets rotate --keys NAME,NAME, or --all"),
        (("--keys", "a", "--all"), 2, "not both"),
    ],
)
def test_what_cannot_be_meant_is_an_error(
    words: tuple[str, ...], code: int, told: str, call: Call
) -> None:
    """With what may have been meant."""
    ended, out, err = call("secrets", "rotate", *words)

    assert (ended, out) == (code, "")
    assert told in err
