"""Where a route leads that redirects, and whether that is what was meant."""

from __future__ import annotations

from urllib.parse import urlsplit

from oneiric.ports.drift import Severity
from oneiric.validation.addresses import shown_address
from oneiric.validation.drift.answers import note_unexpected
from oneiric.validation.drift.declared import Route
from oneiric.validation.drift.findings import Findings
from oneiric.validation.drift.probe import Answer, Prober, Silence
from oneiric.validation.hosts import Place

MAX_HOPS = 5
_BROKEN = frozenset({404, 410})


async def judge_redirect(route: Route, answer: Answer, findings: Findings, prober: Prober) -> None:
    """Follow where *answer* leads, within the allowed hosts, and note what is wrong with that."""
    findings.compared()
    target = shown_address(answer.target)
    if note_unexpected(route, answer, findings, target=target):
        return
    if broken := await _broken(answer, prober):
        findings.differs(
            "route-redirect-broken",
            Severity.BREAKING,
            route.place,
            f"redirects to {target}: {broken}",
            status=answer.status,
            target=target,
        )
    elif rule := _elsewhere(route, answer):
        code, severity = rule
        findings.differs(
            code,
            severity,
            route.place,
            f"redirects to {target}",
            hint="name the status in the contract if it shall",
            status=answer.status,
            target=target,
        )


async def _broken(answer: Answer, prober: Prober) -> str:
    """Return what is wrong where *answer* leads in the end, or an empty text."""
    url = answer.target
    for _ in range(MAX_HOPS):
        if not prober.hosts.allows(url):
            return ""
        reply = await prober.ask("GET", url)
        if isinstance(reply, Silence):
            return "" if reply.is_ours else reply.reason
        if reply.status in _BROKEN or reply.status >= 500:
            return f"{shown_address(url)} answers {reply.status}"
        if not reply.target:
            return ""
        url = reply.target
    return f"it redirects more than {MAX_HOPS} times"


def _elsewhere(route: Route, answer: Answer) -> tuple[str, Severity] | None:
    """Return the rule for a redirect that nobody documents, or None where it is as meant."""
    here, there = Place.of(answer.url), Place.of(answer.target)
    if route.expected or route.documents(answer.status):
        return None
    if here is None or there is None or here.host != there.host:
        return "route-redirects-elsewhere", Severity.BREAKING
    mine, theirs = urlsplit(answer.url).path, urlsplit(answer.target).path
    if here == there and mine.rstrip("/") == theirs.rstrip("/"):
        return "route-redirects-slash", Severity.INFO
    if mine == theirs and (here.scheme, there.scheme) == ("http", "https"):
        return "route-redirects-https", Severity.INFO
    if here.port != there.port:
        return "route-redirects-elsewhere", Severity.BREAKING
    return None if route.needs_auth else ("route-redirects", Severity.WARNING)
