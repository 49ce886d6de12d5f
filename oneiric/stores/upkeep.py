"""Look after the state database: check it, prune old runs, back it up while it is used.

Calls block, some for long; on an event loop call them in a thread.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from sqlite3 import Connection

from oneiric.clock import rfc3339
from oneiric.errors import InvalidPathError, NotFoundError, StoreError
from oneiric.files import check_place
from oneiric.runs.event import EventKind
from oneiric.runs.journal import standing
from oneiric.stores import run_rows
from oneiric.stores.database import has_table, is_damage, open_writer, reading, translated
from oneiric.stores.migrations import STATE

RUNS_AT_ONCE = 50
PAGES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class JournalCheck:
    """How many runs and events there are, and what is wrong with them, in words."""

    runs: int
    events: int
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def check(path: Path) -> JournalCheck:
    """Check the file as SQLite does, and that each run is whole and stands as its events say.

    Nothing is written, and others may write meanwhile. Damage that SQLite stumbles over is a
    problem like any other.

    Raises:
        StoreError: the file cannot be read at all, for another reason than damage.
    """
    try:
        return _checked(path)
    except StoreError as error:
        if not is_damage(error):
            raise
        return JournalCheck(0, 0, (error.message,))


def _checked(path: Path) -> JournalCheck:
    with reading(path, STATE) as connection:
        if connection is None or not has_table(connection, "outside"):
            return JournalCheck(0, 0, ())
        connection.execute("BEGIN")
        found = [text for (text,) in connection.execute("PRAGMA quick_check")]
        if found != ["ok"]:
            return JournalCheck(0, 0, tuple(found))
        (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
        problems = (*_gaps(connection), *_strays(connection), *_disagreements(connection))
        return JournalCheck(runs, events, problems)


def prunable(path: Path, *, ended_before: datetime, keep: int = 0) -> Sequence[str]:
    """Return the runs that `prune` would delete, the latest end first; nothing is written.

    Raises:
        StoreError: the file cannot be read.
    """
    with reading(path, STATE) as connection:
        if connection is None or not has_table(connection, "runs"):
            return ()
        return _ended(connection, rfc3339(ended_before), keep)


def prune(path: Path, *, ended_before: datetime, keep: int = 0) -> int:
    """Delete the runs that ended before that moment, except the *keep* that ended last.

    Runs that have not ended are never deleted. The space is given back to the system. It is
    done in small transactions, so that others can write meanwhile. The number of deleted
    runs is returned.

    Raises:
        StoreError: the file cannot be written; what was deleted by then stays so.
    """
    if not path.exists():
        return 0
    before = rfc3339(ended_before)
    with translated(path), closing(open_writer(path, STATE, "FULL")) as connection:
        run_ids = _ended(connection, before, keep)
        done = 0
        for first in range(0, len(run_ids), RUNS_AT_ONCE):
            done += _delete(connection, run_ids[first : first + RUNS_AT_ONCE], before)
        _shrink(connection)
    return done


def _ended(connection: Connection, before: str, keep: int) -> list[str]:
    """Return the runs that ended before that moment, but for the *keep* that ended last."""
    query = """
        SELECT run_id, ended_at FROM runs WHERE ended_at <> ''
        ORDER BY ended_at DESC, run_id DESC LIMIT -1 OFFSET ?
    """
    ended = connection.execute(query, (keep,)).fetchall()
    return [run_id for run_id, at in ended if at < before]


def backup(path: Path, to: Path) -> None:
    """Put a copy of the database at *to*, as it is at one moment; others may write meanwhile.

    The copy is checked, and stands at *to* whole or not at all, in place of an earlier one.

    Raises:
        InvalidPathError: *to* is the database itself, a folder, a pipe or a device.
        NotFoundError: there is no database, or no folder to put the copy into.
        StoreError: it cannot be read, or the copy cannot be written.
    """
    with translated(to):
        check_place(to)
        if to.exists() and path.exists() and to.samefile(path):
            raise InvalidPathError(str(to), "it is the database itself")
        temporary = to.parent / f".{secrets.token_hex(12)}.tmp"
    try:
        with reading(path, STATE) as connection:
            if connection is None:
                raise NotFoundError("database", str(path))
            connection.execute("PRAGMA query_only = 0")  # it would forbid to write elsewhere
            connection.execute("VACUUM INTO ?", (str(temporary.absolute()),))
        checked = check(temporary)
        if not checked.is_sound:
            hint = f"what was at {to} before is still there"
            raise StoreError(f"{path}: its copy is not sound: {checked.problems[0]}", hint=hint)
        with translated(to):
            _settle(temporary, to)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _gaps(connection: Connection) -> Iterator[str]:
    query = """
        SELECT run_id, count(*), min(seq), max(seq) FROM events GROUP BY run_id
        HAVING min(seq) <> 1 OR max(seq) <> count(*)
    """
    for run_id, count, first, last in connection.execute(query):
        yield f"the run {run_id} has {count} events, numbered {first} to {last}"


def _strays(connection: Connection) -> Iterator[str]:
    query = "SELECT DISTINCT run_id FROM events WHERE run_id NOT IN (SELECT run_id FROM runs)"
    for (run_id,) in connection.execute(query):
        yield f"there are events of {run_id}, and no such run"


def _disagreements(connection: Connection) -> Iterator[str]:
    """Compare how runs stand with what their events say."""
    told = "('run-started', 'run-reopened', 'run-ended')"
    query = f"""
        SELECT runs.run_id, seq, kind, at, step, data, state, ended_at
        FROM runs LEFT JOIN events
        ON events.run_id = runs.run_id AND (seq = 1 OR kind IN {told})
        ORDER BY runs.run_id, seq
    """  # noqa: S608 - of constants
    for run_id, rows in groupby(connection.execute(query), key=lambda row: str(row[0])):
        of_run = list(rows)
        state, ended_at = of_run[0][6:]
        if of_run[0][1] is None:
            yield f"the run {run_id} has no events"
            continue
        said = _said([row[:6] for row in of_run])
        if said is None:
            yield f"the run {run_id} has events that cannot be understood"
        elif said != (state, ended_at):
            yield f"the run {run_id} is listed as {state}, and its events say {said[0]}"


def _said(rows: Sequence[run_rows.Row]) -> tuple[str, str] | None:
    """Return how the run stands and when it ended, or None for events that say nothing."""
    try:
        events = run_rows.decoded(rows)
        said = standing(events)
    except (KeyError, TypeError, ValueError):
        return None
    return said if events[0].kind is EventKind.RUN_CREATED else None


def _delete(connection: Connection, run_ids: Sequence[str], before: str) -> int:
    """Delete those runs in one transaction, unless one was reopened meanwhile."""
    done = 0
    query = "DELETE FROM runs WHERE run_id = ? AND ended_at <> '' AND ended_at < ?"
    connection.execute("BEGIN IMMEDIATE")
    for run_id in run_ids:
        if connection.execute(query, (run_id, before)).rowcount:
            connection.execute("DELETE FROM events WHERE run_id = ?", (run_id,))
            done += 1
    connection.execute("DELETE FROM outside WHERE run_id NOT IN (SELECT run_id FROM runs)")
    connection.execute("COMMIT")
    return done


def _shrink(connection: Connection) -> None:
    """Give free pages back, some at a time."""
    while connection.execute("PRAGMA freelist_count").fetchone() > (0,):
        before = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
        if connection.execute("PRAGMA page_count").fetchone() == before:
            break
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _settle(temporary: Path, to: Path) -> None:
    """Have the copy reach the disk, then its name."""
    for path, flags in ((temporary, os.O_RDONLY), (to.parent, os.O_RDONLY | os.O_DIRECTORY)):
        if path is not temporary:
            temporary.replace(to)
        descriptor = os.open(path, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
