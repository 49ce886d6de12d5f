"""The numbered steps from an empty file to one that keeps knowledge; none is ever changed."""

TABLES = (
    """
    CREATE TABLE memories (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        content TEXT NOT NULL,
        type TEXT NOT NULL,
        category TEXT NOT NULL,
        created_at TEXT NOT NULL,
        expires_at TEXT
    )
    """,
    "CREATE INDEX memories_by_end ON memories (expires_at) WHERE expires_at IS NOT NULL",
    """
    CREATE VIRTUAL TABLE memory_words USING fts5 (
        content, category, tokenize = 'porter unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TABLE files (
        root TEXT NOT NULL,
        path TEXT NOT NULL,
        changed INTEGER NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (root, path)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE sections (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        root TEXT NOT NULL,
        path TEXT NOT NULL,
        title TEXT NOT NULL,
        content TEXT NOT NULL,
        first INTEGER NOT NULL,
        last INTEGER NOT NULL
    )
    """,
    "CREATE INDEX sections_by_file ON sections (root, path)",
    """
    CREATE VIRTUAL TABLE section_words USING fts5 (
        title, content, tokenize = 'porter unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TABLE swarms (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        description TEXT NOT NULL,
        max_agents INTEGER NOT NULL,
        task_timeout INTEGER NOT NULL,
        claim_timeout INTEGER NOT NULL,
        created_at TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE agents (
        swarm TEXT NOT NULL,
        agent TEXT NOT NULL,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        capabilities TEXT NOT NULL,
        joined_at TEXT NOT NULL,
        seen_at TEXT NOT NULL,
        PRIMARY KEY (swarm, agent)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE states (
        swarm TEXT NOT NULL,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        version INTEGER NOT NULL,
        updated_at TEXT NOT NULL,
        updated_by TEXT NOT NULL,
        expires_at TEXT,
        PRIMARY KEY (swarm, key)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE broadcasts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        swarm TEXT NOT NULL,
        agent TEXT NOT NULL,
        event_type TEXT NOT NULL,
        payload TEXT NOT NULL,
        at TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE htasks (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        swarm TEXT NOT NULL,
        parent TEXT,
        level TEXT NOT NULL,
        status TEXT NOT NULL,
        document TEXT NOT NULL
    )
    """,
    "CREATE INDEX htasks_by_swarm ON htasks (swarm, number)",
    "CREATE INDEX htasks_by_parent ON htasks (parent) WHERE parent IS NOT NULL",
)
"""Columns that end in `_at` hold times as text; documents, payloads and values are JSON."""
