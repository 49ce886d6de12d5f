"""The notation: what may stand in a recipe, field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from oneiric.backoff import LONGEST_SECONDS
from oneiric.documents.model import refused

_STRICT = ConfigDict(
    extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, populate_by_name=True
)
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d)")
_UNIT_SECONDS: Mapping[str, float] = MappingProxyType(
    {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
)
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$"
MOST_STEPS = 10_000


def seconds(value: object) -> object:
    """Return a duration in seconds: a number of them, or a text such as `30s`, `5m` or `7d`."""
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if not found:
            raise refused("it must be a number of seconds, or such as 30s, 5m, 1h or 7d")
        return float(found[1]) * _UNIT_SECONDS[found[2]]
    return float(value) if type(value) is int else value


Seconds: TypeAlias = Annotated[float, BeforeValidator(seconds), Field(ge=0, le=LONGEST_SECONDS)]
Above: TypeAlias = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=LONGEST_SECONDS)]
Name: TypeAlias = Annotated[str, Field(pattern=_NAME)]
Scalar: TypeAlias = "bool | int | float | str"
Kind: TypeAlias = Literal["python", "shell", "http", "recipe", "approve"]
OnError: TypeAlias = Literal["fail", "continue"]
Merge: TypeAlias = Literal["fail_on_conflict", "last_write_wins"]


class RetrySpec(BaseModel):
    """How often a failed step is tried again, and after which failures.

    `max` counts the attempts after the first. `on` names causes: `timeout`, `exit:75`, an
    error's code or an exception's type; empty means any.
    """

    model_config = _STRICT

    max: int = Field(default=0, ge=0, le=1_000)
    delay_sec: Seconds = 0.0
    backoff: Literal["constant", "exponential"] = "constant"
    max_delay_sec: Seconds = 60.0
    jitter: float = Field(default=0.0, ge=0, le=1)
    on: list[str] = Field(default_factory=list)


class MatchSpec(BaseModel):
    """One assertion on a value of the context: the part at `path` compared with what is given."""

    model_config = _STRICT

    key: str
    path: str = ""
    eq: JsonValue = None
    ne: JsonValue = None
    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None
    in_: list[JsonValue] | None = Field(default=None, validation_alias=AliasChoices("in"))
    contains: JsonValue = None
    matches: str | None = None
    exists: bool | None = None


class SuccessSpec(BaseModel):
    """What must hold after a step, or it has failed whatever it said."""

    model_config = _STRICT

    ctx_has_keys: list[str] = Field(default_factory=list)
    ctx_match: list[MatchSpec] = Field(default_factory=list)
    files_exist: list[str] = Field(default_factory=list)
    json_schema: dict[str, str] = Field(default_factory=dict)
    exit_codes: list[int] = Field(default_factory=lambda: [0])

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        return self  # the one that stands where a step says nothing: nobody changes it


class CacheSpec(BaseModel):
    """What a step's result depends on besides its code and its arguments.

    `inputs` are files, `keys` are keys of the context, `env` are variables; another `version`
    makes earlier results unknown, and after `ttl` they are too old.
    """

    model_config = _STRICT

    inputs: list[str] = Field(default_factory=list)
    keys: list[str] = Field(default_factory=list)
    env: list[str] = Field(default_factory=list)
    version: int | str = 1
    ttl: Above | None = None


class InputSpec(BaseModel):
    """One value that whoever runs the recipe may give, and what it must be."""

    model_config = _STRICT

    type: Literal["str", "int", "float", "bool", "path", "list", "dict"] = "str"
    description: str = ""
    default: JsonValue = None
    required: bool | None = None
    min: float | None = None
    max: float | None = None
    choices: list[JsonValue] = Field(default_factory=list)
    pattern: str = ""
    must_exist: bool = False
    secret: bool = False


class AllowSpec(BaseModel):
    """What the recipe lets its steps use; it narrows what the host allows, and never widens it."""

    model_config = _STRICT

    modules: list[str] | None = None
    shell: bool = False
    paths: list[str] | None = None


class ConcurrencySpec(BaseModel):
    """How much runs at once: steps of a run, and runs of a group."""

    model_config = _STRICT

    max_parallel: int | None = Field(default=None, ge=1, le=1_000)
    group: str = ""
    on_busy: Literal["queue", "cancel", "fail"] = "queue"


class DefaultsSpec(BaseModel):
    """What holds for each step that says nothing else."""

    model_config = _STRICT

    timeout: Above | None = None
    retry: RetrySpec = RetrySpec()
    on_error: OnError = "fail"
    merge: Merge = "fail_on_conflict"


class ReportSpec(BaseModel):
    """A report that is written when a run is over; without a path it is printed on stderr."""

    model_config = _STRICT

    format: Literal["html", "markdown", "junit", "json"]
    path: str = ""


class StdinSpec(BaseModel):
    """What a command reads: the JSON of a key of the context, or a text."""

    model_config = _STRICT

    ctx: str = ""
    text: str = ""


class MatrixSpec(BaseModel):
    """Values for which a step is done once each, in every combination but the excluded ones."""

    model_config = ConfigDict(**{**_STRICT, "extra": "allow"})

    exclude: list[dict[str, Scalar]] = Field(default_factory=list)
    fail_fast: bool = True
    max_parallel: int | None = Field(default=None, ge=1, le=1_000)


class StepSpec(BaseModel):
    """One step: what it does, after which others, and when it has succeeded."""

    model_config = _STRICT

    name: Name
    idx: int | None = None
    type: Kind = "python"
    description: str = ""
    depends_on: list[str] = Field(
        default_factory=list, validation_alias=AliasChoices("depends_on", "needs")
    )
    if_: str | bool = Field("", validation_alias=AliasChoices("if"))
    parallel: bool = False
    matrix: MatrixSpec | None = None
    retry: RetrySpec | None = None
    timeout: Above | None = None
    on_error: OnError | None = None
    merge: Merge | None = None
    outputs: list[str] | None = None
    success: SuccessSpec = SuccessSpec()
    cache: CacheSpec | None = None
    cache_key: str = ""
    # python
    module: str = ""
    function: str = Field("", validation_alias=AliasChoices("function", "class"))
    args: dict[str, JsonValue] | list[JsonValue] = Field(
        default_factory=dict, validation_alias=AliasChoices("args", "params")
    )
    requires_process: bool = False
    # shell
    run: list[str] | str = Field("", validation_alias=AliasChoices("run", "cmd"))
    script: str = ""
    env: dict[str, str] = Field(default_factory=dict)
    shell_env_keys: list[str] = Field(default_factory=list)
    cwd: str = ""
    stdin: StdinSpec | None = None
    stdin_from_ctx: str = ""
    stdout: Literal["json", "text", "none"] | None = None
    stdout_key: str = Field("", validation_alias=AliasChoices("stdout_key", "stdout_to_ctx"))
    stdout_to: str = ""
    # http
    url: str = ""
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    json_: JsonValue = Field(default=None, validation_alias=AliasChoices("json"))
    body: str | None = None
    status: list[int] = Field(default_factory=list)
    save_to: str = ""
    # recipe
    recipe: str = ""
    inputs: dict[str, JsonValue] = Field(default_factory=dict)
    # approve
    prompt: str = ""
    default: Literal["deny", "approve"] = "deny"


class RecipeSpec(BaseModel):
    """A whole recipe, as it stands in its file."""

    model_config = _STRICT

    version: Literal[1, 2] = 1
    test_meta: dict[str, JsonValue] = Field(default_factory=dict)
    inputs: dict[Name, InputSpec] = Field(default_factory=dict)
    env: dict[str, str] = Field(default_factory=dict)
    secrets: list[str] = Field(default_factory=list)
    allow: AllowSpec = AllowSpec()
    defaults: DefaultsSpec = DefaultsSpec()
    timeout: Above | None = None
    strict_keys: bool = False
    concurrency: ConcurrencySpec = ConcurrencySpec()
    steps: list[StepSpec] = Field(min_length=1, max_length=MOST_STEPS)
    finally_: list[StepSpec] = Field(
        default_factory=list, max_length=MOST_STEPS, validation_alias=AliasChoices("finally")
    )
    reports: list[ReportSpec] = Field(default_factory=list)


_ALWAYS = ("name", "idx", "type", "description", "depends_on", "if_", "parallel", "matrix")
_HELD = ("retry", "timeout", "on_error", "merge", "outputs", "success", "cache", "cache_key")
_COMMAND = ("run", "script", "args", "env", "shell_env_keys", "cwd", "stdin", "stdin_from_ctx")
_PRINTED = ("stdout", "stdout_key", "stdout_to")
COMMON = frozenset((*_ALWAYS, *_HELD))
FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "python": COMMON.union(("module", "function", "args", "requires_process")),
        "shell": COMMON.union(_COMMAND, _PRINTED),
        "http": COMMON.union(("url", "method", "headers", "json_", "body", "status", "save_to")),
        "recipe": COMMON.union(("recipe", "inputs")),
        "approve": frozenset((*_ALWAYS, "timeout", "on_error", "prompt", "default")),
    }
)
"""The fields that a step of each type may have."""
