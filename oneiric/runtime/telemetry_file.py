"""What a process wrote about its latest work, as anybody may read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oneiric.documents import parse
from oneiric.errors import JSONValue, OneiricError
from oneiric.files import read_bounded
from oneiric.runtime.process import is_alive

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 8 << 20
SCHEMA = "oneiric.runtime-telemetry/1"


@dataclass(frozen=True, slots=True)
class TelemetryFile:
    """The file of a recorder; empty where there is none, or none that can be read.

    It is stale when the process that wrote it runs no more: then it tells of the past only.
    """

    document: Mapping[str, JSONValue]
    problem: str = ""

    @classmethod
    def read(cls, path: Path) -> TelemetryFile:
        """Read *path* and change nothing; it blocks."""
        if not path.exists():
            return cls({})
        try:
            found = parse(read_bounded(path, limit=LIMIT), "json", source=str(path))
        except OneiricError as error:
            return cls({}, error.message)
        if not isinstance(found, Mapping) or found.get("schema") != SCHEMA:
            return cls({}, f"{path.name} is no {SCHEMA}")
        return cls(found)

    @property
    def is_stale(self) -> bool:
        """Whether nobody is there who would write it again."""
        pid, born = self.document.get("pid"), self.document.get("born")
        return not isinstance(pid, int) or pid <= 0 or not is_alive(pid, since=str(born or ""))

    def as_json(self) -> Mapping[str, JSONValue] | None:
        """Return the document, with `stale`; None where there is none."""
        return {**self.document, "stale": self.is_stale} if self.document else None
