"""Checks as they come through a door: read, completed, and everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from oneiric.documents.model import validate_settings
from oneiric.errors import ConfigError, JSONValue, OneiricError, Problem
from oneiric.expressions import Condition, ExpressionError
from oneiric.ports.errors import DependencyMissingError, InvalidRequestError
from oneiric.validation.checks.answer import NAMES
from oneiric.validation.checks.captures import ORIGIN, Source, capture_problems
from oneiric.validation.checks.spec import Analysis, Check, LiveCheck, SpecCheck, UICheck
from oneiric.validation.hosts import begin_of
from oneiric.validation.providers.json_paths import path_problem
from oneiric.validation.providers.json_schemas import schema_problem
from oneiric.validation.providers.patterns import pattern_problem

BACKEND = "validator"
_MODELS: Mapping[object, type[LiveCheck | UICheck | SpecCheck]] = MappingProxyType(
    {"live": LiveCheck, "ui": UICheck, "spec": SpecCheck}
)
_ADAPTER: TypeAdapter[LiveCheck | UICheck | SpecCheck] = TypeAdapter(Check)


def read_check(value: Mapping[str, JSONValue]) -> LiveCheck | UICheck | SpecCheck:
    """Return the check that *value* says; one without `kind` is a live one.

    Raises:
        InvalidRequestError: it says none; no value is repeated.
    """
    try:
        return _ADAPTER.validate_python(value if "kind" in value else {"kind": "live", **value})
    except ValidationError as error:
        places = {".".join(map(str, each["loc"][1:])) for each in error.errors()}
        what = f"the check is wrong at {', '.join(sorted(places))}"
        raise InvalidRequestError(BACKEND, what) from None


def absolute(check: LiveCheck, prod_url: str) -> LiveCheck:
    """Return the check with its address below that of production, where it is only a path.

    Raises:
        InvalidRequestError: it is no address, or a path and there is no production.
    """
    url = check.url
    if "://" not in url.partition("?")[0]:
        if not prod_url:
            what = "a path needs the address of production"
            raise InvalidRequestError(BACKEND, what, hint="set validation.prod_url")
        url = f"{prod_url.rstrip('/')}/{url.lstrip('/')}"
        check = check.model_copy(update={"id": check.identity, "url": url})
    if not is_address(url):
        raise InvalidRequestError(BACKEND, "the address is none that can be asked")
    return check


def is_address(url: str) -> bool:
    """Tell whether *url* begins with http:// or https:// and a host, and can be read in one way."""
    return _is_origin(begin_of(url))


@lru_cache(maxsize=1_024)
def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_read = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    strange = "\\" in parts.netloc or not parts.netloc.isprintable() or " " in parts.netloc
    return is_read and parts.scheme in ("http", "https") and not strange


def check_problems(
    checks: Sequence[Mapping[str, JSONValue]],
) -> tuple[list[LiveCheck | UICheck | SpecCheck | None], list[Problem]]:
    """Return the checks, None for each that is wrong, and everything that is wrong with them."""
    read: list[LiveCheck | UICheck | SpecCheck | None] = []
    problems: list[Problem] = []
    for number, value in enumerate(checks):
        kind = value.get("kind", "live")
        model = _MODELS.get(kind)
        if model is None:
            what = f"{kind!r} is no kind of check: live, ui or spec"
            problems.append(Problem(f"{number}.kind", what, ORIGIN))
            read.append(None)
            continue
        try:
            check = validate_settings(model, value, key=str(number), origin_of=lambda _: ORIGIN)
        except ConfigError as error:
            problems += error.problems
            read.append(None)
            continue
        if isinstance(check, LiveCheck):
            problems += (Problem(f"{number}.{key}", what, ORIGIN) for key, what in faults(check))
        read.append(check)
    lives = [each if isinstance(each, LiveCheck) else None for each in read]
    return read, [*problems, *capture_problems(lives)]


def faults(check: LiveCheck) -> Iterator[tuple[str, str]]:
    """Yield what of a check could never be asked or judged: where, and why.

    What takes a library that is not installed is none: such a check is inconclusive.
    """
    for number, each in enumerate(check.asserts):
        if (
            each.subject in ("json", "schema")
            and each.at
            and (why := _tried(path_problem, each.at))
        ):
            yield f"asserts.{number}.at", why
        if each.op == "matches" and (why := _tried(pattern_problem, each.value)):
            yield f"asserts.{number}.value", why
        if each.op == "valid" and (why := _tried(schema_problem, each.value)):
            yield f"asserts.{number}.value", why
    for name, text in check.capture.items():
        try:
            why = Source.of(text).problem
        except DependencyMissingError:
            why = ""
        if why:
            yield f"capture.{name}", why
    if check.analysis is not None:
        yield from _condition_faults(check.analysis)


def _tried(problem: Any, value: object) -> str:
    try:
        return str(problem(value))
    except DependencyMissingError:
        return ""


def _condition_faults(analysis: Analysis) -> Iterator[tuple[str, str]]:
    for name in ("success", "failure"):
        text = getattr(analysis, name)
        if not text:
            continue
        try:
            condition = Condition.parse(text)
        except ExpressionError as error:
            yield f"analysis.{name}", error.message
            continue
        for path in sorted(condition.references):
            if path[0] not in NAMES:
                yield f"analysis.{name}", f"{path[0]} is none of {', '.join(sorted(NAMES))}"
    if analysis.needed > analysis.count:
        yield "analysis.minimum_successes", "it is more than there are measurements"


def refuse(check: LiveCheck) -> None:
    """Pass if *check* can be asked and judged.

    Raises:
        InvalidRequestError: it cannot; says the first thing that is wrong.
    """
    try:
        for key, what in faults(check):
            raise InvalidRequestError(BACKEND, f"the check is wrong at {key}: {what}")
    except OneiricError as error:
        if isinstance(error, InvalidRequestError):
            raise
        raise InvalidRequestError(BACKEND, error.message) from error
