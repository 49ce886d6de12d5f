"""Which tools a repository keeps its schema with: those named, else those at the usual places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oneiric.errors import InvalidPathError
from oneiric.files import confined
from oneiric.validation.drift.database import DatabaseQuestion
from oneiric.validation.drift.findings import Findings

AUTO = "auto"
_ALEMBIC = ("alembic.ini", "*/alembic.ini")
_PRISMA = (
    "prisma/schema.prisma",
    "schema.prisma",
    "packages/*/prisma/schema.prisma",
    "apps/*/prisma/schema.prisma",
)
_PASSED_OVER = frozenset(
    {"build", "dist", "docs", "example", "examples", "fixtures", "node_modules", "test", "tests"}
)


@dataclass(frozen=True, slots=True)
class Tools:
    """Where each tool has what it needs; None where it is not used."""

    alembic: Path | None = None
    prisma: Path | None = None
    models: str = ""

    @property
    def are_none(self) -> bool:
        """Whether nothing says how the schema should be."""
        return self.alembic is None and self.prisma is None and not self.models


def find_tools(repo: Path, asked: DatabaseQuestion, findings: Findings) -> Tools:
    """Return the tools of *repo*; one that is named and not there is noted as not checked.

    Where somebody names a tool, the others are not looked for. Tests and fixtures are never
    looked through: what lies there is no schema of production.
    """
    is_named = bool(asked.alembic or asked.models or asked.prisma not in ("", AUTO))
    prisma = "" if asked.prisma == AUTO else asked.prisma
    looks = not is_named
    return Tools(
        alembic=_found(repo, asked.alembic, _ALEMBIC if looks else (), "Alembic", findings),
        prisma=_found(
            repo, prisma, _PRISMA if looks or asked.prisma == AUTO else (), "Prisma", findings
        ),
        models=asked.models,
    )


def _found(
    repo: Path, named: str, places: Sequence[str], tool: str, findings: Findings
) -> Path | None:
    if named:
        try:
            path = confined(repo, named)
        except InvalidPathError as error:
            findings.unsure(named, f"{tool}: {error.reason}")
            return None
        if not path.is_file():
            findings.unsure(named, f"{tool}: there is no such file")
            return None
        return path
    for place in places:
        found = [path for path in sorted(repo.glob(place)) if _counts(path, repo)]
        if len(found) > 1:
            names = ", ".join(str(path.relative_to(repo)) for path in found)
            findings.unsure(tool, f"there are several, and none is named: {names}")
            return None
        if found:
            return found[0]
    return None


def _counts(path: Path, repo: Path) -> bool:
    folders = path.relative_to(repo).parts[:-1]
    return path.is_file() and not any(
        part.startswith(".") or part in _PASSED_OVER for part in folders
    )
