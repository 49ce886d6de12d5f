"""Whether a database has the schema that the repository means it to have."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from oneiric.ports.executor import Executor
from oneiric.text.masking import Masking
from oneiric.validation.drift.database import DatabaseQuestion
from oneiric.validation.drift.findings import Findings, Found
from oneiric.validation.providers.databases.prisma import compare_prisma
from oneiric.validation.providers.databases.reflected import compare_history, compare_models
from oneiric.validation.providers.databases.tools import Tools, find_tools

KIND = "database"

_NO_TOOL = "neither Alembic nor Prisma keeps a schema in the repository, and no models are named"


class Asked(Protocol):
    """The fields of a question about drift that matter for a database."""

    @property
    def repo_path(self) -> str:
        """The repository; empty for the working directory."""
        ...

    @property
    def database(self) -> DatabaseQuestion:
        """Which database is compared, and with what."""
        ...


async def database_drift(question: Asked, executor: Executor) -> Found:
    """Compare a database with SQLAlchemy's models, Alembic's migrations and Prisma's schema.

    Models and `env.py` are code of the repository: they run in a process of their own, and so do
    Prisma's programs. On PostgreSQL and SQLite, connections that are made there only read. What was
    asked and cannot be compared is unchecked, with the reason: a tool that is there without the
    address of a database too. A repository without any tool has no schema to drift, unless
    somebody named one. The passwords of the address show nowhere.
    """
    asked = question.database
    findings = Findings(KIND, masking=_masking(asked))
    repo = await asyncio.to_thread(Path(question.repo_path or ".").resolve)
    tools = await asyncio.to_thread(find_tools, repo, asked, findings)
    if tools.are_none:
        return _without_tool(asked, findings)
    if not asked.url:
        hint = "set database_url of the provider compare, or database.url of the question"
        findings.unsure(KIND, f"no address of the database for {_named(tools)}", hint=hint)
    if tools.alembic is not None:
        await compare_history(repo, tools.alembic, asked, executor, findings)
    if tools.models and asked.url:
        await compare_models(repo, asked, executor, findings)
    if tools.prisma is not None and asked.url:
        await compare_prisma(repo, tools.prisma, asked, executor, findings)
    return findings.found()


def _without_tool(asked: DatabaseQuestion, findings: Findings) -> Found:
    if asked.names_a_tool and not findings.unchecked:
        hint = "name database.models, database.alembic or database.prisma"
        findings.unsure(KIND, _NO_TOOL, hint=hint)
    findings.absence = "" if findings.unchecked else _NO_TOOL
    return findings.found()


def _named(tools: Tools) -> str:
    names = {"Alembic": tools.alembic, "Prisma": tools.prisma, "the models": tools.models}
    return ", ".join(name for name, found in names.items() if found)


def _masking(asked: DatabaseQuestion) -> Masking:
    """Mask the address and its passwords, as they are written there and as they are."""
    url = asked.url.get_secret_value() if asked.url else ""
    userinfo = url.partition("://")[2].rpartition("@")[0]
    password = userinfo.partition(":")[2]
    queried = [value for name, value in parse_qsl(url.partition("?")[2]) if "pass" in name.lower()]
    return Masking([text for text in (url, password, unquote(password), *queried) if text])
