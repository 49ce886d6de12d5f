"""The verbs over HTTP: each is asked, and its answer told in the form that the client wants."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, get_origin

from aiohttp import web

from oneiric.documents.model import validate_settings
from oneiric.errors import (
    ConfigError,
    InvalidError,
    JSONValue,
    OneiricError,
    Problem,
    RefusedError,
)
from oneiric.web.control.answer import Answer
from oneiric.web.control.openapi import openapi
from oneiric.web.control.protocol import ANSWER, COLOUR, COLUMNS, VERBS, Asks, Verb
from oneiric.web.errors import EXIT_CODE, error_response, json_response
from oneiric.web.limits import read_json

Ask = Callable[[Verb, Any], Awaitable[Answer]]
"""Does what a verb is asked for, with an instance of its model."""

BEAT_SECONDS = 3.0
"""How often a client that waits is told that there is still somebody to wait for."""

UNBOUNDED = 1_000
_STILL_HERE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CREDENTIALS = struct.Struct("3i")
_ROOT = 0


class InvalidFieldsError(InvalidError):
    """A verb that is asked with what it does not take; carries every problem."""

    code = "invalid-fields"

    def __init__(self, verb: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(f"{verb} cannot be asked so")
        self.problems = problems

    def details(self) -> Mapping[str, JSONValue]:
        return {"problems": [problem.as_json() for problem in self.problems]}

    def lines(self) -> list[str]:
        return [f"{problem.key}: {problem.what}" for problem in self.problems]


def control_routes(ask: Ask, *, beat: float = BEAT_SECONDS) -> list[web.RouteDef]:
    """Return a route for every verb, and one for their description."""

    def route(verb: Verb) -> web.RouteDef:
        async def handler(request: web.Request) -> web.Response:
            check_peer(request.get_extra_info("socket"))
            return await _asked(request, verb, ask, beat)

        if verb.reads:
            return web.get(verb.path, handler, allow_head=False)
        return web.post(verb.path, handler)

    async def described(request: web.Request) -> web.Response:
        check_peer(request.get_extra_info("socket"))
        return json_response(openapi())

    described_at = web.get("/openapi.json", described, allow_head=False)
    return [*(route(verb) for verb in VERBS.values()), described_at]


async def _asked(request: web.Request, verb: Verb, ask: Ask, beat: float) -> web.Response:
    wants_both = request.headers.get("Accept", "") == ANSWER
    try:
        values = _query(request, verb) if verb.reads else await read_json(request)
        asks = _checked(verb, values)
        answer = await _awaited(request, ask(verb, asks), beat)
    except OneiricError as error:
        return error_response(error, with_lines=wants_both)
    return await asyncio.to_thread(_told, request, answer)


async def _awaited(request: web.Request, doing: Awaitable[Answer], beat: float) -> Answer:
    """Wait for an answer, and let the client know meanwhile that it is being worked at.

    HTTP lets any number of interim answers come first (RFC 9110, section 15.2), so that a
    client need not wait longer for a sign of life than for the answer to a short question.
    """

    async def beating() -> None:
        while True:
            await asyncio.sleep(beat)
            if request.transport is not None and request.version >= (1, 1):
                request.transport.write(_STILL_HERE)

    failure: OneiricError | None = None
    async with asyncio.TaskGroup() as group:
        sign = group.create_task(beating())
        try:
            answer = await doing
        except OneiricError as error:
            failure = error
        finally:
            sign.cancel()
    if failure is not None:
        raise failure
    return answer


def _told(request: web.Request, answer: Answer) -> web.Response:
    headers = {EXIT_CODE: str(answer.exit_code)}
    match request.headers.get("Accept", ""):
        case "text/plain":
            return web.Response(text=_text(request, answer), headers=headers)
        case wanted if wanted == ANSWER:
            both = {
                "document": answer.as_json(),
                "text": _text(request, answer),
                "errors": list(getattr(answer, "errors", ())),
                "notices": list(getattr(answer, "notices", ())),
            }
            body = json.dumps(both, ensure_ascii=False)
            return web.Response(text=body, headers=headers, content_type=ANSWER)
    return json_response(answer.as_json(), headers=headers)


def _text(request: web.Request, answer: Answer) -> str:
    columns = request.headers.get(COLUMNS, "")
    wide = int(columns) if columns.isascii() and columns.isdigit() and len(columns) < 5 else 0
    colour = request.headers.get(COLOUR, "") == "yes"
    return answer.render(columns=max(wide, 20) if wide else UNBOUNDED, colour=colour)


def _query(request: web.Request, verb: Verb) -> JSONValue:
    """Return the parameters of a query as the values that the model of the verb takes."""
    values: dict[str, JSONValue] = {}
    for name in request.query:
        given = request.query.getall(name)
        field = verb.asks.model_fields.get(name)
        kind = field.annotation if field else str
        if get_origin(kind) is list:
            values[name] = list(given)
        elif len(given) > 1:
            raise InvalidFieldsError(verb.name, (Problem(name, "it is given twice", "query"),))
        else:
            values[name] = (
                {"true": True, "false": False}.get(given[0], given[0])
                if (kind is bool)
                else given[0]
            )
    return values


def _checked(verb: Verb, values: JSONValue) -> Asks:
    if not isinstance(values, Mapping):
        raise InvalidFieldsError(verb.name, (Problem("body", "it is no JSON table", "body"),))
    try:
        return validate_settings(
            verb.asks, values, key=verb.name, origin_of=lambda _: "query" if verb.reads else "body"
        )
    except ConfigError as error:
        cut = len(verb.name) + 1
        problems = (Problem(each.key[cut:], each.what, each.origin) for each in error.problems)
        raise InvalidFieldsError(verb.name, tuple(problems)) from None


def check_peer(connected: socket.socket | None) -> None:
    """Pass if who connected runs as who serves, or as root, where the system tells that.

    Source: unix(7), `SO_PEERCRED`: process, user and group of who connected.

    Raises:
        RefusedError: it is somebody else.
    """
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None or connected is None or connected.family != socket.AF_UNIX:
        return
    packed = connected.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(packed)
    if user not in (os.geteuid(), _ROOT):
        raise RefusedError("another user's orchestrator answers only its own user, and root")
