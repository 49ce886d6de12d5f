"""`validation.schema`: whether a record has the fields and types that it should."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import ClassVar, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, Field, JsonValue

from oneiric.actions.kit import Payload, Record, Result

FieldType: TypeAlias = Literal[
    "string", "integer", "number", "boolean", "object", "array", "any",
    "str", "int", "float", "bool", "dict", "list",
]  # fmt: skip
_JSON_NAMES: Mapping[str, str] = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "dict": "object",
    "list": "array",
}
_FITS: Mapping[str, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in (int, float),
    "boolean": lambda value: type(value) is bool,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "any": lambda _: True,
}


class FieldRule(Payload):
    """What one field must be; the short Python names mean the same types."""

    name: str = Field(min_length=1)
    type: FieldType = "any"
    required: bool = True
    allow_null: bool = False


class SchemaPayload(Payload):
    """A record, as `data` or `record`, and the rules for its fields."""

    data: Record = Field(validation_alias=AliasChoices("data", "record"))
    fields: list[FieldRule]
    allow_extra: bool = True
    fail_fast: bool = False


class FieldError(Result):
    """What is wrong with one field; values are not repeated."""

    field: str
    code: Literal["missing", "null", "type", "extra"]
    message: str


class SchemaResult(Result):
    """Whether it is valid; `validated` is the record if so, else null."""

    status: Literal["valid", "invalid"]
    validated: Record | None
    errors: list[FieldError]


class ValidationSchema:
    """Check a record against rules and tell all errors at once, or the first with `fail_fast`.

    `true` is no integer and no number; empty text and an empty record are values like any.
    """

    payload: ClassVar[type[BaseModel]] = SchemaPayload
    result: ClassVar[type[BaseModel]] = SchemaResult

    def execute(self, payload: SchemaPayload) -> SchemaResult:
        """Check it."""
        errors = list(islice(_errors(payload), 1 if payload.fail_fast else None))
        if errors:
            return SchemaResult(status="invalid", validated=None, errors=errors)
        return SchemaResult(status="valid", validated=payload.data, errors=[])


def _errors(payload: SchemaPayload) -> Iterator[FieldError]:
    for rule in payload.fields:
        if rule.name in payload.data:
            yield from _fault(rule, payload.data[rule.name])
        elif rule.required:
            yield FieldError(field=rule.name, code="missing", message="it is required")
    known = {rule.name for rule in payload.fields}
    for name in payload.data:
        if not payload.allow_extra and name not in known:
            yield FieldError(field=name, code="extra", message="no rule knows it")


def _fault(rule: FieldRule, value: JsonValue) -> Iterator[FieldError]:
    wanted = _JSON_NAMES.get(rule.type, rule.type)
    if value is None:
        if not rule.allow_null and wanted != "any":
            yield FieldError(field=rule.name, code="null", message="it may not be null")
    elif not _FITS[wanted](value):
        found = next(name for name, fits in _FITS.items() if fits(value))
        yield FieldError(field=rule.name, code="type", message=f"it must be {wanted}, not {found}")
