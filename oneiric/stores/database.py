"""Open a SQLite file at the right schema, for reading or for writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from oneiric.errors import StoreError

PATIENCE_SECONDS = 5.0


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection | None]:
    """Open *path* read-only, or give None when there is no file; nothing is written.

    Raises:
        StoreError: the file is no database, is locked, or cannot be read.
    """
    if not path.exists():
        yield None
        return
    with _translated(path), closing(_connect(path, "ro")) as connection:
        yield connection


@contextmanager
def writing(path: Path, migrations: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """Open *path* in one transaction that is committed at the end, or not at all.

    Raises:
        StoreError: the file is no database, is locked, cannot be written, or is newer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _translated(path), closing(_connect(path, "rwc")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        _migrate(connection, path, migrations)
        yield connection
        connection.execute("COMMIT")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=PATIENCE_SECONDS,
        isolation_level=None,
    )


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise StoreError(
            f"{path} has schema {version}, and this version knows {len(migrations)}",
            hint="use the version of oneiric that wrote it, or a newer one",
        )
    for step in migrations[version:]:
        connection.execute(step)
    if version < len(migrations):
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"{path}: {error}",
            hint="another process may hold it; if it is damaged, move it away and try again",
        ) from error
