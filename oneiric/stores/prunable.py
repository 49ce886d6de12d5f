"""Tell which runs would be deleted, and delete none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from oneiric.clock import rfc3339
from oneiric.stores.database import has_table, reading
from oneiric.stores.migrations import STATE


def prunable(path: Path, *, ended_before: datetime, keep: int = 0) -> Sequence[str]:
    """Return the runs that `prune` would delete, the latest end first; nothing is written.

    Raises:
        StoreError: the file cannot be read.
    """
    query = """
        SELECT run_id, ended_at FROM runs WHERE ended_at <> ''
        ORDER BY ended_at DESC, run_id DESC LIMIT -1 OFFSET ?
    """
    with reading(path, STATE) as connection:
        if connection is None or not has_table(connection, "runs"):
            return ()
        ended = connection.execute(query, (keep,)).fetchall()
    before = rfc3339(ended_before)
    return [run_id for run_id, at in ended if at < before]
