"""The numbered steps from an empty database to the present schema.

The number of a step is its place in the tuple, from 1; `PRAGMA user_version` keeps how
many a database went through. A step is never changed once released.
"""

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
)
