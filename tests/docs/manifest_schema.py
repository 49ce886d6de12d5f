"""The JSON Schema of a manifest as its publisher writes it, for editors."""

from __future__ import annotations

import inspect
import json
from typing import Any

from pydantic import BaseModel

from oneiric.remote.manifest import (
    MOST_ENTRIES,
    SCHEMA,
    Artifact,
    Capability,
    CapabilitySecurity,
    Entry,
    ManifestHead,
    SecretsPosture,
)
from tests.architecture.source import House
from tests.docs.settings import meanings

MODELS = (ManifestHead, Entry, Artifact, Capability, CapabilitySecurity, SecretsPosture)
FILLED = ("issued", "expires")
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def manifest_schema(_house: House) -> str:
    """Return the schema; what `pack` fills in may be missing, and an artifact may have a path."""
    head, entry = (
        model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
        for model in (ManifestHead, Entry)
    )
    defs: dict[str, Any] = {**entry.pop("$defs"), "Entry": entry}
    for model in MODELS[1:]:
        defs[model.__name__] = _told(defs[model.__name__], model)
    artifact = defs["Artifact"]
    artifact["properties"]["path"] = {
        "type": "string",
        "description": "A file, seen from this one, from which `pack` takes digest and length.",
    }
    artifact["required"] = ["uri"]
    artifact["anyOf"] = [{"required": ["path"]}, {"required": ["sha256", "length"]}]
    head = _told(head, ManifestHead)
    head["required"] = [name for name in head["required"] if name not in FILLED]
    head["properties"]["entries"] = {
        "description": "What is offered.",
        "type": "array",
        "maxItems": MOST_ENTRIES,
        "items": {"$ref": "#/$defs/Entry"},
    }
    schema = {"$schema": DIALECT, "title": SCHEMA, **head, "$defs": dict(sorted(defs.items()))}
    return json.dumps(schema, indent=2) + "\n"


def _told(schema: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a model with what is told of it and its fields, and `x-` fields."""
    names = {name: field.alias or name for name, field in model.model_fields.items()}
    properties = {
        names[name]: {
            "description": text,
            **{
                key: word
                for key, word in schema["properties"][names[name]].items()
                if key != "title"
            },
        }
        for name, text in meanings(model).items()
    }
    rest = {key: word for key, word in schema.items() if key not in ("title", "description")}
    return {
        "description": inspect.getdoc(model),
        **rest,
        "properties": properties,
        "patternProperties": {"^x-": True},
    }
