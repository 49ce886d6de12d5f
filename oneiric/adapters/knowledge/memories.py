"""What was learned: kept for so long, and found again by its words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from oneiric.adapters.knowledge.search import found_by_words
from oneiric.adapters.knowledge.transaction import Given, Transaction
from oneiric.clock import rfc3339
from oneiric.errors import JSONValue
from oneiric.ports.knowledge import Document

_KEEP = """
INSERT INTO memories (id, content, type, category, created_at, expires_at)
VALUES (:id, :content, :type, :category, :created_at, :expires_at)
"""
_WORDS = """
INSERT INTO memory_words (rowid, content, category)
SELECT number, content, category FROM memories WHERE id = :id
"""
_FORGET_WORDS = """
DELETE FROM memory_words WHERE rowid IN (SELECT number FROM memories WHERE expires_at <= :now)
"""
_FORGET = "DELETE FROM memories WHERE expires_at <= :now"
_FIND = """
SELECT memory_words.rowid, bm25(memory_words)
FROM memory_words JOIN memories ON memories.number = memory_words.rowid
WHERE memory_words MATCH :word
    AND (expires_at IS NULL OR expires_at > :now)
    AND (:type IS NULL OR memories.type = :type)
    AND (:category IS NULL OR memories.category = :category)
ORDER BY rank LIMIT 1000
"""
_ONE = "SELECT id, content, type, category, created_at, expires_at FROM memories WHERE number = :n"
_COUNT = """
SELECT count(*) FROM memories
WHERE (expires_at IS NULL OR expires_at > :now)
    AND (:type IS NULL OR type = :type) AND (:category IS NULL OR category = :category)
"""
_LIST = """
SELECT id, content, type, category, created_at, expires_at FROM memories
WHERE (expires_at IS NULL OR expires_at > :now)
    AND (:type IS NULL OR type = :type) AND (:category IS NULL OR category = :category)
ORDER BY number DESC LIMIT :limit OFFSET :offset
"""


def remember(transaction: Transaction, given: Given) -> Document:
    """Keep a memory; those whose time is over are forgotten on the way."""
    now = transaction.now()
    transaction.rows(_FORGET_WORDS, {"now": now})
    transaction.rows(_FORGET, {"now": now})
    days = given.get("ttl_days")
    until = None if days is None else transaction.clock.now() + timedelta(days=days)
    kept = {
        "id": transaction.new_id("mem"),
        "content": given["content"],
        "type": given["type"],
        "category": given["category"],
        "created_at": now,
        "expires_at": None if until is None else rfc3339(until),
    }
    transaction.rows(_KEEP, kept)
    transaction.rows(_WORDS, kept)
    return {**_document(tuple(kept.values())), "created": True, "message": "kept"}


def recall(transaction: Transaction, given: Given) -> Document:
    """Find memories by their words."""
    asked = _filters(transaction, given)
    found = found_by_words(transaction, _FIND, asked, given["query"])
    memories: list[JSONValue] = [
        {**_document(transaction.row(_ONE, {"n": number})), "relevance": relevance}
        for number, relevance in found[: given["limit"]]
    ]
    searched = transaction.row(_COUNT, asked)[0]
    return {"memories": memories, "total_searched": searched, "query": given["query"]}


def listed(transaction: Transaction, given: Given) -> Document:
    """List memories, the newest first."""
    asked = _filters(transaction, given)
    page = {**asked, "limit": given["limit"], "offset": given["offset"]}
    memories: list[JSONValue] = [_document(row) for row in transaction.rows(_LIST, page)]
    total = transaction.row(_COUNT, asked)[0]
    has_more = given["offset"] + len(memories) < total
    return {"memories": memories, "total_count": total, "has_more": has_more}


def _filters(transaction: Transaction, given: Given) -> dict[str, object]:
    return {
        "now": transaction.now(),
        "type": given.get("type"),
        "category": given.get("category"),
    }


def _document(row: tuple[Any, ...]) -> Document:
    names = ("memory_id", "content", "type", "category", "created_at", "expires_at")
    return dict(zip(names, row, strict=True))
