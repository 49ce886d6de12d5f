"""Knowledge in a SQLite file: searched by words, shared by processes of one machine, no account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, Field

from oneiric.adapters.knowledge import htask_views, htasks, memories, sections, swarms
from oneiric.adapters.knowledge.transaction import Given, KnowledgeFile, Transaction
from oneiric.adapters.settings import AdapterSettings
from oneiric.clock import Clock, SystemClock
from oneiric.core.health import HealthReport
from oneiric.documents.model import refused
from oneiric.errors import JSONValue
from oneiric.ports.errors import AdapterError
from oneiric.ports.knowledge import Document
from oneiric.ports.knowledge_calls import KnowledgeCalls

BATCH = 20
Work: TypeAlias = Callable[[Transaction, Given], Document]
"""What one request does in its transaction."""

_READS: Mapping[str, Work] = MappingProxyType(
    {
        "recall": memories.recall,
        "memories": memories.listed,
        "state_get": swarms.get_state,
        "htask_recommend_batch": htask_views.recommend,
        "htask_tree": htask_views.tree,
    }
)
_WRITES: Mapping[str, Work] = MappingProxyType(
    {
        "remember": memories.remember,
        "swarm_create": swarms.create_swarm,
        "swarm_join": swarms.join_swarm,
        "state_set": swarms.set_state,
        "broadcast": swarms.broadcast,
        "htask_create_feature": htasks.create_feature,
        "htask_create": htasks.create_htask,
        "htask_complete": htasks.complete_htask,
        "htask_block": htasks.block_htask,
        "htask_unblock": htasks.unblock_htask,
    }
)


def _is_inside(pattern: str) -> str:
    path = PurePath(pattern)
    if not path.parts or path.is_absolute() or ".." in path.parts:
        raise refused("a pattern is relative to the folder, and stays inside of it")
    return pattern


class SqliteKnowledgeSettings(AdapterSettings):
    """Where knowledge is kept, and which documents of which folder are searched.

    `documents` are patterns of files below `folder`, as in `docs/**/*.md`; of more than
    `max_files` the rest is left out, and so is what a file holds that is longer than
    `max_file_bytes`. With `durable` what was written survives a loss of power.
    """

    path: Path = Path(".oneiric_cache/knowledge.sqlite")
    folder: Path = Path()
    documents: tuple[Annotated[str, AfterValidator(_is_inside)], ...] = (
        "README*",
        "*.md",
        "docs/**/*.md",
    )
    max_files: int = Field(default=1_000, ge=0, le=100_000)
    max_file_bytes: int = Field(default=1 << 20, ge=1, le=1 << 26)
    durable: bool = True


class SqliteKnowledge(KnowledgeCalls):
    """Keep knowledge in one file that any number of processes of this machine may share.

    Passages and memories are found by their words, in any form that English gives them; the more
    of the words they hold, the more relevant they are. A document that changed is read again
    with the next question.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"context", "memory", "swarm", "htask"})

    def __init__(
        self, settings: SqliteKnowledgeSettings | None = None, *, clock: Clock | None = None
    ) -> None:
        found = settings or SqliteKnowledgeSettings()
        self._file = KnowledgeFile(
            found.path, clock=clock or SystemClock(), is_durable=found.durable
        )
        self._folder = sections.Folder(
            found.folder.absolute(), found.documents, found.max_files, found.max_file_bytes
        )

    async def init(self) -> None:
        """Open the file, and make it when there is none.

        Raises:
            UnavailableError: it cannot be opened or is held by somebody else.
            AdapterError: it is no database, or newer than this version knows.
        """
        await self._file.open()

    async def health(self) -> HealthReport:
        """Tell whether the file can be read, or why not."""
        try:
            await self._file.read(lambda transaction: transaction.row("SELECT 1 FROM swarms", {}))
        except AdapterError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Close the file once the calls in flight have ended."""
        await self._file.aclose()

    async def _ask(self, tool: str, given: dict[str, JSONValue]) -> Document:
        if tool == "context_query":
            return await self._query(given)
        if tool in _READS:
            return await self._file.read(lambda each: _READS[tool](each, given))
        return await self._file.write(lambda each: _WRITES[tool](each, given))

    async def _query(self, given: Given) -> Document:
        """Answer from the documents, after those that changed are read again.

        They are read before the file is held, a few at a time, so nobody waits for that.
        """
        folder = self._folder
        files = await asyncio.to_thread(folder.files)
        known = await self._file.read(lambda each: sections.known(each, folder))
        names = known.keys() | files.keys()
        changed = sorted(name for name in names if known.get(name) != files.get(name))
        for start in range(0, len(changed), BATCH):
            batch = changed[start : start + BATCH]
            await self._refresh([(name, files.get(name)) for name in batch])
        return await self._file.read(lambda each: sections.query(each, folder, given))

    async def _refresh(self, files: Sequence[tuple[str, tuple[int, int] | None]]) -> None:
        folder = self._folder
        pages = await asyncio.to_thread(lambda: [folder.page(*each) for each in files])
        await self._file.write(lambda each: sections.replace(each, folder, pages))
