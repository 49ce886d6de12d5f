"""The control interface as a reference page, and as OpenAPI."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from oneiric.web.control.openapi import openapi
from oneiric.web.control.protocol import ANSWER, COLOUR, COLUMNS, VERBS, Verb
from oneiric.web.errors import EXIT_CODE, STATUS, STATUS_OF_EXIT
from tests.architecture.source import House
from tests.docs.markdown import HEADER


def control_openapi(_house: House) -> str:
    """Return the description that the interface itself serves."""
    return json.dumps(openapi(), indent=2) + "\n"


def control_page(_house: House) -> str:
    """Return the page of every verb, with what it is asked with."""
    schemas = openapi()["components"]["schemas"]
    lines = [
        HEADER,
        "# The control interface\n",
        "For whoever asks a running orchestrator without the command line: HTTP/1.1 on the Unix",
        "socket `.oneiric_cache/control.sock`, mode 0600. The same, as OpenAPI 3.1:",
        "[control-api.json](control-api.json), which `GET /openapi.json` serves too. How it is",
        "used: [ask a running orchestrator](../how-to/ask-a-running-orchestrator.md).\n",
        "A verb that only reads is a `GET` with a query, any other a `POST` with a JSON body; a",
        "field that it does not know is refused, and one without a default has to be given. The",
        "answer is the [document](json.md) of the command, with `applied` `live`, or an",
        f"[error](errors.md). The header `{EXIT_CODE}` says what the command would end with.\n",
        "| header of a request | says |",
        "|---|---|",
        "| `Accept: text/plain` | answer with the text of the command |",
        f"| `Accept: {ANSWER}` | with both, and `errors` and `notices`, lines for stderr |",
        f"| `{COLUMNS}: 80` | no table of the text is wider |",
        f"| `{COLOUR}: yes` | the text may have colours |",
        "| `X-Request-Id: ID` | the id of the request in answer and log; a new one without it |\n",
        "| status | exit code | code |",
        "|---|---|---|",
        *(f"| {status} | {code} | any other |" for code, status in STATUS_OF_EXIT.items()),
        *(f"| {status} | | `{code}` |" for code, status in STATUS.items()),
        "",
        "While a verb takes its time, `100 Continue` is sent every three seconds: a client that",
        "hears nothing for longer knows that nobody works at it. A verb goes on when its client",
        "goes away.\n",
    ]
    for verb in VERBS.values():
        lines += _verb(verb, schemas)
    return "\n".join(lines)


def _verb(verb: Verb, schemas: dict[str, Any]) -> Iterator[str]:
    yield f"## {verb.name}\n"
    yield f"`{'GET' if verb.reads else 'POST'} {verb.path}`\n"
    yield f"{verb.summary}\n"
    schema = schemas[verb.asks.__name__]
    fields = schema.get("properties", {})
    if not fields:
        return
    yield "| field | type | default | what it says |"
    yield "|---|---|---|---|"
    for name, field in fields.items():
        default = "" if name in schema.get("required", ()) else f"`{_default(field)}`"
        told = field.get("description", "").replace("|", "\\|")
        yield f"| `{name}` | {_type(field)} | {default} | {told} |"
    yield ""


def _default(field: dict[str, Any]) -> str:
    return json.dumps(field.get("default", {}))


def _type(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "$ref" in field:
        kind: str = field["$ref"].rpartition("/")[2]
        return "any" if kind == "JsonValue" else "object"
    kind = field.get("type", "any")
    return f"array of {_type(field['items'])}" if kind == "array" else kind
