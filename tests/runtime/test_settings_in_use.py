"""What providers get: every value shown, none that is secret, all that is wrong at once."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.errors import ConfigError
from oneiric.runtime import Operator


class SafeSettings(BaseModel):
    size: int = 1
    url: str = ""
    pin: SecretStr | None = None
    headers: dict[str, str] = {}
    peers: list[dict[str, str]] = []


class BoxSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    depth: float = 0.5
    label: str


class OddSettings(BaseModel):
    size: int = 1

    @field_validator("size")
    @classmethod
    def _fail(cls, size: int) -> int:
        raise KeyError("odd")


OFFERS = Plugin(
    [
        Candidate("adapter:safe", "iron", dict, settings_model=SafeSettings, priority=1),
        Candidate("adapter:safe", "ghost", dict, settings_model="oneiric.no_such_room:Settings"),
        Candidate("adapter:safe", "odd", dict, settings_model=OddSettings, priority=-1),
        Candidate("adapter:vault", "iron", dict, settings_model=SafeSettings, priority=-1),
        Candidate("adapter:vault", "plain", dict),
        Candidate("adapter:box", "card", dict),
        Candidate("adapter:box", "wood", dict, settings_model=BoxSettings, priority=-1),
    ]
)
PREFIX = "adapters.provider_settings."


def shown(folder: Path) -> dict[str, tuple[Any, str]]:
    """Return value and origin of each setting of these providers."""
    answer = Operator(folder=folder, plugins=(OFFERS,)).settings(sources=True)
    found = {
        each.path.removeprefix(PREFIX): (each.value, each.origin)
        for each in answer.settings
        if each.path.startswith(PREFIX)
    }
    assert "hunter" not in repr(answer.as_json())
    names = ("iron", "safe@", "vault@", "ghost", "nobody", "wood", "card")
    return {path: found[path] for path in found if path.startswith(names)}


def problems(folder: Path) -> list[str]:
    """Return what `config show` finds wrong."""
    with pytest.raises(ConfigError) as caught:
        Operator(folder=folder, plugins=(OFFERS,)).settings()
    return sorted(str(problem) for problem in caught.value.problems)


def test_the_defaults_of_who_serves_are_shown(tmp_path: Path) -> None:
    """Who serves has settings though nobody wrote any; who neither serves nor is set has none."""
    assert shown(tmp_path) == {
        "iron.size": (1, "default"),
        "iron.url": ("", "default"),
        "iron.pin": (None, "default"),
        "iron.headers": ({}, "default"),
        "iron.peers": ([], "default"),
    }


def test_what_is_written_for_or_selects_a_provider_shows_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values have the type that the model gives them, wherever they come from."""
    monkeypatch.setenv("ONEIRIC_ADAPTERS__PROVIDER_SETTINGS__IRON__SIZE", "5")
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.selections]\nsafe = 'ghost'\nbox = 'wood'\n"
        "[adapters.provider_settings.wood]\nlabel = 'oak'\n"
    )

    found = shown(tmp_path)

    assert found["wood.depth"] == (0.5, "default")
    assert found["wood.label"] == ("oak", "oneiric.toml:5")
    variable = "ONEIRIC_ADAPTERS__PROVIDER_SETTINGS__IRON__SIZE"
    assert [found[f"{key}@iron.size"] for key in ("safe", "vault")] == [(5, variable)] * 2
    assert "iron.size" not in found


def test_settings_for_one_key_show_what_they_come_to(tmp_path: Path) -> None:
    """Under the longer name stand both tables merged, each value with where it was written."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.provider_settings.iron]\nsize = 4\nurl = 'a'\nheaders = { x = '1', y = '2' }\n"
        "[adapters.provider_settings.\"safe@iron\"]\nurl = 'b'\nheaders = { y = '3' }\n"
    )

    found = shown(tmp_path)

    assert {path: found[path] for path in found if path.startswith("safe@")} == {
        "safe@iron.size": (4, "oneiric.toml:2"),
        "safe@iron.url": ("b", "oneiric.toml:6"),
        "safe@iron.pin": (None, "default"),
        "safe@iron.headers.x": ("1", "oneiric.toml:4"),
        "safe@iron.headers.y": ("3", "oneiric.toml:7"),
        "safe@iron.peers": ([], "default"),
    }
    assert found["vault@iron.url"] == ("a", "oneiric.toml:3")


SECRETS = """
[adapters.provider_settings.iron]
size = 4
pin = "hunter1"
url = "https://me:hunter3@host/x"
headers = { Authorization = "hunter4", Accept = "json" }
peers = [{ name = "a", password = "hunter5" }]
[adapters.provider_settings.ghost]
anything = "hunter6"
[adapters.provider_settings.nobody]
anything = "hunter7"
[adapters.provider_settings."safe@iron"]
pin = "hunter8"
size = 5
"""


def test_no_secret_is_shown_however_it_is_spelled_or_nested(tmp_path: Path) -> None:
    """Secret by type, by name, inside an address or a list, or because nobody knows its type."""
    (tmp_path / "oneiric.toml").write_text(SECRETS)

    values = {path: value for path, (value, _) in shown(tmp_path).items()}

    hidden = "**********"
    for name, size in (("safe@iron", 5), ("vault@iron", 4)):
        assert {path: values[path] for path in values if path.startswith(name)} == {
            f"{name}.size": size,
            f"{name}.pin": hidden,
            f"{name}.url": f"https://{hidden}@host/x",
            f"{name}.headers.Authorization": hidden,
            f"{name}.headers.Accept": "json",
            f"{name}.peers": [{"name": "a", "password": hidden}],
        }
    assert values["ghost.anything"] == values["nobody.anything"] == hidden


def test_all_that_is_wrong_is_told_in_one_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sections, selections, stack order and providers' settings, each with its place."""
    monkeypatch.setenv("ONEIRIC_STACK_ORDER", "a,,b")
    (tmp_path / "oneiric.toml").write_text(
        "[app]\nnam = 'x'\n[adapters.selections]\n'a key' = 'x'\ncache = '../x'\n"
        "[adapters.provider_settings.iron]\nsize = 'wide'\nsiz = 1\n"
        "[adapters.provider_settings.wood]\ndepth = 1\n"
        "[adapters.provider_settings.odd]\nsize = 1\n"
    )

    number = "Input should be a valid integer, unable to parse string as an integer"
    unchecked = "its settings cannot be checked: KeyError: 'odd'"
    token = "'' does not name a stack; list stacks bottom to top, as in base,team,site:50"
    assert problems(tmp_path) == [
        "adapters.provider_settings.iron.siz: unknown key; did you mean size? (oneiric.toml:8)",
        f"adapters.provider_settings.iron.size: {number} (oneiric.toml:7)",
        f"adapters.provider_settings.odd: {unchecked} (oneiric.toml:11)",
        "adapters.provider_settings.wood.label: it is required (oneiric.toml:9)",
        "adapters.selections.a key: 'a key' is no name (oneiric.toml:4)",
        "adapters.selections.cache: '../x' is no name (oneiric.toml:5)",
        "app.nam: unknown key; did you mean name? (oneiric.toml:2)",
        f"resolver.stack_order: {token} (ONEIRIC_STACK_ORDER)",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("ONEIRIC_PROFILE", "nigt", "profile: there is no profile nigt; did you mean night?"),
        ("ONEIRIC_ADAPTERS__PROVIDER_SETTINGS__WOOD", "3", f"{PREFIX}wood: Input should be"),
    ],
)
def test_nothing_is_missing_that_what_is_spelled_wrong_may_give(
    variable: str, value: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right profile, or the right value, might say it."""
    monkeypatch.setenv(variable, value)
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.selections]\nbox = 'wood'\n"
        "[profiles.night.adapters.provider_settings.wood]\nlabel = 'x'\n"
    )

    (problem,) = problems(tmp_path)
    assert problem.startswith(what)


def test_wrong_settings_alone_are_told_by_whoever_shows_them(tmp_path: Path) -> None:
    """`config show` reports them; a command that does not load settings goes on."""
    (tmp_path / "oneiric.toml").write_text("[adapters.provider_settings.iron]\nsize = 'wide'\n")

    assert len(problems(tmp_path)) == 1
    assert Operator(folder=tmp_path, plugins=(OFFERS,)).list().decisions


def test_no_plugin_is_loaded_where_nothing_says_which_may_be(tmp_path: Path) -> None:
    """With a mistake in the section `plugins` the settings of providers wait for the next round."""
    (tmp_path / "oneiric.toml").write_text(
        "[plugins]\ndeny = 5\n[adapters.provider_settings.iron]\nsize = 'wide'\n"
    )

    assert problems(tmp_path) == ["plugins.deny: Input should be a valid tuple (oneiric.toml:2)"]
