"""What the models of all kits have in common, and bytes in the form in which JSON has them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from oneiric.documents import canonical

Record: TypeAlias = dict[str, JsonValue]
Encoding: TypeAlias = Literal["hex", "base64"]


class KitSettings(BaseModel):
    """Refuse unknown keys, never change, and keep what was typed out of error messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Payload(BaseModel):
    """Take exactly what the schema says: no unknown field, no text for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Result(BaseModel):
    """Tell every field, null where there is nothing to tell."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _is_base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None
    return text


Base64: TypeAlias = Annotated[
    str, AfterValidator(_is_base64), Field(json_schema_extra={"contentEncoding": "base64"})
]
"""Bytes as text."""


def one_of(payload: BaseModel, names: Iterable[str]) -> str:
    """Return the one of *names* that was given; null counts as given.

    Raises:
        ValueError: none was, or several were.
    """
    wanted = tuple(names)
    given = [name for name in wanted if name in payload.model_fields_set]
    if len(given) != 1:
        raise ValueError(f"give exactly one of {', '.join(wanted)}")
    return given[0]


def content_of(text: str | None, value: JsonValue, data: str | None) -> bytes:
    """Return the bytes of UTF-8 text, of base64 data, or of a value as canonical JSON."""
    if text is not None:
        return text.encode()
    if data is not None:
        return base64.b64decode(data)
    return canonical(value)


def encoded(content: bytes, encoding: Encoding) -> str:
    """Return bytes as text."""
    return content.hex() if encoding == "hex" else base64.b64encode(content).decode()


def needs(payload: BaseModel, mode: str, required: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a payload that lacks a field of its mode, or has one that only others use.

    Raises:
        ValueError: names all such fields.
    """
    used = required[mode]
    given = payload.model_fields_set
    missing = [name for name in used if name not in given]
    others = {name for names in required.values() for name in names} - set(used)
    surplus = sorted(others & given)
    told = [f"its mode needs {', '.join(missing)}"] if missing else []
    told += [f"its mode does not use {', '.join(surplus)}"] if surplus else []
    if told:
        raise ValueError("; ".join(told))
