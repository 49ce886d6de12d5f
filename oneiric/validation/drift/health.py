"""Whether production says that it is well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from oneiric.documents import parse
from oneiric.errors import DocumentError, JSONValue
from oneiric.ports.drift import Severity
from oneiric.ports.executor import Executor
from oneiric.validation.drift.findings import Findings, Found
from oneiric.validation.drift.probe import Answer, Prober, Reply
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift.view import View

PATHS = ("/health", "/healthz", "/ready", "/readyz", "/api/health")
"""Where health is looked for; one that is well is enough."""

_UNWELL = frozenset({"fail", "failed", "failing", "down", "unhealthy", "error", "critical"})
_DOUBTFUL = frozenset({"warn", "warning", "degraded"})
_NOBODY = frozenset({401, 403})
_NOWHERE = frozenset({404, 405, 410})


async def check_health(view: View, question: DriftQuestion, _executor: Executor) -> Found:
    """Ask each path, and judge by the best answer."""
    findings = Findings("health")
    demanded = question.checks.health is True or question.health is not None
    if question.checks.health is False:
        return findings.found()
    if not question.prod_url:
        findings.missing("no address of production was given", demanded=demanded)
        return findings.found()
    kept = (await view.baseline()).baseline
    recorded = [kept.health] if kept is not None and kept.health else []
    paths = question.health or [*dict.fromkeys([*recorded, *PATHS])]
    replies = await _asked(view.prober, paths)
    is_named = question.health is not None or bool(recorded)
    _judge(replies, findings, is_named=is_named, demanded=demanded)
    return findings.found()


async def healthy_path(prober: Prober, paths: list[str]) -> str:
    """Return the first of *paths* at which production says that it is well, or an empty text."""
    replies = await _asked(prober, paths)
    return next((path for path, reply in replies.items() if _is_well(reply)), "")


async def _asked(prober: Prober, paths: list[str]) -> dict[str, Reply]:
    replies = await asyncio.gather(*(prober.ask("GET", prober.address(path)) for path in paths))
    return dict(zip(paths, replies, strict=True))


def _is_well(reply: Reply) -> bool:
    return isinstance(reply, Answer) and 200 <= reply.status < 300 and _says(reply) not in _UNWELL


def _judge(
    replies: Mapping[str, Reply], findings: Findings, *, is_named: bool, demanded: bool
) -> None:
    told: dict[str, JSONValue] = {path: _shown(reply) for path, reply in replies.items()}
    well = [path for path, reply in replies.items() if _is_well(reply)]
    statuses = {each.status for each in replies.values() if isinstance(each, Answer)}
    if well:
        findings.compared()
        first = replies[well[0]]
        if isinstance(first, Answer) and _says(first) in _DOUBTFUL:
            message = f"it says of itself: {_says(first)}"
            findings.differs("health-degraded", Severity.WARNING, well[0], message)
    elif not statuses:
        _judge_silence(replies, findings)
    elif statuses <= _NOWHERE and not is_named:
        reason = f"no health endpoint at {', '.join(replies)}"
        findings.missing(reason, demanded=demanded, hint="name its path, in `health`")
    elif statuses <= _NOBODY | _NOWHERE and statuses & _NOBODY:
        findings.unsure("health", "it needs credentials", hint="give headers that let us in")
    else:
        findings.compared()
        places = [path for path in replies if told[path] not in _NOWHERE or is_named]
        message = "production does not say that it is well"
        findings.differs("health-failing", Severity.BREAKING, places[0], message, answers=told)


def _judge_silence(replies: Mapping[str, Reply], findings: Findings) -> None:
    path, reply = next(iter(replies.items()))
    assert not isinstance(reply, Answer)
    if reply.is_ours:
        findings.unsure(path, reply.reason)
        return
    findings.compared()
    findings.differs("health-unreachable", Severity.BREAKING, path, reply.reason)


def _says(answer: Answer) -> str:
    """Return the word of a JSON answer for how it is, in lower case, or an empty text."""
    try:
        told = parse(answer.body, "json") if "json" in answer.media else None
    except DocumentError:
        return ""
    word = told.get("status") if isinstance(told, Mapping) else None
    return word.lower() if isinstance(word, str) else ""


def _shown(reply: Reply) -> JSONValue:
    if not isinstance(reply, Answer):
        return reply.reason
    word = _says(reply)
    return f"{reply.status} {word}" if word else reply.status
