"""Whether production runs the commit of the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from oneiric.documents import parse
from oneiric.errors import DocumentError, OneiricError
from oneiric.ports.drift import Severity
from oneiric.ports.executor import Command, Executor
from oneiric.validation.drift.findings import Findings, Found
from oneiric.validation.drift.probe import Answer
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift.view import View
from oneiric.validation.texts import texts_in

PATHS = ("/version", "/api/version", "/_version")
"""Where the version is looked for."""

_COMMIT = re.compile(r"(?<![0-9a-z])[0-9a-f]{7,40}(?![0-9a-z])")
_NUMBER = re.compile(r"(?<![\d.])v?(\d+\.\d+(?:\.\d+)?(?:[-+.][\w.+-]+)?)")
_GIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Meant:
    """The commit of the repository and the tags at it, or why nobody knows."""

    commit: str = ""
    tags: tuple[str, ...] = ()
    problem: str = ""


async def check_version(view: View, question: DriftQuestion, executor: Executor) -> Found:
    """Compare what production says of its version with the commit, or with the tags at it."""
    findings = Findings("version")
    demanded = question.checks.version is True or question.version is not None
    if question.checks.version is False and not demanded:
        return findings.found()
    if not question.prod_url:
        findings.missing("no address of production was given", demanded=demanded)
        return findings.found()
    meant = await read_commit(question.repo_path or ".", executor)
    if meant.problem:
        findings.missing(meant.problem, demanded=demanded)
        return findings.found()
    path, told, problem = await _told(view, question.version or [*PATHS])
    if problem:
        findings.missing(problem, demanded=demanded, hint="name its path, in `version`")
        return findings.found()
    _compare(path, told, meant, findings)
    return findings.found()


async def read_commit(repository: str, executor: Executor) -> Meant:
    """Return what git says of the commit that is checked out."""
    try:
        head = await _git(repository, executor, "rev-parse", "HEAD")
        if head is None:
            return Meant(problem="the repository is none of git, or has no commit")
        tags = await _git(repository, executor, "tag", "--points-at", "HEAD")
    except OneiricError as error:
        return Meant(problem=error.message)
    return Meant(head.strip(), tuple((tags or "").split()))


async def _git(repository: str, executor: Executor, *words: str) -> str | None:
    args = ["git", "-C", repository, *words]
    result = await executor.run(Command(args, timeout=_GIT_SECONDS, max_output_bytes=64 << 10))
    return result.stdout.decode(errors="replace") if result.ok else None


async def _told(view: View, paths: list[str]) -> tuple[str, list[str], str]:
    """Return a path, the texts in which it may tell a version, and an empty text; or why not."""
    problem = f"no version at {', '.join(paths)}"
    for path in paths:
        reply = await view.prober.ask("GET", view.prober.address(path))
        if not isinstance(reply, Answer):
            return path, [], f"{path}: {reply.reason}"
        if 200 <= reply.status < 300 and "html" not in reply.media:
            return path, [*_texts(reply)], ""
        if reply.status not in (404, 405, 410):
            problem = f"{path} answered {reply.status}"
    return "", [], problem


def _texts(answer: Answer) -> Iterator[str]:
    try:
        yield from texts_in(parse(answer.body, "json"))
    except DocumentError:
        yield answer.body.decode(errors="replace")


def _compare(path: str, told: list[str], meant: Meant, findings: Findings) -> None:
    commits = [found[0] for text in told for found in _COMMIT.finditer(text.lower())]
    numbers = [found[1] for text in told for found in _NUMBER.finditer(text)]
    tagged = {tag.removeprefix("v") for tag in meant.tags}
    if any(meant.commit.startswith(each) for each in commits) or tagged & set(numbers):
        findings.compared()
        return
    others = [each for each in commits if not each.isdecimal()]  # a date looks like one
    if others or (tagged and numbers):
        findings.compared()
        found = (others or numbers)[0]
        findings.differs(
            "version-differs",
            Severity.WARNING,
            path,
            f"production runs {found}, and the repository is at {meant.commit[:12]}",
            hint="deploy the commit, or check out the one that runs",
            expected=meant.commit,
            found=found,
            tags=[*meant.tags],
        )
        return
    findings.unsure(path, "it tells no commit", hint="let it tell the commit that it was built of")
