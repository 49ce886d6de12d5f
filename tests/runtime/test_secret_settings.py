"""A setting may name a secret: it is read when the component is made, and shown nowhere."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from oneiric.core.candidate import Candidate, Source, SourceKind
from oneiric.core.plugin import Plugin
from oneiric.errors import ConfigError, OneiricError
from oneiric.runtime import Operator
from oneiric.runtime.secret_errors import MissingSecretError, SecretUnavailableError
from tests.runtime.vaults import (
    CANARY,
    DOOR,
    GATE,
    OFFERS,
    SAFE,
    Door,
    DoorSettings,
    Vault,
    forget,
    opened,
    settings,
    written,
)


@pytest.fixture(autouse=True)
def anew() -> None:
    """Forget what earlier tests said."""
    forget()


def problems(folder: Path) -> list[str]:
    """Return what `config show` finds wrong."""
    with pytest.raises(ConfigError) as caught:
        Operator(folder=folder, plugins=(OFFERS,)).settings()
    return sorted(str(problem) for problem in caught.value.problems)


async def failure(folder: Path, ref: str = DOOR) -> OneiricError:
    """Return why a component does not come up, once it was seen that no text holds the canary."""
    async with opened(folder) as runtime:
        with pytest.raises(OneiricError) as caught:
            await runtime.lifecycle.activate(ref)
        assert CANARY not in runtime.lifecycle.status(ref).problem
    error: BaseException | None = caught.value
    while error is not None:
        assert CANARY not in repr(error) + str(error) + repr(getattr(error, "problems", ""))
        error = error.__cause__ or error.__context__
    assert CANARY not in json.dumps(caught.value.as_json())
    return caught.value


async def test_a_secret_stands_where_a_setting_names_it(tmp_path: Path) -> None:
    """In settings of any type, at any depth; a table that is meant as one stays one."""
    text = """
    pin = { secret = "pin" }
    number = { secret = "number", version = 3 }
    keys = ["plain", { secret = "key" }]
    headers = { Authorization = { secret = "head" } }
    inner = { secret = "word" }
    """
    written(tmp_path, settings("oak", text))
    Vault.held = {"pin": CANARY, "number#3": "42", "key": "k", "head": "h"}
    async with opened(tmp_path) as runtime, runtime.lifecycle.use(DOOR) as door:
        found = door.settings

    assert (door.pin, found.number, found.keys) == (CANARY, 42, ["plain", "k"])
    assert (found.headers, found.inner.secret) == ({"Authorization": "h"}, "word")


async def test_what_is_made_in_a_thread_gets_its_secrets_too(tmp_path: Path) -> None:
    """Its settings are read there, and the store answers on the loop."""
    heavy = Candidate("adapter:heavy", "lead", Door, settings_model=DoorSettings, blocking=True)
    written(tmp_path, settings("lead", "pin = { secret = 'pin' }"))
    Vault.held = {"pin": CANARY}
    async with (
        opened(tmp_path, plugins=(OFFERS, Plugin([heavy]))) as runtime,
        runtime.lifecycle.use("adapter:heavy") as door,
    ):
        assert door.pin == CANARY


@pytest.mark.parametrize("key", ["pin", "word", "number", "picky", "loud", "pair"])
def test_who_only_looks_reads_no_secret_and_finds_nothing_wrong(key: str, tmp_path: Path) -> None:
    """Whatever the model makes of a value: it is masked, and its origin names the secret."""
    written(tmp_path, settings("oak", f"{key} = {{ secret = 'pin' }}"))

    answer = Operator(folder=tmp_path, plugins=(OFFERS,)).settings(sources=True)

    found = {each.path: (each.value, each.origin) for each in answer.settings}
    path = f"adapters.provider_settings.oak.{key}"
    assert found[path] == ("**********", "secret pin at oneiric.toml:4")
    assert Vault.asked == []
    assert sorted(each.name for each in tmp_path.iterdir()) == ["oneiric.toml"]


def test_what_is_wrong_beside_a_secret_is_found_by_who_looks(tmp_path: Path) -> None:
    """With all else, at once."""
    text = "picky = { secret = 'pin' }\nnumber = 10000\npinn = 1"
    written(tmp_path, settings("oak", text))

    path = "adapters.provider_settings.oak"
    assert problems(tmp_path) == [
        f"{path}.number: Input should be less than or equal to 9999 (oneiric.toml:5)",
        f"{path}.pinn: unknown key; did you mean pin? (oneiric.toml:6)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{ secret = '' }", "oak.pin.secret: String should have at least 1 character"),
        ("{ secret = 'a', verzion = '1' }", "oak.pin.verzion: unknown key; did you mean version?"),
        ("{ secret = ['zz'] }", "oak.pin.secret: Input should be a valid string"),
        (
            "{ secret = 'a', provider = 'fille' }",
            "oak.pin: there is no store adapter:secrets@fille; did you mean file?",
        ),
    ],
)
def test_a_secret_named_wrongly_is_a_problem_with_its_place(
    text: str, problem: str, tmp_path: Path
) -> None:
    """Also for who only looks."""
    written(tmp_path, settings("oak", f"pin = {text}"))

    assert problems(tmp_path) == [f"adapters.provider_settings.{problem} (oneiric.toml:4)"]


async def test_a_missing_secret_names_setting_line_and_secret(tmp_path: Path) -> None:
    """And what the store says about it."""
    written(tmp_path, settings("'door@oak'", "pin = { secret = 'slack-token', provider = 'env' }"))

    error = await failure(tmp_path)

    assert isinstance(error, MissingSecretError)
    assert error.exit_code == 6
    assert str(error) == (
        "adapter:secrets@env has no secret slack-token"
        " for adapters.provider_settings.door@oak.pin (oneiric.toml:4)\n"
        "  environment: no variable ONEIRIC_SECRET_SLACK_TOKEN"
    )


async def test_a_store_that_is_down_names_setting_line_and_secret(tmp_path: Path) -> None:
    """The component does not come up, and does when the store is back."""
    written(tmp_path, settings("oak", "pin = { secret = 'pin' }"))
    Vault.down, Vault.held = True, {"pin": CANARY}
    async with opened(tmp_path) as runtime:
        with pytest.raises(SecretUnavailableError) as caught:
            await runtime.lifecycle.activate(DOOR)
        Vault.down = False
        async with runtime.lifecycle.use(DOOR) as door:
            assert door.pin == CANARY

    assert caught.value.message == (
        "adapter:secrets does not give the secret pin"
        " for adapters.provider_settings.oak.pin (oneiric.toml:4): vault: connection refused"
    )


@pytest.mark.parametrize("key", ["number", "picky", "loud", "pair"])
async def test_no_error_quotes_a_secret_that_is_none_for_its_setting(
    key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where the model's own words do."""
    caplog.set_level(logging.DEBUG)
    written(tmp_path, settings("oak", f"{key} = {{ secret = 'pin' }}"))
    Vault.held = {"pin": CANARY}

    error = await failure(tmp_path)

    assert isinstance(error, ConfigError)
    (problem,) = error.problems
    assert problem.key.startswith("adapters.provider_settings.oak")
    assert CANARY not in caplog.text


async def test_no_text_tells_a_secret_that_is_in_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Logs at the finest level, settings shown, status, what was made, what is kept."""
    caplog.set_level(logging.DEBUG)
    written(
        tmp_path,
        settings("oak", "pin = { secret = 'pin' }\nword = { secret = 'word' }"),
        f"[secrets]\ninline = {{ word = '{CANARY}-2' }}\n",
    )
    Vault.held = {"pin": CANARY}
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(DOOR)
        Vault.held = {"pin": f"{CANARY}-3"}
        report = await runtime.secrets.rotate(["pin", "word"])
        shown: list[Any] = [
            report,
            report.as_json(),
            report.render(columns=80),
            runtime.secrets,
            runtime.secrets.status(),
            runtime.running.made_with(),
            runtime.lifecycle.status(DOOR),
            runtime.config,
            runtime.settings_in_use.listing(),
        ]
    answer = Operator(folder=tmp_path, plugins=(OFFERS,)).settings(sources=True)
    shown += [answer, json.dumps(answer.as_json())]

    assert [each.ok for each in report.swapped] == [True]
    assert not [text for text in map(repr, shown) if CANARY in text]
    assert CANARY not in caplog.text + "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("provider", "text", "problem"),
    [
        ("vault", "pin = { secret = 'a' }", "a store says which other store has its secrets"),
        (
            "vault",
            "pin = { secret = 'a', provider = 'vault' }",
            "adapter:secrets@vault is to read this secret, and needs adapter:secrets@vault itself",
        ),
    ],
)
def test_a_store_cannot_hold_its_own_secrets(
    provider: str, text: str, problem: str, tmp_path: Path
) -> None:
    """It would have to be up before it is made."""
    written(tmp_path, settings(provider, text))

    (told,) = problems(tmp_path)

    assert told.startswith(f"adapters.provider_settings.{provider}.pin: {problem}")


async def test_stores_that_need_each_other_are_refused(tmp_path: Path) -> None:
    """By their secrets, or by what they require; and no component waits for itself."""
    circle = "pin = { secret = 'a', provider = '%s' }"
    written(tmp_path, settings("vault", circle % "rude"), settings("rude", circle % "vault"))
    assert len(problems(tmp_path)) == 2

    written(tmp_path, settings("oak", circle % "hinged"))
    (told,) = problems(tmp_path)
    assert "adapter:secrets@hinged is to read this secret, and needs adapter:door@oak" in told
    error = await failure(tmp_path)
    assert isinstance(error, ConfigError)


async def test_a_store_may_have_its_secrets_from_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a store that asks for a token takes it from the environment."""
    monkeypatch.setenv("ONEIRIC_SECRET_TOKEN", "t")
    written(
        tmp_path,
        settings("vault", "pin = { secret = 'token', provider = 'env' }"),
        settings("oak", "pin = { secret = 'pin' }"),
    )
    Vault.held = {"pin": CANARY}
    async with opened(tmp_path) as runtime:
        async with runtime.lifecycle.use(DOOR) as door:
            assert door.pin == CANARY
        async with runtime.lifecycle.use("adapter:secrets") as vault:
            assert vault.settings.pin.get_secret_value() == "t"


async def test_a_manifest_may_name_no_secret(tmp_path: Path) -> None:
    """It could have any of them sent anywhere; who runs the program may."""
    afar = Candidate(
        DOOR,
        "afar",
        Door,
        settings_model=DoorSettings,
        metadata={"settings": {"pin": {"secret": "pin"}, "word": "w"}},
        source=Source(SourceKind.MANIFEST, "acme"),
    )
    offers = (OFFERS, Plugin([afar]))
    Vault.held = {"pin": CANARY, "own": "mine"}
    chosen = "[adapters.selections]\ndoor = 'afar'"
    written(tmp_path, chosen)
    async with opened(tmp_path, plugins=offers) as runtime:
        with pytest.raises(ConfigError) as caught:
            await runtime.lifecycle.activate(DOOR)
    path = "adapters.provider_settings.afar.pin"
    assert list(map(str, caught.value.problems)) == [
        f"{path}: a manifest may not name a secret; write it as {path} (manifest:acme)"
    ]

    written(tmp_path, chosen, settings("afar", "pin = { secret = 'own' }"))
    async with (
        opened(tmp_path, plugins=offers) as runtime,
        runtime.lifecycle.use(DOOR) as door,
    ):
        assert (door.pin, door.settings.word) == ("mine", "w")
    assert Vault.asked == ["own"]


async def test_settings_without_secrets_open_no_store(tmp_path: Path) -> None:
    """Nor is anything of that room made."""
    written(tmp_path, settings("oak", "pin = '1'"))
    async with opened(tmp_path) as runtime:
        await runtime.lifecycle.activate(GATE)
        await runtime.lifecycle.activate(SAFE)

        assert "secrets" not in vars(runtime)
        assert runtime.lifecycle.status("adapter:secrets").generation == 0
