"""What an answer says about the route that gave it."""

from __future__ import annotations

from collections.abc import Collection

from oneiric.ports.drift import Severity
from oneiric.validation.checks.judge import status_fits
from oneiric.validation.drift.declared import Route
from oneiric.validation.drift.findings import Findings
from oneiric.validation.drift.probe import Answer

REFUSING = frozenset({401, 403})
_BREAKING = Severity.BREAKING
_WARNING = Severity.WARNING


def judge(route: Route, answer: Answer, findings: Findings, *, shows_credentials: bool) -> None:
    """Note what is wrong with *answer*, and count the route as compared.

    404 is told as missing here; who knows better has to look first.
    """
    status = answer.status
    if status == 429:
        findings.unsure(route.place, "too many requests: it answered 429", hint="ask again later")
        return
    findings.compared()
    if route.expected:
        note_unexpected(route, answer, findings)
    elif status in REFUSING:
        _judge_refusal(route, status, findings, shows_credentials=shows_credentials)
    elif status >= 500:
        findings.differs("route-error", _BREAKING, route.place, f"answered {status}", status=status)
    elif status in (404, 410):
        gone(route, status, findings)
    elif status == 405 and route.method:
        findings.differs(
            "route-method-not-allowed",
            _BREAKING,
            route.place,
            f"production does not allow {route.method} here",
            status=status,
            allow=sorted(answer.allow or ()),
        )
    elif 200 <= status < 300:
        _judge_success(route, answer, findings, shows_credentials=shows_credentials)


def gone(route: Route, status: int, findings: Findings) -> None:
    """Note that production has no such route."""
    code = "route-gone" if status == 410 else "route-missing"
    hint = "deploy what declares it, or take it out of the contract"
    message = f"production has no such route: it answered {status}"
    findings.differs(code, _BREAKING, route.place, message, hint=hint, status=status)


def note_unexpected(route: Route, answer: Answer, findings: Findings, **facts: str) -> bool:
    """Note it if somebody named other statuses than that of *answer*, and tell whether so."""
    if not route.expected or status_fits(answer.status, route.expected):
        return False
    told = ", ".join(map(str, route.expected))
    findings.differs(
        "route-status",
        _BREAKING,
        route.place,
        f"answered {answer.status}, and not {told}",
        expected=list(route.expected),
        status=answer.status,
        **facts,
    )
    return True


def _judge_refusal(
    route: Route, status: int, findings: Findings, *, shows_credentials: bool
) -> None:
    if shows_credentials:
        hint = "are the headers those of somebody who may?"
        message = f"answered {status} though credentials were shown"
        findings.differs(
            "route-refuses-credentials", _WARNING, route.place, message, hint=hint, status=status
        )
    elif route.needs_auth or route.documents(status):
        return
    else:
        severity = _WARNING if route.needs_auth is None else _BREAKING
        hint = "say that it needs credentials, or give headers that let us in"
        message = f"answered {status}, and nobody says that it needs credentials"
        findings.differs(
            "route-needs-auth", severity, route.place, message, hint=hint, status=status
        )


def _judge_success(
    route: Route, answer: Answer, findings: Findings, *, shows_credentials: bool
) -> None:
    if route.needs_auth and not shows_credentials:
        message = f"answered {answer.status} to somebody without credentials"
        hint = "it should let nobody in"
        findings.differs(
            "route-open", _WARNING, route.place, message, hint=hint, status=answer.status
        )
    if route.operation is None or not route.operation.responses or route.method == "HEAD":
        return
    documented = route.operation.response(answer.status)
    if documented is None:
        findings.differs(
            "route-status-undocumented",
            _WARNING,
            route.place,
            f"answered {answer.status}, which the contract does not name",
            expected=sorted(route.operation.responses),
            status=answer.status,
        )
    elif documented.content and answer.media and not _has(documented.content, answer.media):
        findings.differs(
            "route-content-type",
            _BREAKING,
            route.place,
            f"answered with {answer.media}, and not {', '.join(sorted(documented.content))}",
            expected=sorted(documented.content),
            found=answer.media,
        )


def _has(documented: Collection[str], media: str) -> bool:
    kind = media.partition("/")[0]
    return not {media, f"{kind}/*", "*/*"}.isdisjoint(documented)
