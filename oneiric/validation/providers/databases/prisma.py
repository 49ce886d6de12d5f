"""What Prisma finds different, told by its exit codes and by nothing that it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from oneiric.documents.reader import parse
from oneiric.errors import OneiricError
from oneiric.files import read_bounded
from oneiric.ports.drift import Severity
from oneiric.ports.executor import Command, CommandResult, Executor
from oneiric.validation.drift.database import DatabaseQuestion
from oneiric.validation.drift.findings import Findings

EQUAL, DIFFERENT = 0, 2
"""What `migrate diff --exit-code` ends with; 1, and whatever else, is an error."""
_BEHIND = 1
"""What `migrate status` ends with when migrations are pending, failed, or others were applied."""
_CONFIG_SINCE = 7
_MAX_FILE = 1 << 20
_LAST = 300
_SHOWN = 2_000
_VARIABLES = re.compile(
    r"""\b(?:url|directUrl)\s*[:=]\s*(?:env\(\s*["'](\w+)["']|process\.env\.(\w+))"""
)
_QUIET: Mapping[str, str] = {
    "CI": "true",
    "NO_COLOR": "1",
    "CHECKPOINT_DISABLE": "1",
    "PRISMA_HIDE_UPDATE_MESSAGE": "1",
    "npm_config_yes": "false",
}


@dataclass(frozen=True, slots=True)
class _Project:
    """Where Prisma is run, how, and of which version it is."""

    repo: Path
    folder: Path
    schema: Path
    prefix: tuple[str, ...]
    major: int
    variables: tuple[str, ...]

    @property
    def place(self) -> str:
        return str(self.schema.relative_to(self.repo))

    @property
    def has_migrations(self) -> bool:
        return (self.schema.parent / "migrations").is_dir()


async def compare_prisma(
    repo: Path, schema: Path, asked: DatabaseQuestion, executor: Executor, findings: Findings
) -> None:
    """Tell whether the database is as the schema says, and whether it had every migration.

    The address is handed over by the variable that the schema names, never as an argument.
    """
    project = _project(repo, schema)
    if not project.variables:
        hint = 'write url = env("DATABASE_URL")'
        findings.unsure(project.place, "Prisma: the schema names its database itself", hint=hint)
        return
    path = str(schema.relative_to(project.folder))
    diff = ["--from-schema-datasource", path, "--to-schema-datamodel", path]
    if project.major >= _CONFIG_SINCE:
        diff = ["--from-config-datasource", "--to-schema", path]
    result = await _run(project, ["diff", *diff, "--exit-code"], asked, executor, findings)
    if result is None:
        return
    if result.timed_out or result.exit_code not in (EQUAL, DIFFERENT):
        findings.unsure(project.place, f"Prisma: migrate diff {_ending(result)}")
        return
    findings.checked += 1
    if result.exit_code == DIFFERENT:
        message = "the database is not as the schema of Prisma says"
        summary = result.stdout.decode(errors="replace")[:_SHOWN]
        findings.differs(
            "database-schema-differs", Severity.BREAKING, project.place, message, summary=summary
        )
    if project.has_migrations:
        await _tell_status(project, asked, executor, findings)


async def _tell_status(
    project: _Project, asked: DatabaseQuestion, executor: Executor, findings: Findings
) -> None:
    schema = str(project.schema.relative_to(project.folder))
    result = await _run(project, ["status", f"--schema={schema}"], asked, executor, findings)
    if result is None:
        return
    if result.timed_out or result.exit_code not in (EQUAL, _BEHIND):
        findings.unsure(project.place, f"Prisma: migrate status {_ending(result)}")
        return
    findings.checked += 1
    if result.exit_code == _BEHIND:  # the database did answer a moment ago
        message = "migrations are pending or failed, or others than these were applied"
        findings.differs(
            "database-migration-pending",
            Severity.BREAKING,
            project.place,
            message,
            hint="prisma migrate deploy",
        )


async def _run(
    project: _Project,
    args: list[str],
    asked: DatabaseQuestion,
    executor: Executor,
    findings: Findings,
) -> CommandResult | None:
    url = asked.url.get_secret_value() if asked.url else ""
    command = Command(
        [*project.prefix, "prisma", "migrate", *args],
        cwd=str(project.folder),
        env={**_QUIET, **dict.fromkeys(project.variables, url)},
        timeout=asked.timeout,
        mask=[url],
    )
    try:
        return await executor.run(command)
    except OneiricError as error:
        findings.unsure(project.place, f"Prisma: {error.message}", hint=error.hint)
        return None


def _project(repo: Path, schema: Path) -> _Project:
    above = [each for each in schema.parents if each.is_relative_to(repo)]
    folder = next((each for each in above if (each / "package.json").is_file()), repo)
    texts = [_text(schema), *(_text(path) for path in sorted(folder.glob("prisma.config.*")))]
    found = [name for text in texts for pair in _VARIABLES.findall(text) for name in pair if name]
    major = _major(folder, repo)
    return _Project(repo, folder, schema, _prefix(folder, repo), major, tuple(dict.fromkeys(found)))


def _prefix(folder: Path, repo: Path) -> tuple[str, ...]:
    for lock, prefix in (("pnpm-lock.yaml", ("pnpm", "exec")), ("yarn.lock", ("yarn", "exec"))):
        if (folder / lock).is_file() or (repo / lock).is_file():
            return prefix
    return ("npx",)


def _major(folder: Path, repo: Path) -> int:
    """Return the version that is installed, else that which is asked for, else the oldest."""
    for base in (folder, repo):
        told = _table(base / "node_modules" / "prisma" / "package.json").get("version")
        if isinstance(told, str) and told.split(".")[0].isdecimal():
            return int(told.split(".")[0])
    package = _table(folder / "package.json")
    for group in (package.get("devDependencies"), package.get("dependencies")):
        text = str(group.get("prisma", "")) if isinstance(group, dict) else ""
        if number := re.search(r"\d+", text):
            return int(number[0])
    return 0


def _table(path: Path) -> dict[str, object]:
    try:
        found = parse(read_bounded(path, limit=_MAX_FILE), "json")
    except OneiricError:
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    try:
        return read_bounded(path, limit=_MAX_FILE).decode(errors="replace")
    except OneiricError:
        return ""


def _ending(result: CommandResult) -> str:
    lines = (result.stderr or result.stdout).decode(errors="replace").strip().splitlines()
    return f"{result.reason}{f': {lines[-1][:_LAST]}' if lines else ''}"
