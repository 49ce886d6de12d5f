"""Providers' settings: found under the provider's name, checked by its model."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from oneiric.core.candidate import Candidate
from oneiric.core.handle import Handle
from oneiric.core.plugin import Plugin
from oneiric.errors import ConfigError, OneiricError
from oneiric.runtime import RuntimeOrchestrator


class ShelfSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = 3
    label: str = "plain"
    password: SecretStr | None = None


class Shelf:
    def __init__(self, settings: ShelfSettings) -> None:
        self.settings = settings


SHELVES = Plugin(
    [
        Candidate("adapter:books", "shelf", Shelf, settings_model=ShelfSettings),
        Candidate("adapter:jars", "shelf", Shelf, settings_model=ShelfSettings),
        Candidate("service:books", "shelf", Shelf, settings_model=ShelfSettings),
    ]
)


async def settings_of(folder: Path, ref: str = "adapter:books") -> ShelfSettings:
    async with RuntimeOrchestrator.open(folder=folder, plugins=(SHELVES,)) as runtime:
        handle: Handle[Shelf] = runtime.lifecycle.use(ref)
        async with handle as shelf:
            return shelf.settings


async def test_without_settings_a_component_gets_its_defaults(tmp_path: Path) -> None:
    """A candidate with a settings model always receives checked settings."""
    assert await settings_of(tmp_path) == ShelfSettings()


async def test_settings_stand_under_the_providers_name(tmp_path: Path) -> None:
    """They reach every key of the domain that the provider fills, and no other domain."""
    (tmp_path / "oneiric.toml").write_text("[adapters.provider_settings.shelf]\nsize = 9\n")

    assert await settings_of(tmp_path, "adapter:books") == ShelfSettings(size=9)
    assert await settings_of(tmp_path, "adapter:jars") == ShelfSettings(size=9)
    assert await settings_of(tmp_path, "service:books") == ShelfSettings()


async def test_settings_under_key_and_provider_outrank_those_of_the_provider(
    tmp_path: Path,
) -> None:
    """`jars@shelf` is for that key alone, and is laid over the shorter name's table by key."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.shelf]\nsize = 9\nlabel = 'oak'\n"
        '[adapters.provider_settings."jars@shelf"]\nsize = 1\n'
    )

    assert await settings_of(tmp_path, "adapter:books") == ShelfSettings(size=9, label="oak")
    assert await settings_of(tmp_path, "adapter:jars") == ShelfSettings(size=1, label="oak")


async def test_a_wrong_setting_is_told_under_the_name_where_it_was_written(tmp_path: Path) -> None:
    """Whichever of the two tables holds it; what is in neither, in the narrower that is there."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.shelf]\nsize = 'x'\nlabel = 5\n"
        '[adapters.provider_settings."jars@shelf"]\nlabel = 6\nbook = 1\n'
    )

    with pytest.raises(ConfigError) as caught:
        await settings_of(tmp_path, "adapter:jars")

    assert sorted((each.key, each.origin) for each in caught.value.problems) == [
        ("adapters.provider_settings.jars@shelf.book", "oneiric.toml:6"),
        ("adapters.provider_settings.jars@shelf.label", "oneiric.toml:5"),
        ("adapters.provider_settings.shelf.size", "oneiric.toml:2"),
    ]


async def test_variables_outrank_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ONEIRIC_ADAPTERS__PROVIDER_SETTINGS__SHELF__SIZE` sets one key and leaves the others."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.shelf]\nsize = 9\nlabel = 'oak'\n"
    )
    monkeypatch.setenv("ONEIRIC_ADAPTERS__PROVIDER_SETTINGS__SHELF__SIZE", "4")

    assert await settings_of(tmp_path) == ShelfSettings(size=4, label="oak")


async def test_wrong_settings_name_file_line_and_key_of_each_at_once(tmp_path: Path) -> None:
    """Every problem is told with where it was written, a slip with the nearest spelling."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.shelf]\nsize = 'wide'\nlabl = 'oak'\n"
    )

    with pytest.raises(OneiricError) as caught:
        await settings_of(tmp_path)

    assert isinstance(caught.value, ConfigError)
    assert caught.value.exit_code == 2
    assert {(each.key, each.origin): each.what for each in caught.value.problems} == {
        ("adapters.provider_settings.shelf.size", "oneiric.toml:2"): (
            "Input should be a valid integer, unable to parse string as an integer"
        ),
        ("adapters.provider_settings.shelf.labl", "oneiric.toml:3"): (
            "unknown key; did you mean label?"
        ),
    }


async def test_a_wrong_secret_is_not_told(tmp_path: Path) -> None:
    """The message of a wrong value never repeats the value."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.shelf]\npassword = ['hunter2']\n"
    )

    with pytest.raises(ConfigError) as caught:
        await settings_of(tmp_path)

    assert "adapters.provider_settings.shelf.password" in str(caught.value)
    assert "hunter2" not in str(caught.value) + repr(caught.value.details())
