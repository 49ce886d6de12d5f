"""What several checkers look at: each thing is found out once a detection."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oneiric.errors import DocumentError, NotFoundError, OneiricError
from oneiric.files import confined, read_bounded
from oneiric.ports.executor import Executor
from oneiric.validation.drift.apps import RouteTable, read_route_table
from oneiric.validation.drift.baseline import DEFAULT, Baseline, Baselines
from oneiric.validation.drift.nowhere import Nowhere
from oneiric.validation.drift.once import Once
from oneiric.validation.drift.probe import Answer, Prober, Silence
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.openapi import Document, read_document

MAX_DOCUMENT = 32 << 20
_KEPT_BACK = frozenset({401, 403, 429})
FOLDERS = ("", "docs", "api", "doc", "spec", "specs", "static", "public")
NAMES = ("openapi.json", "openapi.yaml", "openapi.yml")
SERVED = (
    "/openapi.json",
    "/openapi.yaml",
    "/openapi.yml",
    "/api/openapi.json",
    "/docs/openapi.json",
    "/v3/api-docs",
)
"""Where a document is looked for that production serves."""


@dataclass(frozen=True, slots=True)
class Contract:
    """An OpenAPI document, or why there is none.

    Args:
        document: the document.
        source: the file below the repository, or the address.
        problem: why there is none.
        is_broken: whether there is one that cannot be read, or that was named.
    """

    document: Document | None = None
    source: str = ""
    problem: str = ""
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """A baseline, or why there is none; `is_broken` where there is one that cannot be read."""

    baseline: Baseline | None = None
    problem: str = ""
    is_broken: bool = False


class View:
    """Look at the repository, at production and at what was recorded, once each."""

    def __init__(
        self,
        question: DriftQuestion,
        *,
        prober: Prober,
        executor: Executor,
        baselines: Baselines,
        at: str,
    ) -> None:
        self.question = question
        self.prober = prober
        self.executor = executor
        self.baselines = baselines
        self.at = at
        self.nowhere = Nowhere(prober)
        self.contract = Once(self._contract)
        self.served = Once(self._served)
        self.table = Once(self._table)
        self.baseline = Once(self._baseline)

    @property
    def repository(self) -> Path:
        """The folder of what was meant."""
        return Path(self.question.repo_path or ".")

    async def _contract(self) -> Contract:
        return await asyncio.to_thread(read_contract, self.repository, self.question.openapi.file)

    async def _table(self) -> RouteTable:
        if self.question.app is None:
            return RouteTable()
        return await read_route_table(self.question.app, self.repository, self.executor)

    async def _baseline(self) -> Kept:
        name = self.question.baseline or DEFAULT
        try:
            return Kept(await asyncio.to_thread(self.baselines.read, name))
        except NotFoundError:
            is_named = bool(self.question.baseline)
            return Kept(problem=f"no baseline {name} was recorded", is_broken=is_named)
        except OneiricError as error:
            return Kept(
                problem=f"the baseline {name} cannot be read: {error.message}", is_broken=True
            )

    async def _served(self) -> Contract:
        named = self.question.openapi.url
        if not self.question.prod_url and not named.startswith("http"):
            return Contract(problem="no address of production was given")
        if named:
            return await self._fetched(named, is_named=True)
        kept = (await self.baseline()).baseline
        recorded = [kept.openapi.url] if kept is not None and kept.openapi is not None else []
        for path in dict.fromkeys([*recorded, *SERVED]):
            found = await self._fetched(path, is_named=path in recorded)
            if found.document is not None or found.is_broken:
                return found
        return Contract(problem="production serves no OpenAPI document at the usual places")

    async def _fetched(self, path: str, *, is_named: bool) -> Contract:
        url = self.prober.address(path)
        reply = await self.prober.ask("GET", url, read=MAX_DOCUMENT, accept="application/json, */*")
        if isinstance(reply, Silence):
            return Contract(source=path, problem=f"{path}: {reply.reason}", is_broken=True)
        if reply.status != 200:
            problem = f"{path} answered {reply.status}"
            is_there = is_named or await self._is_kept_back(reply)
            return Contract(source=path, problem=problem, is_broken=is_there)
        if not is_named and "html" in reply.media:
            return Contract(source=path, problem=f"{path} is a page")
        return _document(reply, path)

    async def _is_kept_back(self, reply: Answer) -> bool:
        """Whether a document may be there that cannot be had, unlike at a path that is not."""
        is_refused = reply.status in _KEPT_BACK or reply.status >= 500
        return is_refused and not await self.nowhere.is_like(reply)


def _document(reply: Answer, path: str) -> Contract:
    if not reply.is_whole:
        problem = f"{path} did not come whole in time, or is longer than {MAX_DOCUMENT} bytes"
        return Contract(source=path, problem=problem, is_broken=True)
    try:
        return Contract(read_document(reply.body, source=path), path)
    except DocumentError as error:
        return Contract(source=path, problem=error.message, is_broken=True)


def read_contract(repository: Path, named: str) -> Contract:
    """Return the document of the repository: the file *named*, else the first of the usual ones."""
    file = named or next(_usual(repository), "")
    if not file:
        return Contract(problem="the repository has no OpenAPI document at the usual places")
    try:
        data = _read(repository, file)
        folder = posixpath.dirname(file)
        document = read_document(
            data,
            source=file,
            beside=lambda path: _read(repository, posixpath.join(folder, path)),
        )
        return Contract(document, file)
    except OneiricError as error:
        return Contract(source=file, problem=error.message, is_broken=True)


def _read(repository: Path, file: str) -> bytes:
    return read_bounded(confined(repository, posixpath.normpath(file)), limit=MAX_DOCUMENT)


def _usual(repository: Path) -> Iterator[str]:
    for folder in FOLDERS:
        for name in NAMES:
            relative = f"{folder}/{name}".lstrip("/")
            if (repository / relative).is_file():
                yield relative
