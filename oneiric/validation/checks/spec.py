"""What a check may ask of a service that runs."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
    model_validator,
)

from oneiric.documents.model import refused
from oneiric.validation.checks.grammar import assert_problem
from oneiric.validation.checks.notation import assert_table, capture_source

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that leave everything as it was."""

MAX_CHECK_SECONDS = 86_400
_ID_LENGTH = 12
_ENCODED = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_UNASKED = frozenset({"id", "name", "required", "weight"})

Status: TypeAlias = int | str
"""A status code, `200`, or a class of them, `"2xx"`."""


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Assert(_Spec):
    """One thing that must be so about an answer.

    `subject` says what is looked at; `at` where in it: the name of a header, a JSONPath (RFC 9535)
    for `json`, `p50` to `p100` for `duration_ms`. `value` is what it is compared with.
    """

    subject: Literal[
        "status",
        "header",
        "json",
        "schema",
        "body",
        "size_bytes",
        "duration_ms",
        "certificate_days",
        "redirect",
    ]
    """What is looked at."""
    at: str = Field(default="", max_length=1_000)
    """Where in it."""
    op: Literal[
        "==", "!=", "<", "<=", ">", ">=", "contains", "matches", "exists", "absent", "valid"
    ] = "=="
    """How it is compared."""
    value: JsonValue = None
    """With what."""

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if why := assert_problem(self.subject, self.at, self.op, self.value):
            raise refused(why)
        return self


def _assert(value: Any) -> Any:
    return assert_table(value) if isinstance(value, str) else value


class Retries(_Spec):
    """How often a check is tried, and after what."""

    attempts: int = Field(default=1, ge=1, le=20)
    """How often at most."""
    delay_seconds: float = Field(default=1.0, ge=0, le=600)
    """Seconds before the second attempt; each further wait is twice as long."""
    on: tuple[Status | Literal["timeout", "connection", "assert"], ...] = (
        "timeout",
        "connection",
        429,
        502,
        503,
        504,
    )
    """After what: statuses, `timeout`, `connection`, or `assert` for whatever was not so."""


class Analysis(_Spec):
    """Measure more than once, and judge the whole.

    Conditions are expressions over `status`, `ok`, `duration_ms`, `headers` and `json`. With only
    a success condition, whatever it does not hold for has failed; with only a failure condition,
    whatever that does not hold for has succeeded; with both, what neither holds for is
    inconclusive. With none, a measurement succeeds when all asserts hold.

    A measurement that succeeds by its conditions fails all the same where an assert does not hold,
    or the status is none of those expected: a condition that names `status` judges that alone, and
    one that names `ok` judges all of it.
    """

    count: int = Field(default=5, ge=1, le=10_000)
    """How many measurements."""
    interval_seconds: float = Field(default=1.0, ge=0, le=3_600)
    """Seconds from the begin of one to that of the next."""
    initial_delay_seconds: float = Field(default=0.0, ge=0, le=3_600)
    """Seconds before the first."""
    success: str = Field(default="", max_length=1_000)
    """When a measurement succeeds."""
    failure: str = Field(default="", max_length=1_000)
    """When a measurement fails."""
    failure_limit: int = Field(default=0, ge=0)
    """How many may fail."""
    inconclusive_limit: int = Field(default=0, ge=0)
    """How many may be inconclusive."""
    error_limit: int = Field(default=4, ge=0)
    """How many in a row may get no answer."""
    minimum_successes: int | None = Field(default=None, ge=1)
    """How many must succeed, or the check is inconclusive; all but those that the limits of
    failures and of inconclusive ones let be, when left out."""

    @property
    def needed(self) -> int:
        """How many must succeed."""
        if self.minimum_successes is not None:
            return self.minimum_successes
        return max(1, self.count - self.failure_limit - self.inconclusive_limit)


class Conformance(_Spec):
    """Hold the answer to an OpenAPI document: its status, its media type and its schema."""

    document: str
    """A file below the repository."""
    operation: str = ""
    """The `operationId`; empty to find it by method and path."""


class _Check(_Spec):
    id: str = Field(default="", max_length=200)
    """By which its proof is found; derived from what it asks where none is given."""
    name: str = Field(default="", max_length=200)
    """How it is shown."""
    required: bool = True
    """Whether its failure alone shuts the gate."""
    weight: float = Field(default=1.0, gt=0, le=1_000)
    """How much it counts towards the score."""

    @property
    def identity(self) -> str:
        """The id that was given, or one derived from what is asked: the same for the same.

        What is as by default does not count, so that it stays when checks learn to ask for more.
        """
        if self.id:
            return self.id
        fields = type(self).model_fields
        asked = {name: getattr(self, name) for name in self.model_fields_set - _UNASKED}
        if all(type(each) is str for each in asked.values()):  # what nearly all are
            asked = {name: each for name, each in asked.items() if each != fields[name].default}
        else:
            asked = self.model_dump(mode="json", exclude=set(_UNASKED), exclude_defaults=True)
        kind = str(getattr(self, "kind", "check"))
        data = _ENCODED(asked).encode("utf-8", "surrogatepass")
        return f"{kind}-{hashlib.sha256(data).hexdigest()[:_ID_LENGTH]}"


class LiveCheck(_Check):
    """One request to a service that runs, and what must be so about its answer.

    Text in `url`, `headers` and `body` may refer to what earlier checks captured, as in
    `${ captured.token }`.

    >>> LiveCheck(url="https://api.example.com/health").expected_status
    200
    """

    kind: Literal["live"] = "live"
    """What sort of check it is."""
    url: str = Field(min_length=1, max_length=8_192)
    """Where it asks: an address, or a path below the address of production."""
    method: str = Field(default="GET", pattern=r"\A[A-Za-z]{3,10}\z")
    """The method; only this one is ever sent."""
    expected_status: Status | list[Status] = 200
    """A status, a class of them as in `2xx`, or a list of either."""
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    """What is sent in the head."""
    body: JsonValue = Field(default=None, repr=False)
    """What is sent as JSON; null sends nothing."""
    timeout: float = Field(default=30.0, gt=0, le=MAX_CHECK_SECONDS)
    """Seconds that one attempt may take in all, to the last byte."""
    max_body_bytes: int = Field(default=4 << 20, ge=0, le=256 << 20)
    """Bytes of the answer that are read; a longer one fails the check."""
    max_redirects: int = Field(default=0, ge=0, le=20)
    """How many redirects are followed, within the allowed hosts."""
    asserts: list[Annotated[Assert, BeforeValidator(_assert)]] = Field(
        default_factory=list, max_length=200
    )
    """What must be so besides; texts such as `json $.status == "ok"` stand for them."""
    capture: dict[str, str] = Field(default_factory=dict)
    """What is taken from the answer: names to `json PATH`, `header NAME` or `body REGEX`.

    Later checks say it as `${ captured.NAME }`.
    """
    retry: Retries = Retries()
    """How often it is tried."""
    analysis: Analysis | None = None
    """How it is measured more than once."""
    conforms_to: Conformance | None = None
    """The contract that the answer is held to."""

    @field_validator("method")
    @classmethod
    def _upper(cls, method: str) -> str:
        return method.upper()

    @field_validator("capture")
    @classmethod
    def _captures(cls, value: dict[str, str]) -> dict[str, str]:
        for text in value.values():
            capture_source(text)
        return value

    @field_validator("expected_status")
    @classmethod
    def _statuses(cls, value: Status | list[Status]) -> Status | list[Status]:
        for each in value if isinstance(value, list) else [value]:
            if not is_status(each):
                raise refused(f"{each!r} is no status: one from 100 to 599, or 2xx and the like")
        if value == []:
            raise refused("a check expects at least one status")
        return value


class UICheck(_Check):
    """One page in a real browser, and what must be so about it; a screenshot is its evidence."""

    kind: Literal["ui"] = "ui"
    """What sort of check it is."""
    url: str = Field(min_length=1, max_length=8_192)
    """The page: an address, or a path below the address of production."""
    timeout: float = Field(default=60.0, gt=0, le=3_600)
    """Seconds that it may take in all."""
    visible: list[str] = Field(default_factory=list, max_length=100)
    """Selectors of which each must be seen."""
    hidden: list[str] = Field(default_factory=list, max_length=100)
    """Selectors of which none may be seen."""
    text: dict[str, str] = Field(default_factory=dict)
    """Selectors, and the text that each must hold."""
    title: str = Field(default="", max_length=1_000)
    """What the title must hold."""
    console_errors: bool = False
    """Whether the page may write errors to the console."""
    width: int = Field(default=1280, ge=200, le=8_000)
    """Pixels of the window."""
    height: int = Field(default=800, ge=200, le=8_000)
    """Pixels of the window."""
    attempts: int = Field(default=1, ge=1, le=5)
    """How often it is tried; one that passes only later is told as flaky."""


class SpecCheck(_Check):
    """A file of tests of Playwright for Node, run by `npx playwright`, without any shell.

    No test at all is no pass; one that passed only when it was tried again is told as flaky.
    """

    kind: Literal["spec"] = "spec"
    """What sort of check it is."""
    path: str = Field(min_length=1, max_length=1_000)
    """The file, below the repository."""
    timeout: float = Field(default=300.0, gt=0, le=3_600)
    """Seconds that all of its tests may take."""


Check: TypeAlias = Annotated[LiveCheck | UICheck | SpecCheck, Field(discriminator="kind")]
"""Any check, told apart by its `kind`."""


def is_status(value: Status) -> bool:
    """Tell whether *value* is a status from 100 to 599, or a class of them.

    >>> is_status(204), is_status("2xx"), is_status("20x"), is_status(True)
    (True, True, False, False)
    """
    if isinstance(value, str):
        return len(value) == 3 and value[0] in "12345" and value[1:].lower() == "xx"
    return not isinstance(value, bool) and 100 <= value <= 599
