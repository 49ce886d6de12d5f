"""Settings: what a checked model gives, and what is told when it is wrong."""

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, field_validator

from oneiric.documents.model import annotation_at, validate_settings
from oneiric.errors import ConfigError, JSONValue


class Sink(BaseModel):
    target: Literal["stdout", "file"] = "stdout"
    level: int = 0


class Server(BaseModel):
    model_config = ConfigDict(extra="forbid")

    host: str = "localhost"
    port: Annotated[int, Field(ge=1, le=65535)] = 80
    token: SecretStr | None = None
    sink: Sink = Sink()
    sinks: list[Sink] = []
    by_name: dict[str, Sink] = {}

    @field_validator("host")
    @classmethod
    def _lower(cls, host: str) -> str:
        if host != host.lower():
            raise ValueError(f"{host} is not in lower case")
        return host


def problems_of(model: type[BaseModel], values: dict[str, JSONValue]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate_settings(model, values, key="server", origin_of=lambda path: f"at {path}")
    return [str(problem) for problem in caught.value.problems]


def test_good_values_give_the_model() -> None:
    """Text is read as the field needs it; what is missing has its default."""
    settings = validate_settings(Server, {"port": "8080"}, key="server", origin_of=str)

    assert settings == Server(port=8080)


def test_all_problems_are_told_at_once_with_path_and_origin() -> None:
    """Nested tables and lists have their own paths."""
    assert problems_of(
        Server,
        {
            "port": 0,
            "hots": "a",
            "sink": {"lvel": 1, "level": "high"},
            "sinks": [{}, {"target": "flie"}],
            "by_name": {"a.b": {"tarjet": "stdout"}},
        },
    ) == [
        "server.hots: unknown key; did you mean host? (at server.hots)",
        "server.sink.lvel: unknown key; did you mean level? (at server.sink.lvel)",
        (
            "server.by_name.a.b.tarjet: unknown key; did you mean target? "
            "(at server.by_name.a.b.tarjet)"
        ),
        "server.port: Input should be greater than or equal to 1 (at server.port)",
        (
            "server.sink.level: Input should be a valid integer, unable to parse string as an "
            "integer (at server.sink.level)"
        ),
        "server.sinks.1.target: Input should be 'stdout' or 'file' (at server.sinks.1.target)",
    ]


def test_a_missing_value_is_told_by_its_own_path() -> None:
    """The key that should be written is named."""

    class Needs(BaseModel):
        url: str

    assert problems_of(Needs, {}) == ["server.url: it is required (at server.url)"]


def test_a_model_that_allows_any_key_takes_it() -> None:
    """Only a model that says so."""

    class Open(BaseModel):
        model_config = ConfigDict(extra="allow")

    settings = validate_settings(Open, {"a": 1}, key="open", origin_of=str)
    assert settings.model_extra == {"a": 1}


def test_aliases_are_keys() -> None:
    """A field is known by the names under which pydantic takes it."""

    class Aliased(BaseModel):
        level: int = Field(default=0, validation_alias=AliasChoices("level", "log-level"))

    assert validate_settings(Aliased, {"log-level": 3}, key="a", origin_of=str).level == 3
    assert problems_of(Aliased, {"log-levle": 3}) == [
        "server.log-levle: unknown key; did you mean log-level? (at server.log-levle)"
    ]


def test_a_validator_that_quotes_the_value_is_masked() -> None:
    """The rest of what it says stays."""
    assert problems_of(Server, {"host": "Hunter2"}) == [
        "server.host: *** is not in lower case (at server.host)"
    ]


@given(st.text(min_size=4).filter(lambda text: text != text.lower()))
def test_no_value_stands_in_any_problem(value: str) -> None:
    """Whatever the value and the field, messages, details and form for people keep it out."""
    secret = f"<{value}>"
    values: dict[str, JSONValue] = {
        "host": secret,
        "port": secret,
        "token": [secret],
        "sink": secret,
        "sinks": [{"target": secret, "level": secret}],
    }
    with pytest.raises(ConfigError) as caught:
        validate_settings(Server, values, key="server", origin_of=lambda path: "file")

    assert len(caught.value.problems) == 6
    told = [problem.what for problem in caught.value.problems]
    assert not [what for what in told if secret in what or repr(secret)[1:-1] in what]
    assert secret not in caught.value.render()


def test_values_are_not_changed() -> None:
    """The caller's table is only read."""
    values: dict[str, JSONValue] = {"sinks": [{"target": "file"}]}

    validate_settings(Server, values, key="server", origin_of=str)

    assert values == {"sinks": [{"target": "file"}]}


@pytest.mark.parametrize(
    ("keys", "annotation"),
    [
        (["host"], str),
        (["sink", "level"], int),
        (["by_name", "x", "level"], int),
        (["sink", "nothing"], None),
        (["host", "nothing"], None),
    ],
)
def test_the_type_below_keys_is_found(keys: list[str], annotation: Any) -> None:
    """Models and tables are followed; elsewhere there is none."""
    assert annotation_at(Server, keys) == annotation
