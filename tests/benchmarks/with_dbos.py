"""Run a DBOS workflow of steps on SQLite."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Installed beside the benchmark only, in an environment of its own.
from dbos import DBOS  # type: ignore[import-not-found]
from sqlalchemy import Engine, event

from tests.benchmarks.contest import DEFAULT, PAYLOAD, SYNCHRONOUS, Body, compete


@contextmanager
def dbos(path: Path, mode: str, steps: int, body: Body) -> Iterator[Callable[[], object]]:
    """Launch DBOS on a file; but for its default, with a write-ahead log as the others have."""

    def connected(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {SYNCHRONOUS[mode]}")

    if mode != DEFAULT:
        event.listen(Engine, "connect", connected)
    step = DBOS.step()(body)

    def workflow() -> None:
        for _ in range(steps):
            step(dict(PAYLOAD))

    registered = DBOS.workflow()(workflow)
    DBOS(
        config={
            "name": "contest",
            "system_database_url": f"sqlite:///{path}",
            "run_admin_server": False,
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    try:
        yield registered
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    compete(dbos)
