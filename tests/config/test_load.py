"""Loading: file, profile and environment together, every problem at once, no secrets told."""

import os
import string
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, JsonValue, SecretStr

from oneiric.config import Config, Setting, load_config
from oneiric.errors import ConfigError, NotFoundError, Problem


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class App(Strict):
    name: str = "oneiric"
    debug: bool = False
    workers: int = 1
    ratio: float | None = None
    tags: list[str] = []
    token: SecretStr | None = None


class Adapters(Strict):
    selections: dict[str, str] = {}
    provider_settings: dict[str, dict[str, JsonValue]] = {}


class Logging(Strict):
    emit_json: bool = False
    level: str = "info"


class Stacks(Strict):
    stack_order: str = ""


SECTIONS: Mapping[str, type[BaseModel]] = {
    "app": App,
    "adapters": Adapters,
    "logging": Logging,
    "resolver": Stacks,
}


def load(
    folder: Path, environ: Mapping[str, str] | None = None, *, profile: str | None = None
) -> Config:
    return load_config(
        SECTIONS,
        folder=folder,
        environ=environ or {},
        profile=profile,
        variables={"ONEIRIC_STACK_ORDER": "resolver.stack_order"},
    )


def problems(folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, environ)
    return [str(problem) for problem in caught.value.problems]


def test_without_file_and_variables_all_is_default(tmp_path: Path) -> None:
    """Every section exists; every origin is `default`."""
    config = load(tmp_path)

    assert config.section("app") == App()
    assert (config.file, config.profile, config.folder) == (None, "default", tmp_path)
    assert {setting.origin for setting in config.settings()} == {"default"}
    with pytest.raises(NotFoundError, match="adaptors"):
        config.section("adaptors")


FILE = """\
[app]
name = "shop"
workers = 2
[logging]
level = "debug"
[profiles.staging.app]
workers = 3
[profiles.serverless.logging]
level = "warning"
"""


def test_later_layers_win_and_every_value_knows_its_origin(tmp_path: Path) -> None:
    """Default, file, built-in profile, the file's profile, environment: in this order."""
    (tmp_path / "oneiric.toml").write_text(FILE)
    config = load(tmp_path, {"ONEIRIC_PROFILE": "serverless", "ONEIRIC_APP__WORKERS": "9"})

    assert config.section("app") == App(name="shop", workers=9)
    assert config.section("logging") == Logging(level="warning", emit_json=True)
    paths = ("app.name", "app.debug", "app.workers", "logging.emit_json", "logging.level")
    assert [config.origin(path) for path in paths] == [
        "oneiric.toml:2",
        "default",
        "ONEIRIC_APP__WORKERS",
        "profile serverless",
        "profile serverless at oneiric.toml:9",
    ]


def test_an_argument_names_the_profile_before_the_variable(tmp_path: Path) -> None:
    """A profile that only the file knows is as good as a built-in one."""
    (tmp_path / "oneiric.toml").write_text(FILE)
    config = load(tmp_path, {"ONEIRIC_PROFILE": "serverless"}, profile="staging")

    assert (config.profile, config.section("app")) == ("staging", App(name="shop", workers=3))


def test_cloud_run_is_serverless_where_nobody_names_a_profile(tmp_path: Path) -> None:
    """What the process was told by whoever started it sets no key, and is handed on as it is."""
    told = {"K_SERVICE": "orders", "PORT": "8080", "NOTIFY_SOCKET": "", "HOME": "/root"}
    config = load(tmp_path, told)

    assert config.profile == "serverless"
    assert dict(config.process) == {"K_SERVICE": "orders", "PORT": "8080"}
    assert load(tmp_path, {**told, "ONEIRIC_PROFILE": "default"}).profile == "default"
    assert load(tmp_path, told, profile="default").profile == "default"
    assert "orders" not in repr(config)


def test_an_unknown_profile_is_an_error_with_the_nearest_spelling(tmp_path: Path) -> None:
    """Nobody runs with the wrong settings because of a slip."""
    (tmp_path / "oneiric.toml").write_text("[app]\ndebgu = true\n")

    assert problems(tmp_path, {"ONEIRIC_PROFILE": "serverles"}) == [
        "profile: there is no profile serverles; did you mean serverless? (ONEIRIC_PROFILE)",
        "app.debgu: unknown key; did you mean debug? (oneiric.toml:2)",
    ]
    with pytest.raises(ConfigError, match=r"no profile zz; profiles: .* \(--profile\)"):
        load(tmp_path, profile="zz")


@pytest.mark.parametrize(
    "environ", [{"ONEIRIC_APP__NAME": "a\udcff"}, {"ONEIRIC_APP__\udcff": "a"}]
)
def test_a_variable_that_is_no_utf_8_text_is_refused(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """Bytes that the system handed in as lone surrogates never become a setting."""
    (line,) = problems(tmp_path, environ)

    assert line.startswith("app.")
    assert ": its bytes are not UTF-8 text (ONEIRIC_APP__" in line


def test_a_variable_whose_json_holds_a_lone_surrogate_is_refused(tmp_path: Path) -> None:
    """Escaped in JSON it is no text either."""
    (line,) = problems(tmp_path, {"ONEIRIC_APP__TAGS": '["\\ud800"]'})

    assert "holds a lone surrogate" in line


def test_what_the_file_says_is_known_beside_what_counts(tmp_path: Path) -> None:
    """The file with its profile, without variables; None where it says nothing."""
    (tmp_path / "oneiric.toml").write_text(
        "[adapters.selections]\ncache = 'redis'\n'a.b' = 'x'\n"
        "[profiles.night.adapters.selections]\ncache = 'files'\n"
    )
    environ = {"ONEIRIC_ADAPTERS__SELECTIONS__CACHE": "memory"}
    config, night = load(tmp_path, environ), load(tmp_path, environ, profile="night")

    assert config.section("adapters") == Adapters(selections={"cache": "memory", "a.b": "x"})
    assert config.filed("adapters", "selections", "cache") == "redis"
    assert night.filed("adapters", "selections", "cache") == "files"
    assert night.filed("adapters", "selections", "a.b") == "x"
    assert [config.filed("adapters", "selections", "y"), config.filed("app", "name", "x")] == [
        None,
        None,
    ]


def test_what_else_is_wrong_can_be_told_in_the_same_round(tmp_path: Path) -> None:
    """Whoever checks further gets the settings that are right, and is asked only on an error."""
    seen: list[tuple[BaseModel, BaseModel, list[str]]] = []

    def further(config: Config, found: Sequence[Problem]) -> list[Problem]:
        keys = [problem.key for problem in found]
        seen.append((config.section("app"), config.section("logging"), keys))
        return [Problem("more", "wrong too", "here")]

    (tmp_path / "oneiric.toml").write_text("logging = 1\n[app]\nname = 'a'\nworkers = 'x'\n")
    with pytest.raises(ConfigError) as caught:
        load_config(SECTIONS, folder=tmp_path, environ={}, further=further)
    load_config(SECTIONS, folder=tmp_path / "nowhere", environ={}, further=further)

    assert seen == [(App(name="a"), Logging(), ["app.workers", "logging"])]
    assert [each.key for each in caught.value.problems] == ["app.workers", "logging", "more"]


def test_a_file_may_be_named_by_variable_or_argument(tmp_path: Path) -> None:
    """The argument counts first; both start from the folder."""
    (tmp_path / "a.json").write_text('{"app": {"name": "a"}}')
    (tmp_path / "b.yaml").write_text("app: {name: b}")
    environ = {"ONEIRIC_CONFIG": "a.json"}

    assert load(tmp_path, environ).section("app") == App(name="a")
    config = load_config(SECTIONS, folder=tmp_path, environ=environ, path=Path("b.yaml"))
    assert (config.section("app"), config.file) == (App(name="b"), tmp_path / "b.yaml")
    with pytest.raises(NotFoundError, match=r"c\.toml"):
        load(tmp_path, {"ONEIRIC_CONFIG": "c.toml"})


def test_defect_oneiric_c3_the_environment_is_never_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the process's own nor a mapping that was handed in."""
    monkeypatch.setenv("ONEIRIC_APP__DEBUG", "true")
    before = dict(os.environ)

    config = load_config(SECTIONS, folder=tmp_path)

    assert config.section("app") == App(debug=True)
    assert dict(os.environ) == before


@pytest.mark.parametrize("text", ["12345", "1e5", "a,b", "true", "", "[x", '["x"]', "null", " "])
def test_defect_oneiric_c4_text_stays_as_it_is_written(tmp_path: Path, text: str) -> None:
    """A name or token is never taken for a number, a list or a truth value."""
    config = load(tmp_path, {"ONEIRIC_APP__NAME": text, "ONEIRIC_APP__TOKEN": text})

    assert config.section("app") == App(name=text, token=SecretStr(text))


def test_defect_oneiric_c4_a_single_name_beside_a_key_below_it_is_left_alone(
    tmp_path: Path,
) -> None:
    """Names without `__` that no table knows are not ours."""
    environ = {"ONEIRIC_APP": "x", "ONEIRIC_APP__DEBUG": "yes", "ONEIRIC_SECRET_A__B": "s"}

    assert load(tmp_path, environ).section("app") == App(debug=True)


def test_defect_oneiric_c5_unknown_keys_and_sections_are_all_told(tmp_path: Path) -> None:
    """File, unchosen profiles and variables alike, each with line or name and a suggestion."""
    (tmp_path / "oneiric.toml").write_text("""\
[adapter.selections]
cache = "redis"
[app]
debgu = true
[profiles.staging.app]
wrokers = 3
[profiles.staging.lgoging]
""")
    environ = {"ONEIRIC_APP__NAEM": "x", "ONEIRIC_LOGING__LEVEL": "x", "ONEIRIC_APP__": "x"}

    assert problems(tmp_path, environ) == [
        "profiles.staging.app.wrokers: unknown key; did you mean workers? (oneiric.toml:6)",
        "profiles.staging.lgoging: unknown section; did you mean logging? (oneiric.toml:7)",
        "ONEIRIC_APP__: it names no section and key (ONEIRIC_APP__)",
        "adapter: unknown section; did you mean adapters? (oneiric.toml:1)",
        "loging: unknown section; did you mean logging? (ONEIRIC_LOGING__LEVEL)",
        "app.debgu: unknown key; did you mean debug? (oneiric.toml:4)",
        "app.naem: unknown key; did you mean name? (ONEIRIC_APP__NAEM)",
    ]


def test_wrong_values_are_told_where_they_were_written_and_never_quoted(tmp_path: Path) -> None:
    """A value in an error could be a secret in a log."""
    (tmp_path / "oneiric.yaml").write_text("app:\n  workers: hunter2\nlogging: hunter2\n")
    environ = {"ONEIRIC_APP__DEBUG": "hunter2", "ONEIRIC_APP__TAGS": "hunter2"}

    told = problems(tmp_path, environ)

    assert [line.rpartition(" (")[2] for line in told] == [
        "ONEIRIC_APP__TAGS)",
        "ONEIRIC_APP__DEBUG)",
        "oneiric.yaml:2)",
        "oneiric.yaml:3)",
    ]
    assert "hunter2" not in "".join(told)


def test_lists_and_tables_come_from_variables_as_json(tmp_path: Path) -> None:
    """A key below a table is laid over the table, whatever their order."""
    environ = {
        "ONEIRIC_APP__TAGS": '["a", "b,c"]',
        "ONEIRIC_ADAPTERS__SELECTIONS__QUEUE": "redis",
        "ONEIRIC_ADAPTERS__SELECTIONS": '{"cache": "memory", "queue": "memory"}',
        "ONEIRIC_ADAPTERS__PROVIDER_SETTINGS__REDIS__HOSTS": '["h"]',
        "ONEIRIC_ADAPTERS__PROVIDER_SETTINGS__REDIS__DB": "7",
        "ONEIRIC_ADAPTERS__PROVIDER_SETTINGS__REDIS__PASSWORD": "{x",
    }
    config = load(tmp_path, environ)

    assert config.section("app") == App(tags=["a", "b,c"])
    assert config.section("adapters") == Adapters(
        selections={"cache": "memory", "queue": "redis"},
        provider_settings={"redis": {"hosts": ["h"], "db": "7", "password": "{x"}},
    )


def test_a_variable_of_a_table_of_names_sets_its_key(tmp_path: Path) -> None:
    """The long form wins over the short one."""
    config = load(tmp_path, {"ONEIRIC_STACK_ORDER": "base,team"})
    assert config.section("resolver") == Stacks(stack_order="base,team")
    assert config.origin("resolver.stack_order") == "ONEIRIC_STACK_ORDER"

    both = {"ONEIRIC_STACK_ORDER": "a", "ONEIRIC_RESOLVER__STACK_ORDER": "b"}
    assert load(tmp_path, both).section("resolver") == Stacks(stack_order="b")


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False),
)
def test_any_value_survives_the_way_through_a_variable(
    name: str, workers: int, debug: bool, ratio: float
) -> None:
    """What is written as text arrives as the field's type and equal."""
    environ = {
        "ONEIRIC_APP__NAME": name,
        "ONEIRIC_APP__WORKERS": str(workers),
        "ONEIRIC_APP__DEBUG": str(debug).lower(),
        "ONEIRIC_APP__RATIO": repr(ratio),
    }
    config = load(Path("/nowhere"), environ)

    assert config.section("app") == App(name=name, workers=workers, debug=debug, ratio=ratio)


@given(
    st.dictionaries(
        st.text(string.ascii_uppercase + "_", max_size=12).map("ONEIRIC_".__add__),
        st.text('[]{}",: ax1', max_size=8),
        max_size=4,
    )
)
def test_any_variables_give_a_configuration_or_a_config_error(environ: dict[str, str]) -> None:
    """No variable brings out another exception."""
    environ.pop("ONEIRIC_CONFIG", None)
    try:
        load(Path("/nowhere"), environ)
    except ConfigError as error:
        told = error
    else:
        return
    assert told.problems or "profile" in told.message


def test_settings_list_every_effective_value_without_secrets(tmp_path: Path) -> None:
    """Secrets are redacted by type; providers' settings unless cleared."""
    (tmp_path / "oneiric.toml").write_text("""\
[app]
token = "hunter2"
tags = ["x"]
[adapters.provider_settings.redis]
url = "redis://:hunter2@h"
""")
    config = load(tmp_path, {"ONEIRIC_APP__RATIO": "inf"})
    hidden = Setting("adapters.provider_settings.redis.url", "**********", "oneiric.toml:5")

    assert config.settings() == [
        Setting("app.name", "oneiric", "default"),
        Setting("app.debug", False, "default"),
        Setting("app.workers", 1, "default"),
        Setting("app.ratio", "inf", "ONEIRIC_APP__RATIO"),
        Setting("app.tags", ["x"], "oneiric.toml:3"),
        Setting("app.token", "**********", "oneiric.toml:2"),
        Setting("adapters.selections", {}, "default"),
        hidden,
        Setting("logging.emit_json", False, "default"),
        Setting("logging.level", "info", "default"),
        Setting("resolver.stack_order", "", "default"),
    ]
    cleared = {each.path: each.value for each in config.settings(secret="app.name".__eq__)}
    assert cleared["app.name"] == "**********"
    assert cleared["app.token"] == "**********"
    assert cleared["adapters.provider_settings.redis.url"] == "redis://:hunter2@h"


def test_no_secret_stands_in_the_text_of_a_configuration(tmp_path: Path) -> None:
    """A configuration that is logged whole tells none."""
    (tmp_path / "oneiric.toml").write_text("[app]\ntoken = 'hunter2'\n")

    assert "hunter2" not in repr(load(tmp_path))
