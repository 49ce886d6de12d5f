"""Providers as a user would write them, and a small service that they look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, web

from oneiric.clock import SystemClock, rfc3339
from oneiric.core.candidate import Candidate
from oneiric.errors import JSONValue, Problem
from oneiric.expressions import Template
from oneiric.ports.drift import DriftItem, DriftReport, Severity
from oneiric.ports.validator import Evidence
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.models import OrchestratorConfig
from oneiric.validation.orchestrator import Orchestrator

CLOCK = SystemClock()


def now() -> str:
    """Return the time as proofs write it."""
    return rfc3339(CLOCK.now())


def jump(seconds: float) -> None:
    """Let the time of the loop jump."""
    loop = asyncio.get_running_loop()
    told = loop.time
    loop.time = lambda: told() + seconds  # type: ignore[method-assign]


class Service:
    """A service on a port of its own, whose answers a test may change; it counts requests."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {"/health": 200, "/": 200, "/a": 200, "/b": 200}
        self.asked: list[str] = []
        self.hold: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.held = asyncio.Event()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer with the status of the path, 404 without one."""
        self.asked.append(f"{request.method} {request.path}")
        self.arrived.set()
        if self.hold is not None and request.path == "/held":
            self.held.set()
            await self.hold.wait()
        status = self.answers.get(request.path, 404)
        given = {"token": "captured-sekrit", "auth": request.headers.get("Authorization", "")}
        return web.json_response(given, status=status)


@asynccontextmanager
async def served() -> AsyncIterator[Service]:
    """Serve until the block ends."""
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    service.url = f"http://{host}:{port}"
    try:
        yield service
    finally:
        await runner.cleanup()


class PlainValidator:
    """Ask for the status of live checks, and nothing else; the validator of a user."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def problems(self, checks: Sequence[Mapping[str, JSONValue]]) -> list[Problem]:
        """Find nothing wrong but a method that nobody has."""
        return [
            Problem(f"{number}.method", "no such method", "check")
            for number, check in enumerate(checks)
            if check.get("method") == "BREW"
        ]

    async def prove(
        self, check: Mapping[str, Any], *, captured: Mapping[str, JSONValue]
    ) -> Evidence:
        """Send one request, and compare its status."""
        self.done.append(str(check["id"]))
        asked: Any = Template.parse(dict(check)).evaluate({"captured": captured})
        error, status, body = "", 0, {}
        try:
            async with (
                ClientSession() as session,
                session.request(asked["method"], asked["url"], headers=asked["headers"]) as answer,
            ):
                status, body = answer.status, await answer.json()
        except ClientError as failure:
            error = type(failure).__name__
        is_so = status == asked["expected_status"]
        if not is_so and not error:
            error = f"the status is {status}, not {asked['expected_status']}"
        facts: dict[str, JSONValue] = {"method": asked["method"], "status": status}
        proof = Proof(
            claim=f"{asked['url']} answers {asked['expected_status']}",
            subject=asked["url"],
            kind="http",
            outcome=ProofOutcome.PASSED if is_so else ProofOutcome.FAILED,
            at=now(),
            facts={**facts, **({"error": error} if error else {})},
        )
        taken = {name: body.get(name) for name in asked.get("capture") or {}}
        return Evidence(proof=proof, captured=taken)


@dataclass
class PlainDetector:
    """Report what a test says has drifted."""

    report: DriftReport = field(default_factory=lambda: DriftReport(at=now(), checked={"route": 1}))
    asked: list[Mapping[str, JSONValue]] = field(default_factory=list)
    error: Exception | None = None

    async def detect(self, asked: Mapping[str, JSONValue]) -> DriftReport:
        """Return the report."""
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return self.report

    def has_drifted(self) -> None:
        """Report that a route is gone, from now on."""
        item = DriftItem(
            kind="route",
            code="route-gone",
            severity=Severity.BREAKING,
            place="GET /users",
            message="it answers 404",
        )
        self.report = DriftReport(at=now(), checked={"route": 1}, items=(item,))


@dataclass
class Notebook:
    """Know nothing, and remember everything."""

    kept: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    error: Exception | None = None

    async def query_context(self, query: str, *, max_tokens: int = 6000) -> dict[str, JSONValue]:
        """Return one section."""
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        return {"sections": [{"title": "How to deploy", "content": "Slowly."}]}

    async def remember(self, content: str, **more: Any) -> dict[str, JSONValue]:
        """Keep it."""
        if self.error is not None:
            raise self.error
        self.kept.append(f"{more['type']}/{more['category']}: {content}")
        return {"memory_id": str(len(self.kept))}


class Parts:
    """An orchestrator that is up, with the parts of a user in place of the house's own."""

    def __init__(self, orchestrator: Orchestrator, service: Service) -> None:
        self.orchestrator = orchestrator
        self.service = service
        self.validator = PlainValidator()
        self.detector = PlainDetector()
        self.notebook = Notebook()

    def offer(self) -> None:
        """Offer the parts; they outrank what is there."""
        register = self.orchestrator.host.lifecycle.resolver.register
        for ref, part in (
            ("adapter:validator", self.validator),
            ("adapter:drift", self.detector),
            ("adapter:knowledge", self.notebook),
        ):
            register(Candidate(ref, "mine", lambda part=part: part, stack_level=5, version="7.0"))


@asynccontextmanager
async def parts(folder: Path, **fields: Any) -> AsyncIterator[Parts]:
    """Give a service, and an orchestrator for it in *folder*."""
    async with served() as service:
        config = OrchestratorConfig(prod_url=service.url, repo_path=folder, **fields)
        async with Orchestrator(config) as orchestrator:
            found = Parts(orchestrator, service)
            found.offer()
            yield found
