"""Settings that name a secret in place of a value: `token = { secret = "slack-token" }`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from oneiric.documents.model import alternatives, annotation_at

if TYPE_CHECKING:
    from oneiric.errors import JSONValue

WORD = "secret"
Keys: TypeAlias = tuple[str, ...]


class SecretReference(BaseModel):
    """Name a secret, if need be one version of it, and the store that has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    secret: str = Field(min_length=1, max_length=200)
    version: str = Field("", max_length=200)
    provider: str = Field("", max_length=200)


class SecretKey(NamedTuple):
    """Which secret, in which version, of which store; the default ones where empty."""

    name: str
    version: str = ""
    provider: str = ""

    @classmethod
    def of(cls, reference: SecretReference) -> SecretKey:
        """Return what a setting refers to."""
        return cls(reference.secret, reference.version, reference.provider)


def references_in(
    values: Mapping[str, JSONValue], model: object = Any
) -> Iterator[tuple[Keys, Mapping[str, JSONValue]]]:
    """Yield each table in *values* that names a secret, and the keys that lead to it.

    That is one with the key `secret`, unless *model* takes nothing but a table there. The
    outermost table is none.
    """
    for key, value in values.items():
        yield from _references((key,), value, _step(model, key))


def _references(
    keys: Keys, value: JSONValue, annotation: object
) -> Iterator[tuple[Keys, Mapping[str, JSONValue]]]:
    if isinstance(value, Mapping):
        if WORD in value and not _takes_only_tables(annotation):
            yield keys, value
            return
        for key, inner in value.items():
            yield from _references((*keys, key), inner, _step(annotation, key))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _references((*keys, str(place)), inner, _element(annotation))


def laid(values: JSONValue, found: Mapping[Keys, str]) -> JSONValue:
    """Return a copy of *values* in which what is *found* stands at the keys that lead to it."""
    return _laid(values, found, ())


def _laid(value: JSONValue, found: Mapping[Keys, str], keys: Keys) -> JSONValue:
    if keys in found:
        return found[keys]
    if isinstance(value, Mapping):
        return {key: _laid(inner, found, (*keys, key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_laid(inner, found, (*keys, str(at))) for at, inner in enumerate(value)]
    return value


def has(values: JSONValue, keys: Sequence[str]) -> bool:
    """Tell whether there is a value at *keys*."""
    for key in keys:
        if isinstance(values, list) and key.isdecimal() and int(key) < len(values):
            values = values[int(key)]
        elif isinstance(values, Mapping) and key in values:
            values = values[key]
        else:
            return False
    return True


def _step(annotation: object, key: str) -> object:
    is_open = annotation in (Any, object)
    return Any if is_open else annotation and annotation_at(annotation, [key])


def _element(annotation: object) -> object:
    """Return the type that a list of this type has elements of."""
    for option in alternatives(annotation):
        kind, parts = get_origin(option) or option, get_args(option)
        if isinstance(kind, type) and issubclass(kind, Sequence | set | frozenset) and parts:
            return parts[0]
    return Any


def _takes_only_tables(annotation: object) -> bool:
    """Tell whether all that may stand there is a table; where nothing may, that is told."""
    kinds = (get_origin(option) or option for option in alternatives(annotation or dict))
    return all(isinstance(kind, type) and issubclass(kind, BaseModel | Mapping) for kind in kinds)
