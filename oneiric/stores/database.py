"""Open a SQLite file at the right schema, for reading or for writing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from oneiric.errors import JSONValue, StoreError
from oneiric.files import own_folder

PATIENCE_SECONDS = 5.0
_TURNS = 100
Connection: TypeAlias = sqlite3.Connection
"""For those who write statements, and do not open databases."""

_PRIMARY = 0xFF
_ACCESS = "see that its folder exists and may be written"
_HELD = "another process holds it; try again when that is done"
_DAMAGED = "it is damaged or something else; move it away and what it kept is forgotten"
_FULL = "make room; what was stored before is unharmed"
_HINTS: Mapping[int, str] = MappingProxyType(
    {
        sqlite3.SQLITE_BUSY: _HELD,
        sqlite3.SQLITE_LOCKED: _HELD,
        sqlite3.SQLITE_CORRUPT: _DAMAGED,
        sqlite3.SQLITE_NOTADB: _DAMAGED,
        sqlite3.SQLITE_FULL: _FULL,
        sqlite3.SQLITE_ERROR: _DAMAGED,
    }
)


class SchemaTooNewError(StoreError):
    """A newer version of Oneiric wrote the database; it is neither read nor changed."""

    code = "schema-too-new"

    def __init__(self, path: Path, version: int, known: int) -> None:
        super().__init__(
            f"{path} has schema {version}, and this version knows {known}",
            hint="use the version of oneiric that wrote it, or a newer one",
        )
        self.path = path
        self.version = version
        self.known = known

    def details(self) -> Mapping[str, JSONValue]:
        return {"path": str(self.path), "version": self.version, "known": self.known}


@contextmanager
def reading(path: Path, migrations: Sequence[str]) -> Iterator[sqlite3.Connection | None]:
    """Open *path* for reading, or give None when there is no file; nothing is written.

    Only what a killed writer left half done is undone first, for nobody could read before.
    A file with an older schema is read as a copy in memory that went through the missing steps.

    Raises:
        StoreError: the file is no database, is locked, cannot be read, or is newer.
    """
    with translated(path):
        connection = open_reader(path, migrations)
        if connection is None:
            yield None
            return
        with closing(connection):
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
    with translated(path), closing(_created(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        _migrate(connection, path, migrations)
        yield connection
        connection.execute("COMMIT")


def open_reader(path: Path, migrations: Sequence[str]) -> sqlite3.Connection | None:
    """Return a connection that only reads, or None when there is no file; the caller closes it.

    It may be used by one thread after another.
    """
    if not path.exists():
        return None
    connection = _connect(path, "rw")  # one that cannot write leaves `-wal` and `-shm` behind
    with _closed_on_failure(connection):
        connection.execute("PRAGMA query_only = 1")
        _version(connection, path, migrations)
    return connection


def open_writer(path: Path, migrations: Sequence[str], synchronous: str) -> sqlite3.Connection:
    """Return a connection that writes ahead (WAL), at the present schema; the caller closes it.

    It may be used by one thread after another. The file stays in that mode, for all who open
    it. *synchronous* is `FULL` or `NORMAL`.
    """
    connection = _created(path)
    with _closed_on_failure(connection):
        _version(connection, path, migrations)
        _write_ahead(connection)
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA fullfsync = {int(synchronous == 'FULL')}")
        connection.execute("BEGIN IMMEDIATE")
        _migrate(connection, path, migrations)
        connection.execute("COMMIT")
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have a file written ahead; SQLite waits for no other writer with that, so one is waited for.

    Raises:
        OperationalError: others hold it for longer than a write waits, or again and again.
    """
    for _ in range(_TURNS):
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
            return
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Tell whether there is a table of that name: a file may be of an earlier version."""
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(query, (name,)).fetchone() is not None


def _created(path: Path) -> sqlite3.Connection:
    own_folder(path.parent)
    connection = _connect(path, "rwc")
    with _closed_on_failure(connection):
        if connection.execute("PRAGMA page_count").fetchone() == (0,):
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    return connection


@contextmanager
def _closed_on_failure(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=PATIENCE_SECONDS,
        isolation_level=None,
        check_same_thread=False,
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
        raise SchemaTooNewError(path, version, len(migrations))
    return version


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the system say of *path* into a `StoreError` with a hint."""
    try:
        yield
    except sqlite3.Error as error:
        raise told(path, error) from error
    except UnicodeDecodeError as error:  # how the driver tells of a damaged schema
        raise StoreError(f"{path}: holds text that is no UTF-8", hint=_DAMAGED) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise StoreError(f"{error.filename or path}: {reason}", hint=_ACCESS) from error


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether another process held the database; later it may not."""
    return _primary(error) == sqlite3.SQLITE_BUSY


def is_damage(error: StoreError) -> bool:
    """Tell whether the file holds what SQLite never wrote, so that waiting helps nobody."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return _primary(cause) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return isinstance(cause, UnicodeDecodeError)


def told(path: Path, error: sqlite3.Error) -> StoreError:
    """Return the error that says what SQLite met at *path*, and what to do."""
    return StoreError(f"{path}: {error}", hint=_HINTS.get(_primary(error), _ACCESS))


def damaged(path: Path, error: Exception) -> StoreError:
    """Return the error that says that *path* holds what nobody stored there."""
    return StoreError(f"{path} holds what cannot be read: {error}", hint=_DAMAGED)


def _primary(error: sqlite3.Error) -> int:
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY
