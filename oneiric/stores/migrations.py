"""The numbered steps from an empty database to the present schema.

The number of a step is its place in the tuple, from 1; `PRAGMA user_version` keeps how
many a database went through. A step is never changed once released.
"""

JOURNAL = (
    """
    CREATE TABLE runs (
        run_id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at TEXT NOT NULL,
        ended_at TEXT NOT NULL,
        holder TEXT NOT NULL,
        token INTEGER NOT NULL,
        until REAL NOT NULL,
        seconds REAL NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX runs_by_name ON runs (name, run_id)",
    "CREATE INDEX open_runs ON runs (run_id) WHERE ended_at = ''",
    """
    CREATE TABLE events (
        run_id TEXT NOT NULL,
        seq INTEGER NOT NULL,
        kind TEXT NOT NULL,
        at TEXT NOT NULL,
        step TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (run_id, seq)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE outside (number INTEGER PRIMARY KEY AUTOINCREMENT, run_id TEXT NOT NULL)",
)
"""The runs and their events; `outside` names the run of each append without a lease."""

STATE = (
    """
    CREATE TABLE selections (
        ref TEXT PRIMARY KEY,
        provider TEXT NOT NULL,
        configured TEXT NOT NULL,
        actor TEXT NOT NULL,
        at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    "ALTER TABLE selections ADD COLUMN profile TEXT NOT NULL DEFAULT ''",
    """
    CREATE TABLE dead_letters (
        id TEXT PRIMARY KEY,
        handler TEXT NOT NULL,
        event TEXT NOT NULL,
        reason TEXT NOT NULL,
        error TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        at TEXT NOT NULL,
        claimed_until TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    *JOURNAL,
    """
    CREATE TABLE schedules (
        ref TEXT PRIMARY KEY,
        digest TEXT NOT NULL,
        since TEXT NOT NULL,
        last TEXT NOT NULL,
        taken INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
)

ACTIVITY = (
    """
    CREATE TABLE activity (
        ref TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        note TEXT NOT NULL,
        actor TEXT NOT NULL,
        since TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE followers (
        id TEXT PRIMARY KEY,
        pid INTEGER NOT NULL,
        born TEXT NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE drains (
        ref TEXT NOT NULL,
        follower TEXT NOT NULL,
        in_flight INTEGER NOT NULL,
        holders TEXT NOT NULL,
        at TEXT NOT NULL,
        PRIMARY KEY (ref, follower)
    ) WITHOUT ROWID
    """,
)

RESULTS = (
    """
    CREATE TABLE results (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,
        place TEXT NOT NULL,
        parts TEXT NOT NULL,
        value TEXT NOT NULL,
        origin TEXT NOT NULL,
        at REAL NOT NULL,
        size INTEGER NOT NULL
    )
    """,
    "CREATE INDEX results_by_place ON results (place, number)",
)
"""Results that may serve again, the newest with the highest number."""
