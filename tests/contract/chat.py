"""Slack, a Teams workflow and a webhook receiver on loopback, as strict as the real ones.

What they check is written here anew, from the published formats, so that a wrong provider
cannot agree with itself.
"""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "hunter2-of-the-tests"
KEY = b"a key of thirty-two bytes, really"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
TOLERANCE_SECONDS = 300
ADAPTIVE = "application/vnd.microsoft.card.adaptive"


@dataclass(slots=True)
class Received:
    """One request that carried a message."""

    path: str
    fields: dict[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content)


@dataclass(slots=True)
class Chat:
    """What arrived, what was wrong with it, and what to answer next instead of the truth."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    answers: list[web.Response] = field(default_factory=list)

    def app(self) -> web.Application:
        """Return the three servers under one roof."""
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/slack/api/auth.test", self._slack_knows)
        app.router.add_post("/slack/api/chat.postMessage", self._handler(slack_problems, slacked))
        app.router.add_post(f"/teams/{TOKEN}", self._handler(teams_problems, accepted))
        app.router.add_route("*", f"/hook/{TOKEN}", self._handler(webhook_problems, nothing))
        app.router.add_route("HEAD", "/", self._here)
        return app

    async def _here(self, request: web.Request) -> web.Response:
        return web.Response(status=404)

    async def _slack_knows(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"ok": False, "error": "invalid_auth"})
        return web.json_response({"ok": True, "team": "tests"})

    def _handler(
        self,
        problems: Callable[[Received], list[str]],
        taken: Callable[[Received], web.Response],
    ) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            fields = {name.lower(): text for name, text in request.headers.items()}
            got = Received(request.path, fields, await request.read())
            self.received.append(got)
            found = problems(got)
            self.problems += found
            if self.answers:
                return self.answers.pop(0)
            if found:
                return web.Response(status=400, text="; ".join(found))
            return taken(got)

        return handle


def slacked(got: Received) -> web.Response:
    """Answer as Slack does."""
    return web.json_response({"ok": True, "channel": "C1", "ts": "1700000000.000100"})


def accepted(got: Received) -> web.Response:
    """Answer as a Workflows webhook does."""
    return web.Response(status=202)


def nothing(got: Received) -> web.Response:
    """Answer as most receivers of webhooks do."""
    return web.Response(status=204)


def slack_problems(got: Received) -> list[str]:
    """Return what Slack's documentation of `chat.postMessage` and of blocks forbids."""
    body, found = got.body, []
    if got.fields.get("authorization") != f"Bearer {TOKEN}":
        found.append("no token")
    if not got.fields.get("content-type", "").startswith("application/json"):
        found.append("no JSON")
    if not body.get("channel") or not body.get("text") or len(body["text"]) > 40_000:
        found.append("channel and text are needed")
    blocks = body.get("blocks", [])
    if not 1 <= len(blocks) <= 50:
        found.append("1 to 50 blocks")
    for block in blocks:
        found += _block_problems(block)
    if re.search(r"<[!@#h]", json.dumps(body)):
        found.append("markup for a mention or a link")
    return found


def _block_problems(block: Any) -> list[str]:
    match block:
        case {"type": "header", "text": {"type": "plain_text", "text": str(text)}}:
            return [] if 1 <= len(text) <= 150 else ["a header has 1 to 150 characters"]
        case {"type": "section", "text": {"type": "mrkdwn", "text": str(text)}}:
            return [] if 1 <= len(text) <= 3000 else ["a section has 1 to 3000 characters"]
        case {"type": "section", "fields": list(fields)}:
            texts = [each["text"] for each in fields if each["type"] == "mrkdwn"]
            right = len(texts) == len(fields) and 1 <= len(fields) <= 10
            return [] if right and all(1 <= len(text) <= 2000 for text in texts) else ["fields"]
        case {"type": "context", "elements": [{"type": "mrkdwn", "text": str(text)}]}:
            return [] if text else ["an empty context"]
    return [f"no such block: {block}"]


def teams_problems(got: Received) -> list[str]:
    """Return what is no Adaptive Card in the envelope of a Workflows webhook."""
    if len(got.content) > 28 * 1024:
        return ["longer than 28 KiB"]
    match got.body:
        case {
            "type": "message",
            "attachments": [{"contentType": str(kind), "contentUrl": None, "content": dict(card)}],
        } if kind == ADAPTIVE:
            pass
        case _:
            return ["no envelope of one card"]
    found = []
    if card.get("type") != "AdaptiveCard" or not re.fullmatch(r"1\.[0-5]", card.get("version", "")):
        found.append("no AdaptiveCard of version 1.0 to 1.5")
    if card.get("$schema") != "http://adaptivecards.io/schemas/adaptive-card.json":
        found.append("no $schema")
    for element in card.get("body", [None]):
        match element:
            case {"type": "TextBlock", "text": str(text), "wrap": True} if text:
                pass
            case {"type": "FactSet", "facts": list(facts)} if facts:
                if any(not isinstance(each["value"], str) or not each["title"] for each in facts):
                    found.append("facts are texts")
            case _:
                found.append(f"no such element: {element}")
    return found


def webhook_problems(got: Received) -> list[str]:
    """Return what Standard Webhooks forbids; where it is not signed, only what of the shape."""
    found = []
    if not {"type", "timestamp", "data"} <= set(got.body):
        found.append("type, timestamp and data are needed")
    if "webhook-signature" in got.fields and not is_signed(got, KEY):
        found.append("the signature is wrong")
    return found


def is_signed(got: Received, key: bytes, *, content: bytes | None = None) -> bool:
    """Tell whether a signature of *got* is right, and no older than five minutes."""
    at, content = got.fields["webhook-timestamp"], got.content if content is None else content
    if abs(time.time() - int(at)) > TOLERANCE_SECONDS:
        return False
    signed = b".".join((got.fields["webhook-id"].encode(), at.encode(), content))
    right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    given = got.fields["webhook-signature"].split(" ")
    return any(hmac.compare_digest(f"v1,{right}", each) for each in given)
