"""What the models of all kits have in common, and bytes in the form in which JSON has them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from oneiric.documents import canonical

Record: TypeAlias = dict[str, JsonValue]
Encoding: TypeAlias = Literal["hex", "base64"]


class KitSettings(BaseModel):
    """Refuse unknown keys, never change, and keep what was typed out of error messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Payload(BaseModel):
    """Take exactly what the schema says: no unknown field, no text for a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema with every spelling of a field, of which one is to be given."""
        found = handler(core)
        schema = handler.resolve_ref_schema(found)
        for field in cls.model_fields.values():
            if not isinstance(field.validation_alias, AliasChoices):
                continue
            names = [name for name in field.validation_alias.choices if isinstance(name, str)]
            schema["properties"].update(dict.fromkeys(names, schema["properties"][names[0]]))
            if field.is_required():
                schema["required"] = [each for each in schema["required"] if each not in names]
                schema["oneOf"] = [{"required": [name]} for name in names]
        return found


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


def given(payload: BaseModel) -> set[str]:
    """Return the fields that say something; null does where any JSON value may stand."""
    any_value: object = JsonValue
    fields = type(payload).model_fields
    return {
        name
        for name in payload.model_fields_set
        if getattr(payload, name) is not None or fields[name].annotation is any_value
    }


def one_of(payload: BaseModel, names: Iterable[str]) -> str:
    """Return the one of *names* that was given.

    Raises:
        ValueError: none was, or several were.
    """
    wanted = tuple(names)
    found = [name for name in wanted if name in given(payload)]
    if len(found) != 1:
        several = f"exactly one of {', '.join(wanted)}" if len(wanted) > 1 else wanted[0]
        raise ValueError(f"give {several}")
    return found[0]


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
    found = given(payload)
    missing = [name for name in used if name not in found]
    others = {name for names in required.values() for name in names} - set(used)
    surplus = sorted(others & found)
    told = [f"its mode needs {', '.join(missing)}"] if missing else []
    told += [f"its mode does not use {', '.join(surplus)}"] if surplus else []
    if told:
        raise ValueError("; ".join(told))
