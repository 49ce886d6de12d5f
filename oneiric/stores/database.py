"""Open a SQLite file at the right schema, for reading or for writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

from oneiric.errors import StoreError

PATIENCE_SECONDS = 5.0

_PRIMARY = 0xFF
_ACCESS = "see that its folder exists and may be written"
_HELD = "another process holds it; try again when that is done"
_DAMAGED = "it is damaged or something else; move it away and what it kept is forgotten"
_HINTS: Mapping[int, str] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: _HELD,
        sqlite3.SQLITE_LOCKED: _HELD,
        sqlite3.SQLITE_CORRUPT: _DAMAGED,
        sqlite3.SQLITE_NOTADB: _DAMAGED,
        sqlite3.SQLITE_ERROR: _DAMAGED,
    }
)


@contextmanager
def reading(path: Path, migrations: Sequence[str]) -> Iterator[sqlite3.Connection | None]:
    """Open *path* read-only, or give None when there is no file; nothing is written.

    Only what a killed writer left half done is undone first, for nobody could read before.
    A file with an older schema is read as a copy in memory that went through the missing steps.

    Raises:
        StoreError: the file is no database, is locked, cannot be read, or is newer.
    """
    with _translated(path):
        if not path.exists():
            yield None
            return
        _undo_what_was_cut_short(path)
        with closing(_connect(path, "ro")) as connection:
            if _version(connection, path, migrations) == len(migrations):
                yield connection
                return
            with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
                connection.backup(copy)
                _migrate(copy, path, migrations)
                yield copy


@contextmanager
def writing(path: Path, migrations: Sequence[str]) -> Iterator[sqlite3.Connection]:
    """Open *path* in one transaction that is committed at the end, or not at all.

    Raises:
        StoreError: the file is no database, is locked, cannot be written, or is newer.
    """
    with _translated(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_connect(path, "rwc")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            _migrate(connection, path, migrations)
            yield connection
            connection.execute("COMMIT")


def _undo_what_was_cut_short(path: Path) -> None:
    """Let SQLite roll back the journal of a writer that was killed, if there is one."""
    if not path.with_name(f"{path.name}-journal").exists():
        return
    with closing(_connect(path, "rw")) as connection:
        connection.execute("PRAGMA user_version").fetchone()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=PATIENCE_SECONDS,
        isolation_level=None,
    )


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    version = _version(connection, path, migrations)
    for step in migrations[version:]:
        connection.execute(step)
    if version < len(migrations):
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _version(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> int:
    """Return how many of *migrations* the file went through."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise StoreError(
            f"{path} has schema {version}, and this version knows {len(migrations)}",
            hint="use the version of oneiric that wrote it, or a newer one",
        )
    return version


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
        raise StoreError(f"{path}: {error}", hint=_HINTS.get(code, _ACCESS)) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StoreError(f"{error.filename or path}: {reason}", hint=_ACCESS) from error
