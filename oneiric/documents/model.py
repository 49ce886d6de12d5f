"""A plain value to a checked model, or all that is wrong with it."""

import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from oneiric.documents.leaves import leaves_in
from oneiric.errors import ConfigError, JSONValue, Problem, nearest

M = TypeVar("M", bound=BaseModel)

OriginOf = Callable[[str], str]
"""Tells where the value at a dotted path was written, such as `oneiric.toml:12`."""

_SHORT = 4
_QUOTES = "quotes"
_HELPED = 100  # unknown keys of one table that are given the nearest spelling, which takes long


def validate_settings(
    model: type[M], values: Mapping[str, JSONValue], *, key: str, origin_of: OriginOf
) -> M:
    """Check *values* against *model* and return the settings.

    All problems are reported at once, each with its dotted path below *key* and
    its origin. No message repeats a value, for it may be a secret. A key that the
    model does not know is a problem whether the model forbids it or only ignores
    it; a model that says `extra="allow"` takes any.

    Raises:
        ConfigError: with one `Problem` for each thing that is wrong.
    """
    problems = unknown_keys(model, values, key=key, origin_of=origin_of)
    try:
        settings = model.model_validate(dict(values))
    except ValidationError as error:
        problems += _problems(error, values, key, origin_of, known={p.key for p in problems})
    else:
        if not problems:
            return settings
    raise ConfigError(f"the settings of {key} are wrong", problems=problems)


def refused(what: str) -> PydanticCustomError:
    """Return the error for a validator to raise whose text may quote the value: it is no secret."""
    return PydanticCustomError(_QUOTES, "{what}", {"what": what})


def unknown_keys(
    model: type[BaseModel], values: Mapping[str, JSONValue], *, key: str, origin_of: OriginOf
) -> list[Problem]:
    """Return a problem with the nearest spelling for each key that *model* does not know.

    Looks into nested models too, also those in lists and tables.
    """
    fields = _fields(model)
    problems = []
    for name, value in values.items():
        field = fields.get(name)
        if field is not None and not isinstance(value, Mapping | list):
            continue  # it holds no keys
        path = f"{key}.{name}"
        if field is not None:
            for inner, where, entry in _inner_models(field.annotation, path, value):
                problems += unknown_keys(inner, entry, key=where, origin_of=origin_of)
        elif model.model_config.get("extra") != "allow":
            close = nearest(name, fields) if len(problems) < _HELPED else ""
            what = f"unknown key; did you mean {close}?" if close else "unknown key"
            problems.append(Problem(path, what, origin_of(path)))
    return problems


def annotation_at(model: object, keys: Sequence[str]) -> object:
    """Return the type that *model* gives the value below *keys*, or None where it has none.

    The model may be any other type too. Tables lead to their value's type; `Any` stands wherever
    anything may follow.
    """
    annotation: object = model
    for key in keys:
        options = [_step(option, key) for option in alternatives(annotation)]
        found = [option for option in options if option is not None]
        if not found:
            return None
        annotation = found[0]
    return annotation


def alternatives(annotation: object) -> list[object]:
    """Return the types that a union offers, None left out; any other type alone."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for part in get_args(annotation) for each in alternatives(part)]
    return [] if annotation is type(None) else [annotation]


def _step(annotation: object, key: str) -> object | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = _fields(annotation).get(key)
        return None if field is None else field.annotation
    origin = get_origin(annotation) or annotation
    if isinstance(origin, type):
        arguments = get_args(annotation)
        if not issubclass(origin, Mapping):
            return None
        return arguments[1] if len(arguments) > 1 else Any
    return Any


@cache
def _fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    return types.MappingProxyType(dict(_named_fields(model)))


def _named_fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    by_name = model.model_config.get("populate_by_name") or model.model_config.get(
        "validate_by_name"
    )
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        names = [choice for choice in choices if isinstance(choice, str)]
        if not names or by_name:
            yield name, field
        yield from ((choice, field) for choice in names)


def _inner_models(
    annotation: object, path: str, value: JSONValue
) -> Iterator[tuple[type[BaseModel], str, Mapping[str, JSONValue]]]:
    options = alternatives(annotation)
    if len(options) != 1:
        return
    (option,) = options
    if isinstance(option, type) and issubclass(option, BaseModel):
        if isinstance(value, Mapping):
            yield option, path, value
        return
    arguments = get_args(option)
    if isinstance(value, Mapping) and len(arguments) == 2:
        for name, entry in value.items():
            yield from _inner_models(arguments[1], f"{path}.{name}", entry)
    elif isinstance(value, list) and arguments:
        for index, entry in enumerate(value):
            yield from _inner_models(arguments[0], f"{path}.{index}", entry)


def _problems(
    error: ValidationError,
    values: Mapping[str, JSONValue],
    key: str,
    origin_of: OriginOf,
    *,
    known: set[str],
) -> list[Problem]:
    problems: dict[tuple[str, str], Problem] = {}
    for fault in error.errors(include_url=False, include_context=False):
        path = ".".join((key, *_real(fault["loc"], values, fault["type"])))
        if fault["type"] == "extra_forbidden" and path in known:
            continue
        what = _masked(fault["msg"], fault.get("input"), fault["type"])
        problems.setdefault((path, what), Problem(path, what, origin_of(path)))
    return list(problems.values())


def _real(
    location: Sequence[str | int], values: Mapping[str, JSONValue], fault: str
) -> Iterator[str]:
    """Yield the keys of *location* that the reader wrote; pydantic adds names of its own."""
    value: object = values
    for number, part in enumerate(location, start=1):
        if _has(value, part):
            value = value[part]  # type: ignore[index]
            yield str(part)
        elif number == len(location) and fault == "missing":
            yield str(part)


def _has(value: object, part: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(part, int) and 0 <= part < len(value)
    return isinstance(value, Mapping) and part in value


def _masked(message: str, value: object, fault: str) -> str:
    if fault == _QUOTES:
        return message
    text = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if fault == "missing":
        return "it is required"
    found = {each for each in _texts(value) if each in text}
    for secret in sorted(found, key=len, reverse=True):
        pattern = re.escape(secret)
        if len(secret) < _SHORT:
            pattern = rf"(?<!\w){pattern}(?!\w)"
        text = re.sub(pattern, "***", text)
    return text


def _texts(value: object) -> Iterator[str]:
    for leaf in leaves_in(value):
        if isinstance(leaf, str | int | float) and not isinstance(leaf, bool) and str(leaf):
            yield str(leaf)
            yield repr(leaf).strip("'\"")
