"""Hold one answer to the document that promises it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from oneiric.errors import JSONValue, Problem
from oneiric.validation.openapi.document import Document
from oneiric.validation.openapi.json_schema import json_schema
from oneiric.validation.openapi.operations import Operation, Parameter, Response, media_type
from oneiric.validation.providers.json_schemas import MAX_FAULTS, Fault, schema_faults
from oneiric.validation.providers.patterns import PatternUntriedError

_WITHOUT_BODY = frozenset({204, 205, 304})


def conformance(
    document: Document,
    *,
    method: str,
    path: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
) -> list[Problem]:
    """Return what about an answer the document does not allow; nothing when it conforms.

    Each problem has a `key` (`operation`, `status`, `content-type`, `header NAME`, or the JSON
    path in the body such as `$.items[0].email`), `what` in words that quote no value, and in
    `origin` the place in the document, such as `GET /users 200 application/json`.

    A HEAD that is not documented is held to the GET of its path. At most 20 problems are told.

    Raises:
        InvalidError: a schema refers to what cannot be followed, and nothing else is wrong.
        DependencyMissingError: a body is to be checked, and `oneiric[validation]` is not installed.
        PatternUntriedError: a pattern of the document cannot be read or had no answer in time,
            and nothing else is wrong.
    """
    operation = _operation(document, method, path)
    if operation is None:
        what = f"{method.upper()} of this path is not documented"
        return [Problem("operation", what, document.source)]
    response = operation.response(status)
    if response is None:
        return [Problem("status", f"{status} is not documented", operation.name)]
    place = f"{operation.name} {response.status}"
    sent = {name.lower(): value for name, value in headers.items()}
    kind = sent.get("content-type", "")
    looks = [_headers(document, response, sent, place)]
    if method.upper() != "HEAD" and status not in _WITHOUT_BODY and status >= 200:
        looks.append(_content(document, response, kind, body, place))
    problems: list[Problem] = []
    untried: list[PatternUntriedError] = []
    for look in looks:
        try:
            problems += look
        except PatternUntriedError as error:
            untried.append(error)
    if untried and not problems:
        raise untried[0]
    return problems[:MAX_FAULTS]


def _operation(document: Document, method: str, path: str) -> Operation | None:
    found = document.find(method, path)
    if found is None and method.upper() == "HEAD":
        return document.find("GET", path)
    return found


def _headers(
    document: Document, response: Response, sent: Mapping[str, str], place: str
) -> Iterator[Problem]:
    for name, header in sorted(response.headers.items()):
        if name not in sent:
            if header.required:
                yield Problem(f"header {name}", "it is missing", place)
        elif header.schema is not None:
            value = _header_value(document, header, sent[name])
            for path, what in _faults(document, header.schema, value, f"{place} header {name}"):
                key = f"header {name}{path.removeprefix('$')}"
                yield Problem(key, f"it {what}", place)


def _header_value(document: Document, header: Parameter, text: str) -> JSONValue:
    schema = document.references.table(header.schema)
    kinds = schema.get("type")
    kind = next(iter(kinds), "") if isinstance(kinds, list) else kinds
    if kind == "array":
        items = Parameter(header.name, "header", schema=schema.get("items"))
        return [_header_value(document, items, each.strip()) for each in text.split(",")]
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind in ("integer", "number"):
        return _number(text)
    return text


def _number(text: str) -> JSONValue:
    for read in (int, float):
        try:
            return read(text) if len(text) <= 100 else text
        except ValueError:
            continue
    return text


def _content(
    document: Document, response: Response, told: str, body: bytes, place: str
) -> Iterator[Problem]:
    if not response.content:
        return
    if not body and not told:
        yield Problem("$", "the body is missing", place)
        return
    kind = media_type(told)
    ranges = (kind, f"{kind.partition('/')[0]}/*", "*/*")
    documented = next((each for each in ranges if each in response.content), None)
    if documented is None:
        shown = ascii(kind[:100])[1:-1] or "none"
        wanted = " or ".join(sorted(response.content)[:5])
        yield Problem("content-type", f"it is {shown}, and not {wanted}", place)
        return
    schema = response.content[documented]
    if schema is None or not _is_json(kind):
        return
    where = f"{place} {documented}"
    try:
        value = json.loads(body, parse_constant=_refused)
    except (ValueError, RecursionError):
        yield Problem("$", "the body is no JSON", where)
        return
    for path, what in _faults(document, schema, value, where):
        yield Problem(path, f"it {what}", where)


def _faults(document: Document, schema: JSONValue, value: JSONValue, place: str) -> list[Fault]:
    try:
        return schema_faults(json_schema(document, schema, hidden="writeOnly"), value)
    except PatternUntriedError as error:
        raise PatternUntriedError(f"{place}: {error.message}") from error


def _is_json(kind: str) -> bool:
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _refused(word: str) -> JSONValue:
    raise ValueError(word)
