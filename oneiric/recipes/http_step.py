"""Steps that are requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from oneiric.errors import JSONValue
from oneiric.ports.http import HTTPClient, HTTPResponse, RequestOptions, origin
from oneiric.recipes.errors import Status4xxError, Status5xxError, StatusError
from oneiric.recipes.step import Envelope, Given, RecipeStep

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.recipes.context import Context
    from oneiric.recipes.sessions import Session, Sessions

_KEPT = ("content-type", "etag", "last-modified", "location", "link", "retry-after")
_BAD = 400


class HttpStep(RecipeStep):
    """Do steps by sending a request and keeping the answer.

    The answer must have one of the statuses that the step names, or one below 400. `save_to` gets
    `{"status", "headers", "json"}`, or `text` instead where the answer is no JSON; of the header
    only what tells of the content and where it is. A retry may name `status:503`, `status:5xx`
    and `unavailable` as causes.
    """

    def __init__(self, sessions: Link[Sessions], http: Link[HTTPClient]) -> None:
        super().__init__(sessions)
        self.http = http

    async def work(
        self, given: Given, aside: Context, *, session: Session, sessions: Sessions
    ) -> Envelope:
        """Send the request, check its status and keep the answer."""
        fields = given.fields
        async with self.http.use() as client:
            answer = await client.request(
                fields.get("method", "GET"), fields["url"], **_options(given)
            )
        self._check(given, answer)
        outputs = []
        if key := fields.get("save_to"):
            aside.set(key, _kept(answer), who=given.name)
            outputs.append(key)
        return {"status": "ok", "outputs": outputs, "http_status": answer.status_code}

    def _check(self, given: Given, answer: HTTPResponse) -> None:
        status, expected = answer.status_code, given.fields.get("status") or ()
        if status in expected or (not expected and status < _BAD):
            return
        kind = {4: Status4xxError, 5: Status5xxError}.get(status // 100, StatusError)
        more = f", not {' or '.join(map(str, expected))}" if expected else ""
        reason = f"{origin(answer.url)} answered {status}{more}"
        raise kind(given.name, reason, code=f"status-{status}")


def _options(given: Given) -> RequestOptions:
    found: RequestOptions = {}
    if headers := given.fields.get("headers"):
        found["headers"] = {name: str(value) for name, value in headers.items()}
    if "json" in given.fields:
        found["json"] = given.fields["json"]
    if (body := given.fields.get("body")) is not None:
        found["content"] = str(body).encode()
    if given.limit is not None:
        found["timeout"] = given.limit
    return found


def _kept(answer: HTTPResponse) -> dict[str, JSONValue]:
    headers = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    found: dict[str, JSONValue] = {
        "status": answer.status_code,
        "headers": cast("JSONValue", headers),
    }
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if kind == "application/json" or kind.endswith("+json"):
        return {**found, "json": answer.json()}
    return {**found, "text": answer.text}
