"""Whether production has the routes that it should, asked without doing anything to it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from urllib.parse import urlsplit

from oneiric.ports.drift import Severity
from oneiric.ports.executor import Executor
from oneiric.validation.checks.spec import SAFE
from oneiric.validation.drift.answers import REFUSING, gone, judge
from oneiric.validation.drift.declared import Route, asked_routes, declared_routes
from oneiric.validation.drift.findings import Findings, Found
from oneiric.validation.drift.methods import Methods
from oneiric.validation.drift.nowhere import NOWHERE
from oneiric.validation.drift.probe import Answer, Silence
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift.redirects import judge_redirect
from oneiric.validation.drift.view import View
from oneiric.validation.openapi.paths import matches

_MOST_NAMED = 50
_ALLOW_HINT = "name its host in allow_hosts"
_SHUT_HINT = "give headers that let us in"
_TELLING = frozenset({404, 410, 429})
_ASK_HINT = "a live check may send it, if somebody asks for one"


async def check_routes(view: View, question: DriftQuestion, _executor: Executor) -> Found:
    """Compare each route that should be there with what production answers."""
    findings = Findings("route")
    if question.checks.routes is False:
        return findings.found()
    demanded = question.checks.routes is True
    table, contract = await view.table(), await view.contract()
    if table.problem:
        findings.unsure("app", table.problem, hint="can it be imported with its own interpreter?")
    if contract.is_broken and question.routes is None:
        findings.unsure(contract.source, contract.problem)
    declared = await declared_routes(view)
    routes = declared
    if question.routes is not None:
        routes = asked_routes(question.routes, declared, question, view.prober)
    if not routes:
        reason = "no routes were named, and no contract, application or baseline tells any"
        findings.missing(reason, demanded=demanded or bool(question.app))
    elif not question.prod_url and not any(route.path.startswith("http") for route in routes):
        is_asked = demanded or question.routes is not None
        findings.missing("no address of production was given", demanded=is_asked)
    else:
        await _Look(view, findings).at(routes)
        if contract.document is not None:
            _tell_undeclared(routes, findings, contract.source)
    return findings.found()


def _tell_undeclared(routes: list[Route], findings: Findings, source: str) -> None:
    for route in routes:
        if route.source == "asked" and route.path.startswith("/"):
            message = f"{source} does not know this route"
            findings.differs("route-undeclared", Severity.INFO, route.place, message)


class _Look:
    """One look at all routes: those that can be asked for, then those that must not be."""

    def __init__(self, view: View, findings: Findings) -> None:
        self._view = view
        self._prober = view.prober
        self._findings = findings
        self._silent: dict[tuple[str, str], list[Route]] = defaultdict(list)
        self._alive: list[str] = []
        self._unfound: list[tuple[Route, int]] = []
        self._nowhere = view.nowhere

    async def at(self, routes: list[Route]) -> None:
        """Look at *routes*."""
        safe = [route for route in routes if route.method in SAFE or not route.method]
        await self._each([self._asked(route) for route in safe])
        methods = Methods(self._prober, self._alive or await self._somewhere())
        others = [route for route in routes if route.method and route.method not in SAFE]
        await self._each([self._told(route, methods) for route in others])
        await self._each([self._sought(route, at, methods) for route, at in self._unfound])
        self._tell_silent()

    async def _each(self, looks: list[Coroutine[object, object, None]]) -> None:
        async with asyncio.TaskGroup() as group:
            for look in looks:
                group.create_task(look)

    async def _somewhere(self) -> list[str]:
        """Return an address of production that is there, where no route was seen to be."""
        served = await self._view.served()
        return [self._prober.address(served.source)] if served.document is not None else []

    async def _asked(self, route: Route) -> None:
        if not route.method and await self._is_for_others(route):
            self._findings.compared()
            return
        reply = await self._prober.ask(route.method or "GET", route.url)
        if isinstance(reply, Silence):
            self._note_silence(route, reply)
        elif reply.status == 404 and not route.expected and self._may_be_there(route):
            self._unfound.append((route, reply.status))
        elif await self._proves_nothing(route, reply):
            self._judge_vague(route, reply)
        elif reply.target:
            await judge_redirect(route, reply, self._findings, self._prober)
        else:
            self._judge(route, reply)

    async def _is_for_others(self, route: Route) -> bool:
        """Whether a route of which no method is known is there, and has no GET."""
        reply = await self._prober.ask("OPTIONS", route.url)
        allow = reply.allow if isinstance(reply, Answer) else None
        if not allow or "GET" in allow:
            return False
        return not await self._nowhere.allows(allow)

    async def _proves_nothing(self, route: Route, answer: Answer) -> bool:
        """Whether production answers so for every path, and nobody named what it should answer."""
        is_named = bool(route.expected) and route.source != "baseline"
        if is_named or answer.status in _TELLING or answer.status >= 500:
            return False
        if answer.target and not (route.needs_auth or route.expected):
            return False
        if 200 <= answer.status < 300 and matches(route.path, NOWHERE):
            return False  # it is meant to answer every path, so there is none that it has not
        return await self._nowhere.is_like(answer)

    def _judge_vague(self, route: Route, answer: Answer) -> None:
        """Note what is wrong with an answer that every path gets; if nothing is, nobody knows."""
        if 200 <= answer.status < 300 and answer.media == "text/html" and answer.body:
            self._findings.compared()
            self._findings.differs(
                "route-missing",
                Severity.BREAKING,
                route.place,
                "answered just as a path that does not exist",
                status=answer.status,
            )
            return
        found = Findings("route")
        if not answer.target:
            judge(route, answer, found, shows_credentials=self._prober.has_credentials)
        if found.items:
            self._findings.compared()
            self._findings.items += found.items
            return
        is_shut = answer.target or answer.status in REFUSING
        reason = f"answered {answer.status}, as it does for a path that does not exist"
        hint = _SHUT_HINT if is_shut else "let production answer 404 for what it has not"
        self._findings.unsure(route.place, reason, hint=hint)

    def _judge(self, route: Route, answer: Answer) -> None:
        is_ours = self._prober.hosts.is_production(answer.url)
        if is_ours and answer.status not in (404, 405, 410) and answer.status < 500:
            self._alive.append(answer.url)
        shows = self._prober.has_credentials and is_ours
        judge(route, answer, self._findings, shows_credentials=shows)

    def _may_be_there(self, route: Route) -> bool:
        """Whether 404 may mean that nothing is there for the values, and not that no route is."""
        return not route.is_certain or route.documents(404)

    async def _sought(self, route: Route, status: int, methods: Methods) -> None:
        """Look for a route that answered 404, which may be for the values in its path."""
        evidence = await methods.evidence(route.method, route.url)
        if evidence.has in ("yes", "no"):
            self._findings.compared()
        elif evidence.has == "missing" and route.is_fitting:
            self._findings.compared()
            gone(route, status, self._findings)
        else:
            reason = f"answered {status} for a value that nobody named; {evidence.reason}"
            hint = "name values that are there in production, in `values`"
            self._findings.unsure(route.place, reason, hint=hint)

    async def _told(self, route: Route, methods: Methods) -> None:
        """Look for a route that must not be asked for: by OPTIONS, else by what is served."""
        if route.expected and route.source == "asked":
            reason = f"{route.method} might do something, so its answer is not asked for"
            self._findings.unsure(route.place, reason, hint=_ASK_HINT)
            return
        evidence = await methods.evidence(route.method, route.url)
        is_vague = evidence.has == "missing" and not route.is_fitting
        if evidence.has == "unknown" or is_vague:
            await self._told_by_document(route, evidence.reason)
            return
        self._findings.compared()
        if evidence.has == "missing":
            gone(route, 404, self._findings)
        elif evidence.has == "no":
            self._findings.differs(
                "route-method-missing",
                Severity.BREAKING,
                route.place,
                f"production does not have {route.method} here: {evidence.reason}",
                allow=list(evidence.allow),
            )

    async def _told_by_document(self, route: Route, reason: str) -> None:
        served = await self._view.served()
        path = urlsplit(route.url).path
        at_production = self._prober.hosts.is_production(route.url)
        if served.document is None or not at_production:
            hint = "let production serve its OpenAPI document, or answer OPTIONS with Allow"
            self._findings.unsure(route.place, reason, hint=hint)
        elif served.document.find(route.method, path) is not None:
            self._findings.compared()
        elif route.operation is not None:
            self._findings.compared()
            message = f"{served.source} of production does not know it"
            self._findings.differs("route-missing", Severity.BREAKING, route.place, message)
        else:
            self._findings.unsure(route.place, f"{served.source} does not know it; {reason}")

    def _note_silence(self, route: Route, silence: Silence) -> None:
        if silence.is_ours:
            hint = _ALLOW_HINT if silence.how == "forbidden" else ""
            self._findings.unsure(route.place, silence.reason, hint=hint)
        else:
            origin = "://".join(urlsplit(route.url)[:2])
            self._silent[origin, silence.how].append(route)
            self._findings.compared()

    def _tell_silent(self) -> None:
        """Tell of routes that gave no answer: all of a host, for the same reason, at once."""
        for (origin, how), routes in self._silent.items():
            code = "route-slow" if how == "slow" else "route-unreachable"
            places = sorted(route.place for route in routes)
            reason = Silence(url=origin, how=how).reason
            self._findings.differs(
                code,
                Severity.BREAKING,
                places[0] if len(places) == 1 else origin,
                reason if len(places) == 1 else f"{len(places)} routes: {reason}",
                routes=[*places[:_MOST_NAMED]],
            )
