"""What SQLAlchemy and Alembic find different, read by a program of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from oneiric.documents import parse
from oneiric.documents.limits import DocumentLimits
from oneiric.errors import OneiricError
from oneiric.ports.drift import Severity
from oneiric.ports.executor import Command, CommandResult, Executor
from oneiric.validation.drift.database import DatabaseQuestion
from oneiric.validation.drift.findings import Findings

PROGRAM = Path(__file__).with_name("probe.py")
EXTRA = "install oneiric[database]"
_MAX_OUTPUT = 1 << 20
_LIMITS = DocumentLimits(max_bytes=_MAX_OUTPUT)
_LAST = 300
_NO_ANSWER = ("OperationalError", "InterfaceError", "TimeoutError", "ConnectionRefusedError")
_NO_DRIVER = ("ModuleNotFoundError", "ImportError", "NoSuchModuleError")
_STAGES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "library": ("SQLAlchemy and Alembic cannot be used", EXTRA),
        "script": ("the migrations cannot be read", ""),
        "environment": ("env.py of the migrations failed", ""),
        "import": ("the models cannot be imported", "name them as package.module:metadata"),
        "connect": ("the database does not answer", ""),
        "compare": ("they cannot be compared", ""),
    }
)


class _Failure(BaseModel):
    stage: str = ""
    type: str = ""
    message: str = ""


class _Change(BaseModel):
    what: str
    place: str
    found: str = ""
    meant: str = ""
    type: str = ""
    columns: list[str] = []
    nullable: bool = True
    default: bool = False
    unique: bool = False


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    error: _Failure | None = None
    connected: bool = False
    heads: list[str] = []
    revisions: list[str] = []
    current: list[str] | None = None
    pending: list[tuple[str, str]] = []
    other: bool = False
    bare: bool = False
    tables: int | None = None
    changes: list[_Change] = []
    more: int = 0


class _Rule(NamedTuple):
    code: str
    severity: Severity
    message: str


_BREAKING, _WARNING, _INFO = Severity.BREAKING, Severity.WARNING, Severity.INFO
_RULES: Mapping[str, _Rule] = MappingProxyType(
    {
        "add_table": _Rule("table-missing", _BREAKING, "the database lacks the table"),
        "remove_table": _Rule("table-unknown", _INFO, "no model knows the table"),
        "add_column": _Rule("column-missing", _BREAKING, "the database lacks the column"),
        "remove_column": _Rule("column-unknown", _WARNING, "no model knows the column"),
        "modify_type": _Rule("type-changed", _BREAKING, "the column has another type"),
        "modify_nullable": _Rule("nullable-changed", _WARNING, "the column may be null"),
        "modify_default": _Rule("default-changed", _WARNING, "the column has another default"),
        "add_index": _Rule("index-missing", _WARNING, "the database lacks the index"),
        "remove_index": _Rule("index-unknown", _INFO, "no model knows the index"),
        "add_constraint": _Rule("constraint-missing", _BREAKING, "nothing keeps it unique"),
        "remove_constraint": _Rule("constraint-unknown", _WARNING, "no model knows it is unique"),
        "add_fk": _Rule("constraint-missing", _WARNING, "the database lacks the foreign key"),
        "remove_fk": _Rule("constraint-unknown", _WARNING, "no model knows the foreign key"),
    }
)
"""Differences as Alembic names them: what it would have to do to the database."""


async def compare_history(
    repo: Path, ini: Path, asked: DatabaseQuestion, executor: Executor, findings: Findings
) -> None:
    """Tell which migrations the database lacks, and what else differs from what they lead to.

    Without an address only the migrations themselves are looked at. The models are those that
    `env.py` names, unless the question names others.
    """
    place = str(ini.relative_to(repo))
    answer = await _asked(repo, asked, executor, findings, place, alembic=ini)
    if answer is None:
        return
    if answer.revisions:
        findings.checked += len(answer.revisions)
    if len(answer.heads) > 1:
        hint = "alembic merge heads"
        message = f"the migrations end in several heads: {', '.join(answer.heads)}"
        findings.differs("database-heads-several", _BREAKING, place, message, hint=hint)
    if answer.error is not None or not asked.url:
        return
    if answer.other:
        hint = "let env.py use sqlalchemy.url of its configuration, or DATABASE_URL"
        findings.unsure(place, "env.py connects to another database", hint=hint)
        return
    if answer.current is None:
        findings.unsure(place, "env.py ran no migrations, so nothing is known of the database")
        return
    _tell_revisions(answer, answer.current, findings)
    if asked.models:
        return
    if answer.bare:
        hint = "name them under database.models, as package.module:metadata"
        findings.unsure(place, "env.py names no target_metadata to compare with", hint=hint)
    if answer.tables is not None:
        _tell_changes(answer, findings, "target_metadata of env.py")


async def compare_models(
    repo: Path, asked: DatabaseQuestion, executor: Executor, findings: Findings
) -> None:
    """Tell what of the database differs from the models that the question names."""
    answer = await _asked(repo, asked, executor, findings, asked.models, models=asked.models)
    if answer is not None and answer.error is None and asked.url:
        _tell_changes(answer, findings, asked.models)


async def _asked(
    repo: Path,
    asked: DatabaseQuestion,
    executor: Executor,
    findings: Findings,
    place: str,
    *,
    alembic: Path | None = None,
    models: str = "",
) -> _Answer | None:
    """Run the program, and return its answer; None where there is none, which is noted."""
    url = asked.url.get_secret_value() if asked.url else ""
    told = {"url": url, "alembic": str(alembic or ""), "models": models}
    command = Command(
        [asked.python or sys.executable, str(PROGRAM)],
        cwd=str(repo),
        env={"DATABASE_URL": url, "PYTHONDONTWRITEBYTECODE": "1"} if url else {},
        stdin=json.dumps(told).encode(),
        timeout=asked.timeout,
        max_output_bytes=_MAX_OUTPUT,
    )
    try:
        result = await executor.run(command)
    except OneiricError as error:
        findings.unsure(place, error.message, hint=error.hint)
        return None
    try:
        answer = _Answer.model_validate(parse(result.stdout, "json", limits=_LIMITS))
    except (OneiricError, ValidationError):
        findings.unsure(place, _silence(result))
        return None
    if answer.error is not None:
        reason, hint = _failure(answer.error, connected=answer.connected)
        findings.unsure(place, reason, hint=hint)
    return answer


def _failure(error: _Failure, *, connected: bool) -> tuple[str, str]:
    stage = error.stage
    if error.type in _NO_ANSWER and not connected:
        stage = "connect"
    elif stage == "connect" and error.type in _NO_DRIVER:
        stage = "library"
    what, hint = _STAGES.get(stage, _STAGES["compare"])
    return f"{what}: {error.type}: {error.message}", hint


def _silence(result: CommandResult) -> str:
    lines = result.stderr.decode(errors="replace").strip().splitlines()
    why = result.reason or "gave no answer"
    return f"the comparison {why}{f': {lines[-1][:_LAST]}' if lines else ''}"


def _tell_revisions(answer: _Answer, current: list[str], findings: Findings) -> None:
    for revision in current:
        if revision not in answer.revisions:
            message = "the database has a migration that the repository does not know"
            hint = "is the repository older than production?"
            findings.differs("database-revision-unknown", _BREAKING, revision, message, hint=hint)
    for revision, doc in answer.pending:
        message = f"the migration was not applied: {doc}".removesuffix(": ")
        findings.differs(
            "database-migration-pending", _BREAKING, revision, message, hint="alembic upgrade head"
        )


def _tell_changes(answer: _Answer, findings: Findings, models: str) -> None:
    findings.checked += answer.tables or 0
    if not answer.tables:
        hint = "import the modules that define the tables before it is used"
        findings.unsure(models, "it knows no table, so nothing is compared with it", hint=hint)
    for change in answer.changes:
        rule = _RULES.get(change.what)
        if rule is None:  # comments, which change nothing
            continue
        rule = _sharpened(rule, change)
        facts = {
            "found": change.found,
            "meant": change.meant,
            "type": change.type,
            "columns": ", ".join(change.columns),
        }
        told = {name: text for name, text in facts.items() if text}
        code = f"database-{rule.code}"
        findings.differs(code, rule.severity, change.place, rule.message, **told)
    if answer.more:
        findings.differs(
            "database-more", _WARNING, "", f"there are {answer.more} further differences", hint=""
        )


def _sharpened(rule: _Rule, change: _Change) -> _Rule:
    """Return *rule* as this very change deserves it."""
    if change.what == "modify_nullable" and change.found == "False":
        return rule._replace(severity=_BREAKING, message="the column may not be null")
    if change.what == "remove_column" and not (change.nullable or change.default):
        message = "no model knows the column, and it may not be null"
        return rule._replace(severity=_BREAKING, message=message)
    if change.what == "add_index" and change.unique:
        return rule._replace(severity=_BREAKING, message="the database lacks the unique index")
    if change.what == "remove_index" and change.unique:
        return rule._replace(severity=_WARNING, message="no model knows the unique index")
    return rule
