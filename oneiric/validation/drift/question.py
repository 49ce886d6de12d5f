"""What the drift detector is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from oneiric.documents.model import refused, validate_settings
from oneiric.errors import ConfigError, JSONValue
from oneiric.ports.drift import Severity
from oneiric.ports.errors import InvalidRequestError
from oneiric.targets import is_target
from oneiric.text.names import is_name
from oneiric.validation.checks.spec import Status, is_status
from oneiric.validation.drift.database import DatabaseQuestion

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"})
MAX_ROUTES = 5_000
_ABSOLUTE = re.compile(r"https?://", re.IGNORECASE)


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, validate_by_name=True
    )


class RouteAsked(_Model):
    """One route, as text or as a table.

    As text it is a method, a path or an address, and the statuses that it may answer; the first
    and the last may be left out.

    >>> DriftQuestion(routes=["users", "POST /login", "GET /old 404"]).routes[2].expected_status
    [404]
    """

    method: str = ""
    """The method; empty for any that the contract knows, else GET."""
    path: str = Field(min_length=1, max_length=8_192)
    """A path below the address of production, such as `/users/{id}`, or a whole address."""
    expected_status: list[Status] = Field(default_factory=list, max_length=50)
    """What it has to answer; without it, whatever shows that the route is there."""
    auth: bool | None = None
    """Whether it lets nobody in without credentials; null for what the contract says."""

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method and method.upper() not in METHODS:
            raise refused(f"{method!r} is no method")
        return method.upper()

    @field_validator("path")
    @classmethod
    def _rooted(cls, path: str) -> str:
        return path if _ABSOLUTE.match(path) else f"/{path.lstrip('/')}"

    @field_validator("expected_status")
    @classmethod
    def _statuses(cls, values: list[Status]) -> list[Status]:
        for each in values:
            if not is_status(each):
                raise refused(f"{each!r} is no status: one from 100 to 599, or 2xx and the like")
        return values


def _route(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    words = value.split()
    method = words.pop(0) if len(words) > 1 and words[0].upper() in METHODS else ""
    if not 1 <= len(words) <= 2:
        raise refused(f"{value!r} is no route such as `GET /users`")
    statuses = words[1].split(",") if len(words) == 2 else []
    numbers = [int(each) if each.isdecimal() else each for each in statuses]
    return {"method": method, "path": words[0], "expected_status": numbers}


class Checks(_Model):
    """Which kinds are compared: true demands one, false leaves it out, null if it applies."""

    routes: bool | None = None
    """Whether each route answers as it should."""
    schemas: bool | None = Field(default=None, alias="schema")
    """Whether the OpenAPI document and the database are as they should be; one at least."""
    health: bool | None = None
    """Whether production says that it is well."""
    version: bool | None = False
    """Whether production runs the commit of the repository; before a deployment it does not."""
    config: bool | None = None
    """Whether what production shows of its configuration is as in the baseline."""


class OpenAPIAsked(_Model):
    """Where the contract is; what is left out is looked for at the usual places."""

    file: str = Field(default="", max_length=1_000)
    """The document, below the repository."""
    url: str = Field(default="", max_length=8_192)
    """Where production serves its own: a path below its address, or a whole address."""


class AppAsked(_Model):
    """An application whose routes are what was meant; it is loaded in a process of its own."""

    target: str = Field(max_length=500)
    """`package.module:app`: an application, what makes one, or a list of routes of Django."""
    python: str = Field(default="", max_length=1_000)
    """The interpreter that has its libraries; our own when empty."""
    env: dict[str, SecretStr] = Field(default_factory=dict, max_length=200)
    """Variables that it gets, such as DJANGO_SETTINGS_MODULE."""
    timeout: float = Field(default=30.0, gt=0, le=600)
    """Seconds that loading it may take."""

    @field_validator("target")
    @classmethod
    def _named(cls, target: str) -> str:
        if not is_target(target):
            raise refused(f"{target!r} is not package.module:attr")
        return target


def _app(value: Any) -> Any:
    return {"target": value} if isinstance(value, str) else value


def _openapi(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


Headers: TypeAlias = dict[str, SecretStr]


class DriftQuestion(_Model):
    """What is compared with what; everything has a default that finds out by itself.

    >>> DriftQuestion(prod_url="https://api.example.com", routes=["/users"]).timeout
    10.0
    """

    prod_url: str = Field(default="", max_length=8_192)
    """The address of production."""
    repo_path: str = Field(default="", max_length=4_096)
    """The repository; empty for the working directory."""
    routes: list[Annotated[RouteAsked, BeforeValidator(_route)]] | None = Field(
        default=None, max_length=MAX_ROUTES
    )
    """Routes that are asked for by name; null for those of the contract."""
    values: dict[str, str] = Field(default_factory=dict, max_length=1_000)
    """What stands in paths for `{name}`; it has to be there in production."""
    openapi: Annotated[OpenAPIAsked, BeforeValidator(_openapi)] = OpenAPIAsked()
    """Where the contract is; a text is its file."""
    app: Annotated[AppAsked, BeforeValidator(_app)] | None = None
    """An application whose routes count as the contract too; a text is its target."""
    database: DatabaseQuestion = DatabaseQuestion()
    """Which database is compared."""
    health: list[str] | None = Field(default=None, min_length=1, max_length=100)
    """Paths of which one has to say that production is well."""
    version: list[str] | None = Field(default=None, min_length=1, max_length=100)
    """Paths of which one tells the commit."""
    config: list[str] = Field(default_factory=list, max_length=100)
    """Paths that show the configuration as JSON; a baseline keeps it without secrets."""
    baseline: str = Field(default="", max_length=200)
    """The name of a recorded baseline; empty for `default`, if that was recorded."""
    checks: Checks = Checks()
    """Which kinds are compared."""
    headers: Headers = Field(default_factory=dict, max_length=100)
    """What is sent to production, and to nobody else, so that it lets us in."""
    allow_hosts: list[str] = Field(default_factory=list, max_length=1_000)
    """Hosts that may be asked besides, as `host`, `host:port` or `*.host`."""
    overrides: dict[str, str] = Field(default_factory=dict, max_length=1_000)
    """Codes of differences, and how bad each is here: a severity, or `ignore` to leave it out."""
    ignore: str = Field(default="", max_length=1_000)
    """A file of accepted differences below the repository; `.oneiric-drift-ignore` if it is."""
    fail_on: Severity = Severity.WARNING
    """From which severity on a difference counts as drift."""
    timeout: float = Field(default=10.0, gt=0, le=600)
    """Seconds that one answer may take in all."""
    total_timeout: float = Field(default=300.0, gt=0, le=86_400)
    """Seconds that everything may take; what was not reached by then is unchecked."""

    @field_validator("prod_url")
    @classmethod
    def _address(cls, url: str) -> str:
        if not url:
            return url
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            usable = None
        if not usable:
            raise refused("an address begins with http:// or https:// and a host")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise refused("an address of production is scheme, host and path; send the rest apart")
        return url.rstrip("/")

    @field_validator("repo_path")
    @classmethod
    def _folder(cls, path: str) -> str:
        if "\0" in path:
            raise refused("it holds a NUL")
        return path

    @field_validator("baseline")
    @classmethod
    def _baseline(cls, name: str) -> str:
        if name and not is_name(name):
            raise refused(f"{name!r} is no name of a baseline: it names a file")
        return name

    @field_validator("overrides")
    @classmethod
    def _severities(cls, overrides: dict[str, str]) -> dict[str, str]:
        known = [*map(str, Severity), "ignore"]
        for code, severity in overrides.items():
            if severity not in known:
                raise refused(f"{code}: {severity!r} is none of {', '.join(known)}")
        return overrides


def read_question(asked: Mapping[str, JSONValue]) -> DriftQuestion:
    """Return the question, checked.

    Raises:
        InvalidRequestError: says everything that is wrong with it; no secret is repeated.
    """
    try:
        return validate_settings(DriftQuestion, asked, key="drift", origin_of=lambda _: "question")
    except ConfigError as error:
        raise InvalidRequestError("drift", _told(error.problems)) from None


def _told(problems: Sequence[Any]) -> str:
    return "; ".join(f"{each.key.removeprefix('drift.')}: {each.what}" for each in problems)
