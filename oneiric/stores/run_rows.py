"""Runs and their events as rows: what one transaction does for each verb of a journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from sqlite3 import Connection
from typing import TypeAlias

from oneiric.errors import (
    DocumentError,
    InvalidError,
    JSONValue,
    LeaseLostError,
    NotFoundError,
    RunExistsError,
)
from oneiric.runs.event import EventKind, RunEvent
from oneiric.runs.journal import Lease, RunRecord, name_of, standing
from oneiric.runs.state import RunState

LARGEST_EVENT = 32 << 20  # whoever makes events keeps plans and values well below
PAGE = 500

Row: TypeAlias = tuple[str, int, str, str, str, str]
_Listed: TypeAlias = tuple[str, str, str, str, str, int, str, float, float]

_INSERT = "INSERT INTO events (run_id, seq, kind, at, step, data) VALUES (?, ?, ?, ?, ?, ?)"
_LAST = "(SELECT max(seq) FROM events WHERE events.run_id = runs.run_id)"
_TURNS = frozenset({EventKind.RUN_STARTED, EventKind.RUN_REOPENED, EventKind.RUN_ENDED})
_RECORD = f"""
    SELECT runs.run_id, name, state, created_at, at, seq, holder, until, seconds
    FROM runs JOIN events ON events.run_id = runs.run_id AND seq = {_LAST}
"""  # noqa: S608 - of constants


class EventTooLargeError(InvalidError):
    """An event has more data than the journal takes."""

    code = "event-too-large"

    def __init__(self, event: RunEvent, size: int, limit: int) -> None:
        step = f" of the step {event.step}" if event.step else ""
        super().__init__(
            f"the event {event.kind}{step} has {size} bytes of data, and {limit} are allowed",
            hint="keep large results elsewhere, and record where they are",
        )
        self.event = event
        self.size = size
        self.limit = limit

    def details(self) -> Mapping[str, JSONValue]:
        return {
            "run_id": self.event.run_id,
            "kind": str(self.event.kind),
            "step": self.event.step,
            "size": self.size,
            "limit": self.limit,
        }


def encoded(events: Sequence[RunEvent]) -> Sequence[str]:
    """Return the data of *events* as JSON text.

    Raises:
        EventTooLargeError: one is longer than `LARGEST_EVENT` bytes.
        DocumentError: one is no JSON.
    """
    texts = []
    for event in events:
        try:
            text = _ENCODER.encode(event.data)
        except (ValueError, TypeError, RecursionError) as error:
            told = f"the data of {event.kind}: {error}"
            raise DocumentError("not-json", told, source=event.run_id, path=event.step) from None
        if len(text) > LARGEST_EVENT:
            raise EventTooLargeError(event, len(text), LARGEST_EVENT)
        texts.append(text)
    return texts


def create(
    connection: Connection,
    events: Sequence[RunEvent],
    texts: Sequence[str],
    holder: str,
    seconds: float,
    now: float,
) -> tuple[Sequence[RunEvent], Lease | None]:
    """Store a new run, and with a holder its first claim."""
    first, token = events[0], 1 if holder else 0
    run_id, (state, ended_at) = first.run_id, standing(events)
    row = (run_id, name_of(first), state, first.at, ended_at)
    claimed = (holder, token, now + seconds, seconds)
    query = "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
    if not connection.execute(query, row + claimed).rowcount:
        raise RunExistsError(run_id)
    stored = _insert(connection, run_id, 0, events, texts)
    return stored, Lease(run_id, holder, token) if holder else None


def append(
    connection: Connection,
    run_id: str,
    events: Sequence[RunEvent],
    texts: Sequence[str],
    lease: Lease | None,
) -> tuple[Sequence[RunEvent], int]:
    """Store *events*; without a lease, return also the number of this append among such."""
    query = f"SELECT token, {_LAST} FROM runs WHERE run_id = ?"  # noqa: S608 - of constants
    row = connection.execute(query, (run_id,)).fetchone()
    if row is None:
        raise missing(run_id)
    token, last = row
    if lease is not None and lease.token != token:
        raise LeaseLostError(run_id, lease.holder)
    stored = _insert(connection, run_id, last, events, texts)
    if any(not event.step and event.kind in _TURNS for event in events):
        values = (*standing(events), run_id)
        connection.execute("UPDATE runs SET state = ?, ended_at = ? WHERE run_id = ?", values)
    if lease is not None or not stored:
        return stored, 0
    number = connection.execute("INSERT INTO outside (run_id) VALUES (?)", (run_id,)).lastrowid
    return stored, number or 0


def claim(
    connection: Connection,
    run_id: str,
    *,
    holder: str,
    seconds: float,
    now: float,
    is_gone: Callable[[str], bool],
) -> Lease | None:
    """Make *holder* the holder, unless the claim of another who is not gone holds at *now*."""
    query = "SELECT holder, token, until, seconds FROM runs WHERE run_id = ?"
    row = connection.execute(query, (run_id,)).fetchone()
    if row is None:
        raise missing(run_id)
    other, token, until, length = row
    if other != holder and is_in_force(until, length, now) and not is_gone(other):
        return None
    values = (holder, token + 1, now + seconds, seconds, run_id)
    update = "UPDATE runs SET holder = ?, token = ?, until = ?, seconds = ? WHERE run_id = ?"
    connection.execute(update, values)
    return Lease(run_id, holder, token + 1)


def renew(
    connection: Connection, leases: Sequence[Lease], *, seconds: float, now: float
) -> Sequence[Lease]:
    """Prolong those of *leases* that are the latest claims, and return them."""
    query = """
        WITH given (run_id, token) AS (
            SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)
        )
        UPDATE runs SET until = ?, seconds = ? FROM given
        WHERE runs.run_id = given.run_id AND runs.token = given.token
        RETURNING runs.run_id, runs.token
    """
    given = json.dumps([(lease.run_id, lease.token) for lease in leases])
    held = set(connection.execute(query, (given, now + seconds, seconds)).fetchall())
    return [lease for lease in leases if (lease.run_id, lease.token) in held]


def release(connection: Connection, lease: Lease) -> None:
    """End the claim, if it is the latest."""
    query = "UPDATE runs SET until = 0 WHERE run_id = ? AND token = ?"
    connection.execute(query, (lease.run_id, lease.token))


def page(
    connection: Connection, run_id: str, after: int
) -> tuple[RunState | None, Sequence[RunEvent]]:
    """Return the state of a run, None for no run, and then at most `PAGE` events above *after*."""
    row = connection.execute("SELECT state FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if row is None:
        return None, ()
    query = """
        SELECT run_id, seq, kind, at, step, data FROM events
        WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?
    """
    return RunState(row[0]), decoded(connection.execute(query, (run_id, after, PAGE)).fetchall())


def decoded(rows: Sequence[Row]) -> Sequence[RunEvent]:
    """Return the events that *rows* keep.

    Raises:
        ValueError, TypeError: a row is not as it was stored.
    """
    return [
        RunEvent(run_id, EventKind(kind), at, step, json.loads(data), seq)
        for run_id, seq, kind, at, step, data in rows
    ]


def holders(connection: Connection, now: float) -> Collection[str]:
    """Return whose claims on runs that have not ended are in force at *now*."""
    query = "SELECT holder, until, seconds FROM runs WHERE ended_at = ''"
    return {row[0] for row in connection.execute(query) if is_in_force(row[1], row[2], now)}


def records(
    connection: Connection,
    *,
    name: str,
    open_only: bool,
    before: str,
    limit: int,
    now: float,
    is_gone: Callable[[str], bool],
) -> Sequence[RunRecord]:
    """Return records of runs, the newest first."""
    conditions, values = ["1"], []
    if name:
        conditions.append("name = ?")
        values.append(name)
    if open_only:
        conditions.append("ended_at = ''")
    if before:
        conditions.append("runs.run_id < ?")
        values.append(before)
    order = "ORDER BY runs.run_id DESC LIMIT ?"
    query = f"{_RECORD} WHERE {' AND '.join(conditions)} {order}"
    rows = connection.execute(query, (*values, limit))
    return [_record(row, now, is_gone) for row in rows]


def latest_outside(connection: Connection) -> int:
    """Return the number of the last append without a lease."""
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM outside").fetchone()
    return int(number)


def outside_after(connection: Connection, number: int) -> Sequence[tuple[int, str]]:
    """Return number and run of each append without a lease after *number*."""
    query = "SELECT number, run_id FROM outside WHERE number > ? ORDER BY number"
    return connection.execute(query, (number,)).fetchall()


def lengths(connection: Connection, run_ids: Sequence[str]) -> Mapping[str, int]:
    """Return how many events each of the runs has; those that do not exist have none."""
    query = """
        SELECT value, coalesce((SELECT max(seq) FROM events WHERE run_id = value), 0)
        FROM json_each(?)
    """
    return dict(connection.execute(query, (json.dumps(run_ids),)).fetchall())


def missing(run_id: str) -> NotFoundError:
    """Return the error that says that there is no such run."""
    return NotFoundError("run", run_id, hint="oneiric run list")


def _insert(
    connection: Connection,
    run_id: str,
    last: int,
    events: Sequence[RunEvent],
    texts: Sequence[str],
) -> Sequence[RunEvent]:
    stored = [event.numbered(seq) for seq, event in enumerate(events, start=last + 1)]
    rows = [
        (run_id, event.seq, str(event.kind), event.at, event.step, text)
        for event, text in zip(stored, texts, strict=True)
    ]
    connection.executemany(_INSERT, rows)
    return stored


def _record(row: _Listed, now: float, is_gone: Callable[[str], bool]) -> RunRecord:
    run_id, name, state, created_at, updated_at, seq, holder, until, seconds = row
    is_held = is_in_force(until, seconds, now) and not is_gone(holder)
    return RunRecord(run_id, name, RunState(state), created_at, updated_at, seq, holder, is_held)


def _plain(value: object) -> JSONValue:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain)


def is_in_force(until: float, seconds: float, now: float) -> bool:
    """Tell whether a claim of *seconds* that ends at *until* holds, by a steady count.

    A claim that would last longer than it was made for was counted before the machine was
    started anew, and holds no more.
    """
    return now < until <= now + seconds
