"""`serialization.encode`: JSON and YAML, from text or from a file below an allowed folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar, Literal, Self, TypeAlias

from pydantic import AliasChoices, BaseModel, Field, JsonValue, field_validator, model_validator

from oneiric.actions.kit import KitSettings, Payload, Result, one_of
from oneiric.documents import DocumentLimits, parse
from oneiric.documents.yaml_write import yaml_of
from oneiric.domains.actions import InvalidPayloadError
from oneiric.errors import DocumentError, InvalidPathError
from oneiric.files import confined, read_bounded, write_atomic

Format: TypeAlias = Literal["json", "yaml"]


class SerializationSettings(KitSettings):
    """Which folders may be read and written; without any, the working directory alone."""

    roots: tuple[Path, ...] = ()
    max_bytes: int = Field(default=1024 * 1024, ge=1)


class SerializationPayload(Payload):
    """A value, as `value` or `data`, to encode; text, or the file at `path`, to decode.

    With `encode`, `path` is where the text is written too.
    """

    mode: Literal["encode", "decode"] = "encode"
    format: Format = "json"
    value: JsonValue = Field(default=None, validation_alias=AliasChoices("value", "data"))
    text: str | None = None
    path: str | None = Field(default=None, min_length=1)

    @field_validator("format", mode="before")
    @classmethod
    def _harmless(cls, value: object) -> object:
        if value == "pickle":
            raise ValueError("that format runs code as it is read; use json or yaml")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        valued = "value" in self.model_fields_set
        if self.mode == "decode":
            one_of(self, ("text", "path"))
            if valued:
                raise ValueError("decode takes text or a path, not a value")
        elif self.text is not None:
            raise ValueError("encode takes a value, not text")
        elif not valued:
            raise ValueError("encode needs a value")
        return self


class SerializationResult(Result):
    """The `text` that was encoded, or the `data` that was decoded; the file, if there was one."""

    status: Literal["encoded", "decoded"]
    format: Format
    text: str | None = None
    data: JsonValue = None
    path: str | None = None


class SerializationEncode:
    """Encode to JSON or YAML, and decode strictly; what is encoded decodes to the same value.

    Files are read and written below the allowed folders only. Nothing hidden is touched,
    no link leads out, and no file is longer than the limit.
    """

    payload: ClassVar[type[BaseModel]] = SerializationPayload
    result: ClassVar[type[BaseModel]] = SerializationResult

    def __init__(self, settings: SerializationSettings) -> None:
        self._roots = settings.roots
        self._limit = settings.max_bytes

    def execute(self, payload: SerializationPayload) -> SerializationResult:
        """Do it.

        Raises:
            InvalidPathError: the path leads elsewhere, or to no plain file.
            InvalidPayloadError: the text is not of that format, or longer than the limit.
            NotFoundError, UnavailableError: the file cannot be reached.
        """
        path = self._path(payload.path) if payload.path is not None else None
        shown = str(path) if path else None
        if payload.mode == "encode":
            text = _encoded(payload.value, payload.format)
            if len(content := text.encode()) > self._limit:
                raise InvalidPayloadError.of([("value", f"is longer than {self._limit} bytes")])
            if path is not None:
                write_atomic(path, content)
            return SerializationResult(
                status="encoded", format=payload.format, text=text, path=shown
            )
        given = payload.text.encode() if payload.text is not None else b""
        content = read_bounded(path, limit=self._limit) if path is not None else given
        try:
            data = parse(content, payload.format, limits=DocumentLimits(max_bytes=self._limit))
        except DocumentError as error:
            key = "path" if path is not None else "text"
            raise InvalidPayloadError.of([(key, error.message)]) from None
        return SerializationResult.model_validate(
            {"status": "decoded", "format": payload.format, "data": data, "path": shown}
        )

    def _path(self, text: str) -> Path:
        """Return the real path, below the first folder that holds it."""
        roots = self._roots or (Path.cwd(),)
        given = Path(text)
        root = next((each for each in roots if given.is_relative_to(each)), None)
        relative = given.relative_to(root) if root else given
        real = confined(root or roots[0], str(relative))
        reached = real.relative_to((root or roots[0]).resolve())
        if any(part.startswith(".") for part in (*relative.parts, *reached.parts)):
            raise InvalidPathError(text, "it is hidden, or lies in a hidden folder")
        return real


def _encoded(value: JsonValue, form: Format) -> str:
    if form == "yaml":
        return yaml_of(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
