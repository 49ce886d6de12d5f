"""`data.transform`: choose, leave out, rename and complete the fields of a record."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar, Literal

from pydantic import AliasChoices, BaseModel, Field

from oneiric.actions.kit import Payload, Record, Result
from oneiric.domains.actions import InvalidPayloadError


class TransformPayload(Payload):
    """A record, as `data` or `record`, and what to do to its fields, in this order.

    `defaults` are for the names that fields have after renaming.
    """

    data: Record = Field(validation_alias=AliasChoices("data", "record"))
    include_fields: list[str] | None = None
    exclude_fields: list[str] = Field(default_factory=list)
    rename_fields: dict[str, str] = Field(default_factory=dict)
    defaults: Record = Field(default_factory=dict)


class TransformResult(Result):
    """The new record, and the names of what changed it."""

    status: Literal["transformed"] = "transformed"
    data: Record
    applied: list[str]


class DataTransform:
    """Return a new record: include, exclude, rename, then defaults; no two fields merge."""

    payload: ClassVar[type[BaseModel]] = TransformPayload
    result: ClassVar[type[BaseModel]] = TransformResult

    def execute(self, payload: TransformPayload) -> TransformResult:
        """Transform it.

        Raises:
            InvalidPayloadError: two fields would end up with one name.
        """
        wanted = set(payload.data if payload.include_fields is None else payload.include_fields)
        included = {name: value for name, value in payload.data.items() if name in wanted}
        dropped = set(payload.exclude_fields)
        kept = {name: value for name, value in included.items() if name not in dropped}
        names = {name: payload.rename_fields.get(name, name) for name in kept}
        twice = [name for name, count in Counter(names.values()).items() if count > 1]
        if twice:
            raise InvalidPayloadError.of(
                [("rename_fields", f"two fields would be named {name}") for name in twice]
            )
        renamed = {names[name]: value for name, value in kept.items()}
        missing = {name: each for name, each in payload.defaults.items() if name not in renamed}
        stages = {
            "include_fields": included != payload.data,
            "exclude_fields": kept != included,
            "rename_fields": list(renamed) != list(kept),
            "defaults": bool(missing),
        }
        return TransformResult(
            data={**renamed, **missing}, applied=[name for name, did in stages.items() if did]
        )
