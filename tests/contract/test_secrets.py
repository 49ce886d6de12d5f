"""Every secret store keeps what the port `SecretStore` promises; then each its own."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from oneiric.errors import OneiricError
from oneiric.ports import NotFoundError, NotSupportedError, SecretStore
from tests.contract.cases import (
    CASES,
    PASSWORD,
    SECRETS,
    Find,
    ProviderCase,
    Surroundings,
    brought_up,
    for_each,
)

FILE, ENV = "adapter:secrets@file", "adapter:secrets@env"
for_file = pytest.mark.parametrize("case", [CASES[FILE]], ids=["secrets@file"], indirect=True)
for_env = pytest.mark.parametrize("case", [CASES[ENV]], ids=["secrets@env"], indirect=True)


@pytest.fixture
async def store(case: ProviderCase, component: Find) -> SecretStore:
    """The store of the case, which holds `SECRETS`."""
    found: SecretStore = await component(case.offer)
    return found


@for_each("secrets")
async def test_missing_and_empty_differ(store: SecretStore) -> None:
    """An empty secret is a secret; a missing one is an error, or None where it may be."""
    assert await store.get_secret("db-password") == PASSWORD
    assert await store.get_secret("empty") == ""
    assert await store.get_secret("absent", allow_missing=True) is None
    for name in ("absent", ""):
        with pytest.raises(NotFoundError):
            await store.get_secret(name)


@for_each("secrets")
async def test_every_listed_name_can_be_read(store: SecretStore) -> None:
    """Sorted, and complete."""
    names = await store.list_secrets()

    assert names == sorted(names)
    assert [await store.get_secret(name) for name in names] == list(SECRETS.values())


@for_each("secrets")
async def test_a_version_is_refused_where_only_one_is_kept(store: SecretStore) -> None:
    """Rather than the wrong one be given."""
    with pytest.raises(NotSupportedError) as caught:
        await store.get_secret("db-password", version="2")

    assert caught.value.capability == "versions"


@for_each("secrets")
async def test_after_invalidation_a_read_is_fresh(
    store: SecretStore, here: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was read before."""
    await store.get_secret("db-password")
    monkeypatch.setenv("TESTS_SECRET_DB_PASSWORD", "rotated")
    (here.folder / "secrets.json").write_text(json.dumps({"db-password": "rotated"}))

    await store.invalidate_cache("db-password")

    assert await store.get_secret("db-password") == "rotated"


@for_env
async def test_a_name_becomes_a_variable(
    store: SecretStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a variable cannot have stands as an underscore; other variables stay unseen."""
    monkeypatch.setenv("TESTS_SECRET_API_V2_KEY", "k")

    assert await store.get_secret("api/v2.key") == "k"
    assert "path" not in await store.list_secrets()


@for_env
async def test_required_variables_are_told_all_at_once(
    case: ProviderCase, here: Surroundings
) -> None:
    """It does not come up without them."""
    here.changes[ENV] = {"required_keys": ["one", "db-password", "two"]}

    async with brought_up(here) as find:
        with pytest.raises(OneiricError, match="TESTS_SECRET_ONE, TESTS_SECRET_TWO"):
            await find(ENV)


@for_file
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.json", '{"db": {"password": "p", "port": 12345}}'),
        ("s.yaml", "db:\n  password: p\n  port: 12345\n"),
        ("s.toml", '[db]\npassword = "p"\nport = 12345\n'),
    ],
)
async def test_a_document_is_flattened_by_dots(
    case: ProviderCase, here: Surroundings, name: str, text: str
) -> None:
    """In each of the three formats, told by the suffix; an integer is a secret too."""
    (here.folder / name).write_text(text)
    here.changes[FILE] = {"path": str(here.folder / name)}

    async with brought_up(here) as find:
        store: SecretStore = await find(FILE)
        assert await store.list_secrets() == ["db.password", "db.port"]
        assert await store.get_secret("db.port") == "12345"


@for_file
@pytest.mark.parametrize(
    "text", ['{"a": null}', '{"a": true}', '{"a": 1.10}', '{"a": ["hunter2"]}', "[]", '{"a": hun']
)
async def test_a_document_that_holds_no_secrets_is_refused(
    case: ProviderCase, here: Surroundings, text: str
) -> None:
    """Naming the key, never the value."""
    (here.folder / "bad.json").write_text(text)
    here.changes[FILE] = {"path": str(here.folder / "bad.json")}

    async with brought_up(here) as find:
        with pytest.raises(OneiricError) as caught:
            await find(FILE)

    assert "hunter2" not in str(caught.value)


def mounted(folder: Path, version: str, **secrets: str) -> None:
    """Write a folder as the kubelet does: real files aside, links to links beside them."""
    data = folder / f"..{version}"
    data.mkdir(parents=True)
    for name, value in secrets.items():
        (data / name).write_text(value)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    (folder / "..data_tmp").symlink_to(data.name)
    (folder / "..data_tmp").rename(folder / "..data")


@for_file
async def test_a_mounted_folder_is_one_secret_a_file(
    case: ProviderCase, here: Surroundings
) -> None:
    """One newline at the end is dropped, and a rotation is seen at the next access if asked."""
    folder = here.folder / "mount"
    mounted(folder, "2026_01", user="ada", password="one\n")
    here.changes[FILE] = {"path": str(folder), "reload_on_access": True}

    async with brought_up(here) as find:
        store: SecretStore = await find(FILE)
        first = {name: await store.get_secret(name) for name in await store.list_secrets()}
        mounted(folder, "2026_02", user="ada", password="two")
        second = await store.get_secret("password")

    assert first == {"password": "one", "user": "ada"}
    assert second == "two"


@for_file
async def test_a_link_out_of_the_folder_is_refused(case: ProviderCase, here: Surroundings) -> None:
    """A folder of secrets is no way to read other files."""
    folder = here.folder / "mount"
    folder.mkdir()
    (here.folder / "outside").write_text(PASSWORD)
    (folder / "inside").symlink_to("../outside")
    here.changes[FILE] = {"path": str(folder)}

    async with brought_up(here) as find:
        with pytest.raises(OneiricError, match="leads out"):
            await find(FILE)


@for_file
@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
async def test_a_file_that_others_can_read_is_warned_of(
    case: ProviderCase,
    here: Surroundings,
    caplog: pytest.LogCaptureFixture,
    mode: int,
    warned: bool,
) -> None:
    """By an event that names the file."""
    caplog.set_level(logging.WARNING)
    path = here.folder / "s.json"
    path.write_text("{}")
    path.chmod(mode)
    here.changes[FILE] = {"path": str(path)}

    async with brought_up(here) as find:
        await find(FILE)

    assert ("secrets-readable-by-others" in caplog.text) is warned


@for_file
async def test_a_file_that_vanished_is_unhealthy(store: Any, here: Surroundings) -> None:
    """And healthy again when it is back; meanwhile what was read is still served."""
    path = here.folder / "secrets.json"
    path.rename(here.folder / "aside")
    gone = await store.health()
    (here.folder / "aside").rename(path)

    assert (gone.healthy, "no file" in gone.detail) == (False, True)
    assert bool(await store.health())


@for_file
async def test_a_pipe_is_no_file_of_secrets(case: ProviderCase, here: Surroundings) -> None:
    """Nothing hangs on it."""
    os.mkfifo(here.folder / "s.json")
    here.changes[FILE] = {"path": str(here.folder / "s.json")}

    async with brought_up(here) as find:
        with pytest.raises(OneiricError, match="regular file"):
            await find(FILE)
