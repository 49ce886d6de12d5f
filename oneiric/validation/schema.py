"""The JSON Schema of task files, for editors: what may stand in one, as far as forms can say."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from oneiric.validation.models import Task, ValidationCriteria

DIALECT = "https://json-schema.org/draft/2020-12/schema"
ID = "urn:oneiric:schema:task:1"
_TEXT: Mapping[str, Any] = MappingProxyType({"type": "string"})
_COMMAND: Mapping[str, Any] = MappingProxyType(
    {"type": "array", "items": {"type": "string"}, "minItems": 1}
)
_WRITTEN = ("id", "title", "description", "swarm_task_id", "metadata")


def task_schema() -> dict[str, Any]:
    """Return the schema, draft 2020-12, made from the models by which tasks are read.

    What came of a task has no place in a file. Whether a text is an assert, or an id that is left
    out can be made of the title, is told when the file is read.
    """
    criteria = ValidationCriteria.model_json_schema()
    defs: dict[str, Any] = criteria.pop("$defs")
    _or(criteria["properties"]["local_tests"], _TEXT, _COMMAND)
    _or(criteria["properties"]["ui_tests"], _TEXT)
    _or(defs["LiveCheck"]["properties"]["asserts"], _TEXT)
    fields = Task.model_json_schema(schema_generator=_Written)["properties"]
    return {
        "$schema": DIALECT,
        "$id": ID,
        "title": "A task of validation",
        "description": (Task.__doc__ or "").partition("\n")[0],
        "type": "object",
        "properties": {
            **{name: fields[name] for name in _WRITTEN},
            "criteria": {"$ref": "#/$defs/ValidationCriteria"},
        },
        "required": ["title"],
        "additionalProperties": False,
        "$defs": {**defs, "ValidationCriteria": criteria},
    }


class _Written(GenerateJsonSchema):
    """Pass over what no file can hold."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}


def _or(field: dict[str, Any], *short: Mapping[str, Any]) -> None:
    """Let the items of a list be written in short, too."""
    items = field["items"]
    field["items"] = {"anyOf": [*map(dict, short), items]}
