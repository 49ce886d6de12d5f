"""The context of a run in a file: read before it, written after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.documents import parse
from oneiric.errors import DocumentError
from oneiric.files import read_bounded, write_atomic

if TYPE_CHECKING:
    from oneiric.errors import JSONValue

MOST_BYTES = 16 << 20


def read_context(path: Path) -> Mapping[str, JSONValue]:
    """Return the values in a JSON file: one table, by key.

    Raises:
        DocumentError: it is not one strict JSON table.
        NotFoundError, InvalidPathError, UnavailableError: it cannot be read.
    """
    value = parse(read_bounded(path, limit=MOST_BYTES), "json", source=str(path))
    if not isinstance(value, Mapping):
        raise DocumentError("not-a-table", "a context is a table of values", source=str(path))
    return value


def write_context(path: Path, values: Mapping[str, JSONValue]) -> None:
    """Write the values of a context, as `read_context` reads them.

    Raises:
        UnavailableError: the file cannot be written.
    """
    text = json.dumps(dict(values), ensure_ascii=False, indent=2, sort_keys=True)
    write_atomic(path, f"{text}\n".encode())
