"""The control interface in the words of OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from oneiric.web.control.protocol import ANSWER, VERBS, VERSION, Verb
from oneiric.web.errors import EXIT_CODE

_SCHEMAS = "#/components/schemas/"
_JSON = "application/json"


def openapi() -> dict[str, Any]:
    """Return the description of every verb: what it is asked with, and what it answers.

    The documents themselves are described, by their `schema`, in `docs/reference/json.md`.
    """
    asked = sorted({verb.asks for verb in VERBS.values()}, key=lambda model: model.__name__)
    _, definitions = models_json_schema(
        [(model, "validation") for model in asked], ref_template=f"{_SCHEMAS}{{model}}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Oneiric control interface",
            "version": VERSION.removeprefix("v"),
            "description": "Ask a running orchestrator, over its Unix socket.",
        },
        "paths": {
            verb.path: {"get" if verb.reads else "post": _operation(verb, definitions["$defs"])}
            for verb in VERBS.values()
        },
        "components": {
            "schemas": {**definitions["$defs"], "Answer": _ANSWER, "Told": _TOLD, "Error": _ERROR},
            "headers": {"ExitCode": _EXIT},
        },
    }


def _operation(verb: Verb, schemas: dict[str, Any]) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    if verb.reads:
        asked["parameters"] = list(_parameters(schemas[verb.asks.__name__]))
    else:
        content = {_JSON: {"schema": {"$ref": f"{_SCHEMAS}{verb.asks.__name__}"}}}
        asked["requestBody"] = {"required": True, "content": content}
    refused = {_JSON: {"schema": {"$ref": f"{_SCHEMAS}Error"}}}
    forms = {
        _JSON: {"schema": {"$ref": f"{_SCHEMAS}Answer"}},
        "text/plain": {"schema": {"type": "string"}},
        ANSWER: {"schema": {"$ref": f"{_SCHEMAS}Told"}},
    }
    headers = {EXIT_CODE: {"$ref": "#/components/headers/ExitCode"}}
    return {
        "operationId": verb.name,
        "summary": verb.summary,
        **asked,
        "responses": {
            "200": {
                "description": "What the verb answers.",
                "headers": headers,
                "content": forms,
            },
            "default": {
                "description": "Why it was not done.",
                "headers": headers,
                "content": refused,
            },
        },
    }


def _parameters(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, field in schema.get("properties", {}).items():
        told = {"description": field["description"]} if "description" in field else {}
        shape = {key: value for key, value in field.items() if key not in ("description", "title")}
        yield {"name": name, "in": "query", "required": False, **told, "schema": shape}


_DOCUMENT: Mapping[str, Any] = {
    "type": "object",
    "required": ["schema"],
    "properties": {"schema": {"type": "string", "pattern": r"^oneiric\.[a-z-]+/[0-9]+$"}},
}
_ANSWER: Mapping[str, Any] = {
    "description": "The document that the command prints with `--json`.",
    **_DOCUMENT,
}
_TOLD: Mapping[str, Any] = {
    "description": "The same, the text for a person, and what is told beside it and in any case.",
    "type": "object",
    "required": ["document", "text", "errors", "notices"],
    "properties": {
        "document": {"$ref": f"{_SCHEMAS}Answer"},
        "text": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "string"}},
        "notices": {"type": "array", "items": {"type": "string"}},
    },
}
_ERROR: Mapping[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details", "hint"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "details": {"type": "object"},
                "hint": {"type": "string"},
            },
        }
    },
}
_EXIT: Mapping[str, Any] = {
    "description": "What the command ends with.",
    "required": True,
    "schema": {"type": "integer", "minimum": 0, "maximum": 255},
}
