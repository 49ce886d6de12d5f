"""A server of callbacks over scripted tasks, and what senders push to it."""

import base64
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.scheduler import SchedulerHTTPServer
from oneiric.runtime.work import Work
from tests.domains.works import Script, task, workflow
from tests.web.served import say

Answer = tuple[int, dict[str, str], Any]
TOKEN = "hunter2-is-the-token-of-these-tests"
GUARDED = f"""
[http]
identity = "token"
[adapters.provider_settings."identity@token"]
tokens = {{ ci = "{TOKEN}" }}
"""


def http(
    body: object,
    *fields: str,
    method: str = "POST",
    path: str = "/tasks/workflow",
    host: str = "127.0.0.1",
    kind: str = "application/json",
) -> bytes:
    """Return a request; a body that is no bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *fields]
    head += [f"Content-Length: {len(content)}", f"Content-Type: {kind}"]
    return "\r\n".join([*head, "", ""]).encode() + content


def cloud_task(name: str, *, queue: str = "orders", retries: int = 0) -> tuple[str, ...]:
    """Return the header fields of a task."""
    return (
        f"X-CloudTasks-TaskName: {name}",
        f"X-CloudTasks-QueueName: {queue}",
        f"X-CloudTasks-TaskRetryCount: {retries}",
    )


def push(asked: object, message_id: str = "1", **more: Any) -> dict[str, Any]:
    """Return a Pub/Sub push of *asked*."""
    data = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    message = {
        "data": base64.b64encode(data).decode(),
        "messageId": message_id,
        "message_id": message_id,
        "publishTime": "2026-11-21T10:00:00.123Z",
        "attributes": {"origin": "tests"},
        **more,
    }
    return {"message": message, "subscription": "projects/p/subscriptions/orders"}


@dataclass
class Desk:
    """A server at work, and what its tasks did."""

    server: SchedulerHTTPServer
    work: Work
    script: Script

    @property
    def port(self) -> int:
        return self.server.where.port

    async def post(self, body: object, *fields: str, **more: str) -> Answer:
        return await say(self.port, http(body, *fields, **more))


@asynccontextmanager
async def callbacks(
    folder: Path,
    script: Script | None = None,
    *,
    config: str = "",
    host: str = "",
    grace: float = 10.0,
    ready: Callable[[], Sequence[str]] = tuple,
    also: Sequence[Candidate] = (),
) -> AsyncIterator[Desk]:
    """Serve the workflow `ship`, of the tasks `pick` and `pack`, and the workflow `asks`."""
    (folder / "oneiric.toml").write_text(config)
    script = script or Script()
    waiting = workflow("asks", {"id": "ask", "signal": "go"})
    ship = workflow(
        "ship",
        {"id": "pick", "task": "pick", "payload": {"order": "${ default(input.order, 0) }"}},
        {"id": "pack", "task": "pack", "depends_on": ["pick"]},
    )
    needs = workflow("needs", {"id": "pick", "task": "pick", "payload": "${ input.order }"})
    tasks = [task(name, script.task(name)) for name in ("pick", "pack")]
    runtime = RuntimeOrchestrator.open(
        folder=folder, plugins=(Plugin([*tasks, ship, needs, waiting, *also]),)
    )
    async with Work(runtime) as work:
        server = SchedulerHTTPServer(
            work, ready=ready, metrics=lambda: "up 1\n", host=host, port=0, grace=grace
        )
        async with server:
            yield Desk(server, work, script)
