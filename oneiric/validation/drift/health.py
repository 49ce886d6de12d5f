"""Whether production says that it is well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from oneiric.errors import JSONValue
from oneiric.ports.drift import Severity
from oneiric.ports.executor import Executor
from oneiric.validation.drift.findings import Findings, Found
from oneiric.validation.drift.nowhere import Nowhere
from oneiric.validation.drift.probe import Answer, Prober, Reply
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift.view import View
from oneiric.validation.drift.wellbeing import said_in

PATHS = ("/health", "/healthz", "/ready", "/readyz", "/api/health")
"""Where health is looked for; one that is well is enough."""

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
    vague = await _vague(replies, view.nowhere)
    told = {path: reply for path, reply in replies.items() if path not in vague}
    if told or not vague:
        _judge(told, findings, is_named=is_named, demanded=demanded)
    if vague and not findings.checked and not findings.unchecked:
        reason = f"{vague[0]} is answered as a path that does not exist"
        findings.missing(reason, demanded=demanded or is_named, hint="name its path, in `health`")
    return findings.found()


async def healthy_path(prober: Prober, paths: list[str], nowhere: Nowhere) -> str:
    """Return the first of *paths* at which production says that it is well, or an empty text."""
    replies = await _asked(prober, paths)
    vague = await _vague(replies, nowhere)
    well = [path for path, reply in replies.items() if _is_well(reply) and path not in vague]
    return next(iter(well), "")


async def _vague(replies: Mapping[str, Reply], nowhere: Nowhere) -> list[str]:
    """Return the paths whose answer is that of every path, and says nothing of health."""
    return [
        path
        for path, reply in replies.items()
        if isinstance(reply, Answer) and _is_well(reply) and await nowhere.is_like(reply)
    ]


async def _asked(prober: Prober, paths: list[str]) -> dict[str, Reply]:
    replies = await asyncio.gather(*(prober.ask("GET", prober.address(path)) for path in paths))
    return dict(zip(paths, replies, strict=True))


def _is_well(reply: Reply) -> bool:
    return isinstance(reply, Answer) and 200 <= reply.status < 300 and not said_in(reply).is_unwell


def _judge(
    replies: Mapping[str, Reply], findings: Findings, *, is_named: bool, demanded: bool
) -> None:
    told: dict[str, JSONValue] = {path: _shown(reply) for path, reply in replies.items()}
    well = [path for path, reply in replies.items() if _is_well(reply)]
    statuses = {each.status for each in replies.values() if isinstance(each, Answer)}
    if well:
        findings.compared()
        first = replies[well[0]]
        if isinstance(first, Answer) and (said := said_in(first)).is_doubtful:
            message = f"it says of {said.of or 'itself'}: {said.word}"
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
        message = f"production does not say that it is well: {_why(replies[places[0]])}"
        findings.differs("health-failing", Severity.BREAKING, places[0], message, answers=told)


def _why(reply: Reply) -> str:
    """Return in words why an answer is none of what is well."""
    if not isinstance(reply, Answer):
        return reply.reason
    said = said_in(reply)
    return f"{said.of} {said.word}".strip() if said.is_unwell else f"it answered {reply.status}"


def _judge_silence(replies: Mapping[str, Reply], findings: Findings) -> None:
    path, reply = next(iter(replies.items()))
    assert not isinstance(reply, Answer)
    if reply.is_ours:
        findings.unsure(path, reply.reason)
        return
    findings.compared()
    findings.differs("health-unreachable", Severity.BREAKING, path, reply.reason)


def _shown(reply: Reply) -> JSONValue:
    if not isinstance(reply, Answer):
        return reply.reason
    said = said_in(reply)
    words = [said.of, said.word] if said.is_unwell or said.is_doubtful else [said.word]
    return " ".join([str(reply.status), *filter(None, words)]) if said.word else reply.status
