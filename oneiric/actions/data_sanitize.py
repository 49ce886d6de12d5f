"""`data.sanitize`: drop and mask fields at any depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, TypeAlias

from pydantic import AliasChoices, BaseModel, Field, JsonValue

from oneiric.actions.kit import Payload, Record, Result
from oneiric.text.redaction import MASK, is_secret_name, redacted, same_name

_Known: TypeAlias = Callable[[str], bool]


class SanitizePayload(Payload):
    """A record, as `data` or `record`, and the fields to allow, to drop and to mask.

    `allow_fields` counts at the top of the record, the others at any depth. Names match in
    any spelling (`api_key`, `apiKey`, `API-Key`) unless they are `case_sensitive`.
    """

    data: Record = Field(validation_alias=AliasChoices("data", "record"))
    allow_fields: list[str] | None = None
    drop_fields: list[str] = Field(default_factory=list)
    mask_fields: list[str] = Field(default_factory=list)
    mask_value: str = MASK
    case_sensitive: bool = False


class Applied(Result):
    """The dotted paths of what was dropped, and of what was masked."""

    dropped: list[str]
    masked: list[str]


class SanitizeResult(Result):
    """The record without what it should not hold."""

    status: Literal["sanitized"] = "sanitized"
    data: Record
    applied: Applied


class DataSanitize:
    """Drop fields and mask them, in tables and lists at any depth.

    What is named like a secret is masked whether it is listed or not, and passwords are cut
    from URLs.
    """

    payload: ClassVar[type[BaseModel]] = SanitizePayload
    result: ClassVar[type[BaseModel]] = SanitizeResult

    def execute(self, payload: SanitizePayload) -> SanitizeResult:
        """Sanitize it."""
        spelled = str if payload.case_sensitive else same_name
        work = _Work(
            drop={spelled(name) for name in payload.drop_fields},
            mask={spelled(name) for name in payload.mask_fields},
            mask_value=payload.mask_value,
            spelled=spelled,
        )
        record = payload.data
        if payload.allow_fields is not None:
            allowed = {spelled(name) for name in payload.allow_fields}
            work.dropped += [name for name in record if spelled(name) not in allowed]
            record = {name: value for name, value in record.items() if spelled(name) in allowed}
        data = work.fields(record, "")
        return SanitizeResult(data=data, applied=Applied(dropped=work.dropped, masked=work.masked))


class _Work:
    def __init__(
        self, *, drop: set[str], mask: set[str], mask_value: str, spelled: Callable[[str], str]
    ) -> None:
        self.dropped: list[str] = []
        self.masked: list[str] = []
        self._drop = drop
        self._mask = mask
        self._mask_value = mask_value
        self._spelled = spelled

    def fields(self, record: Record, path: str) -> Record:
        """Return the fields that stay, each as it may be shown."""
        kept: Record = {}
        for name, value in record.items():
            here = f"{path}.{name}" if path else name
            if self._spelled(name) in self._drop:
                self.dropped.append(here)
            elif is_secret_name(name) or self._spelled(name) in self._mask:
                self.masked.append(here)
                kept[name] = self._mask_value
            else:
                kept[name] = self._clean(value, here)
        return kept

    def _clean(self, value: JsonValue, path: str) -> JsonValue:
        if isinstance(value, dict):
            return self.fields(value, path)
        if isinstance(value, list):
            return [self._clean(item, f"{path}.{index}") for index, item in enumerate(value)]
        return str(redacted(value)) if isinstance(value, str) else value
