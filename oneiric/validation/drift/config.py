"""What production shows of its configuration, against what a baseline kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, cast

from oneiric.documents import parse
from oneiric.errors import DocumentError, JSONValue
from oneiric.ports.drift import Severity
from oneiric.ports.executor import Executor
from oneiric.text.redaction import redacted
from oneiric.validation.drift.baseline import Baseline
from oneiric.validation.drift.findings import Findings, Found
from oneiric.validation.drift.probe import Answer, Prober
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift.view import View

HEADERS = (
    "content-security-policy",
    "cross-origin-opener-policy",
    "permissions-policy",
    "referrer-policy",
    "server",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-powered-by",
)
"""Headers of an answer that are configuration."""

_TOLD_ONLY = frozenset({"server", "x-powered-by"})
MAX_CONFIG = 4 << 20


class Change(NamedTuple):
    """One difference of two JSON values: `added`, `removed` or `changed`, and where."""

    how: str
    path: str
    old: JSONValue = None
    new: JSONValue = None


def changes(old: JSONValue, new: JSONValue, path: str = "$") -> Iterator[Change]:
    """Yield how *new* differs from *old*, in the order of their keys.

    >>> [(each.how, each.path) for each in changes({"a": [1, 2], "b": 1}, {"a": [1, 3], "c": 1})]
    [('changed', '$.a[1]'), ('removed', '$.b'), ('added', '$.c')]
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}):
            place = f"{path}.{name}"
            if name not in new:
                yield Change("removed", place, old=old[name])
            elif name not in old:
                yield Change("added", place, new=new[name])
            else:
                yield from changes(old[name], new[name], place)
    elif isinstance(old, list) and isinstance(new, list):
        for at, (mine, theirs) in enumerate(zip(old, new, strict=False)):
            yield from changes(mine, theirs, f"{path}[{at}]")
        for at in range(len(new), len(old)):
            yield Change("removed", f"{path}[{at}]", old=old[at])
        for at in range(len(old), len(new)):
            yield Change("added", f"{path}[{at}]", new=new[at])
    elif old != new or isinstance(old, bool) is not isinstance(new, bool):
        yield Change("changed", path, old=old, new=new)


async def read_config(prober: Prober, path: str) -> tuple[JSONValue, str]:
    """Return what *path* shows, masked, and an empty text; or null, and why it shows nothing."""
    url = prober.address(path)
    reply = await prober.ask("GET", url, read=MAX_CONFIG, accept="application/json")
    if not isinstance(reply, Answer):
        return None, reply.reason
    if not 200 <= reply.status < 300:
        return None, f"it answered {reply.status}"
    if not reply.is_whole:
        return None, f"it did not come whole in time, or is longer than {MAX_CONFIG} bytes"
    try:
        return cast("JSONValue", redacted(parse(reply.body, "json"))), ""
    except DocumentError as error:
        return None, f"it is no JSON document: {error.reason}"


async def read_headers(prober: Prober, paths: tuple[str, ...]) -> dict[str, str] | None:
    """Return the headers that are configuration, of the first path that answers, or None."""
    for path in paths:
        reply = await prober.ask("GET", prober.address(path))
        if isinstance(reply, Answer) and reply.status < 500:
            return {name: reply.headers[name] for name in HEADERS if name in reply.headers}
    return None


async def check_config(view: View, question: DriftQuestion, _executor: Executor) -> Found:
    """Compare with the baseline: each path of configuration, and headers that are configuration."""
    findings = Findings("config")
    demanded = question.checks.config is True
    if question.checks.config is False:
        return findings.found()
    kept = await view.baseline()
    if kept.baseline is None:
        findings.missing(
            kept.problem,
            demanded=demanded or bool(question.baseline or question.config) or kept.is_broken,
            hint="record one: oneiric validation baseline record",
        )
        return findings.found()
    if not question.prod_url:
        findings.missing("no address of production was given", demanded=demanded)
        return findings.found()
    for path in sorted({*kept.baseline.config, *question.config}):
        await _compare_path(view.prober, kept.baseline, path, findings)
    await _compare_headers(view.prober, kept.baseline, findings)
    if not findings.checked and not findings.unchecked:
        findings.missing("the baseline keeps nothing of the configuration", demanded=demanded)
    return findings.found()


async def _compare_path(prober: Prober, baseline: Baseline, path: str, findings: Findings) -> None:
    if path not in baseline.config:
        hint = "record the baseline anew"
        findings.unsure(path, "the baseline does not keep it", hint=hint)
        return
    value, problem = await read_config(prober, path)
    if problem:
        findings.unsure(path, problem)
        return
    findings.compared()
    for change in changes(baseline.config[path], value):
        _tell(change, path, findings)


async def _compare_headers(prober: Prober, baseline: Baseline, findings: Findings) -> None:
    if not baseline.headers:
        return
    found = await read_headers(prober, (baseline.health or "/", "/"))
    if found is None:
        findings.unsure("headers", "production gave no answer to read headers of")
        return
    findings.compared()
    for change in changes(dict(baseline.headers), dict(found)):
        name = change.path.removeprefix("$.")
        mild = name in _TOLD_ONLY or change.how == "added"
        findings.differs(
            f"header-{change.how}",
            Severity.INFO if mild else Severity.WARNING,
            f"header {name}",
            f"the header {name} was {change.how}",
            expected=change.old,
            found=change.new,
        )


def _tell(change: Change, path: str, findings: Findings) -> None:
    severity = Severity.INFO if change.how == "added" else Severity.WARNING
    findings.differs(
        f"config-{change.how}",
        severity,
        f"{path} {change.path}",
        f"{change.path} was {change.how} since the baseline",
        hint="accept it with: oneiric validation baseline accept",
        expected=change.old,
        found=change.new,
    )
