"""What several share: who takes part, values with versions, and events."""

from __future__ import annotations

import json
from datetime import timedelta

from oneiric.adapters.knowledge.transaction import Given, Transaction, packed
from oneiric.clock import rfc3339
from oneiric.ports.errors import ConflictError, NotFoundError
from oneiric.ports.knowledge import Document

TASK_SECONDS, CLAIM_SECONDS = 600, 300
KEPT_EVENTS = 1_000

_SWARM = """
SELECT id, name, description, max_agents, task_timeout, claim_timeout FROM swarms WHERE id = :id
"""
_NAMED = """
SELECT id, name, description, max_agents, task_timeout, claim_timeout FROM swarms
WHERE name = :name ORDER BY number DESC
"""
_MAKE = """
INSERT INTO swarms (id, name, description, max_agents, task_timeout, claim_timeout, created_at)
VALUES (:id, :name, :description, :max_agents, :task_timeout, :claim_timeout, :now)
"""
_JOIN = """
INSERT INTO agents VALUES (:swarm_id, :agent_id, :name, :role, :capabilities, :now, :now)
ON CONFLICT DO UPDATE SET
    name = excluded.name, role = excluded.role, capabilities = excluded.capabilities,
    seen_at = excluded.seen_at
"""
_VALUE = """
SELECT value, version, updated_at, updated_by,
    expires_at IS NULL OR expires_at > :now AS is_there
FROM states WHERE swarm = :swarm_id AND key = :key
"""
_SET = """
INSERT INTO states VALUES (:swarm_id, :key, :value, :version, :now, :agent_id, :expires_at)
ON CONFLICT DO UPDATE SET
    value = excluded.value, version = excluded.version, updated_at = excluded.updated_at,
    updated_by = excluded.updated_by, expires_at = excluded.expires_at
"""
_TELL = """
INSERT INTO broadcasts (id, swarm, agent, event_type, payload, at)
VALUES (:id, :swarm_id, :agent_id, :event_type, :payload, :now)
"""
_FORGET = """
DELETE FROM broadcasts WHERE swarm = :swarm_id AND number <= (
    SELECT number FROM broadcasts WHERE swarm = :swarm_id
    ORDER BY number DESC LIMIT 1 OFFSET :kept
)
"""


def create_swarm(transaction: Transaction, given: Given) -> Document:
    """Make a swarm, or return the newest of that name where one may serve again."""
    if given["reuse_existing"]:
        row = transaction.row(_NAMED, {"name": given["name"]})
        if row is not None:
            return {**_document(row), "reused": True}
    values = {
        "id": transaction.new_id("swarm"),
        "task_timeout": TASK_SECONDS,
        "claim_timeout": CLAIM_SECONDS,
        "now": transaction.now(),
        **given,
    }
    transaction.rows(_MAKE, values)
    return {**_document(transaction.row(_SWARM, values)), "reused": False}


def check_swarm(transaction: Transaction, swarm_id: str) -> Document:
    """Return a swarm.

    Raises:
        NotFoundError: there is none of that id.
    """
    row = transaction.row(_SWARM, {"id": swarm_id})
    if row is None:
        raise NotFoundError(transaction.backend, "swarm", swarm_id)
    return _document(row)


def join_swarm(transaction: Transaction, given: Given) -> Document:
    """Add an agent, or note that it is still there."""
    swarm = check_swarm(transaction, given["swarm_id"])
    others = "SELECT count(*) FROM agents WHERE swarm = :swarm_id AND agent <> :agent_id"
    taken, most = transaction.row(others, given)[0], swarm["max_agents"]
    if taken >= most:
        raise ConflictError(transaction.backend, f"the swarm has its {most} agents")
    capabilities = given.get("capabilities", [])
    values = {"name": "", **given, "capabilities": packed(capabilities), "now": transaction.now()}
    transaction.rows(_JOIN, values)
    return {
        "success": True,
        "agent_id": given["agent_id"],
        "swarm_id": given["swarm_id"],
        "role": given["role"],
        "capabilities": capabilities,
    }


def set_state(transaction: Transaction, given: Given) -> Document:
    """Put a value, if the version is the one expected."""
    check_swarm(transaction, given["swarm_id"])
    row = transaction.row(_VALUE, {**given, "now": transaction.now()})
    version = 0 if row is None or not row[4] else row[1]
    expected = given.get("expected_version")
    if expected is not None and expected != version:
        reason = f"{given['key']} has version {version}, not {expected}"
        raise ConflictError(transaction.backend, reason)
    seconds = given.get("ttl_seconds")
    until = None if seconds is None else transaction.clock.now() + timedelta(seconds=seconds)
    values = {
        **given,
        "value": packed(given["value"]),
        "version": (0 if row is None else row[1]) + 1,
        "now": transaction.now(),
        "expires_at": None if until is None else rfc3339(until),
    }
    transaction.rows(_SET, values)
    return {"success": True, "key": given["key"], "version": values["version"]}


def get_state(transaction: Transaction, given: Given) -> Document:
    """Return a value, if it is there and its time is not over."""
    check_swarm(transaction, given["swarm_id"])
    row = transaction.row(_VALUE, {**given, "now": transaction.now()})
    if row is None or not row[4]:
        return {"found": False, "key": given["key"], "value": None, "version": 0}
    value, version, updated_at, updated_by, _ = row
    return {
        "found": True,
        "key": given["key"],
        "value": json.loads(value),
        "version": version,
        "updated_at": updated_at,
        "updated_by": updated_by,
    }


def broadcast(transaction: Transaction, given: Given) -> Document:
    """Keep an event; the newest of a swarm are kept."""
    check_swarm(transaction, given["swarm_id"])
    values = {
        **given,
        "id": transaction.new_id("event"),
        "payload": packed(given.get("payload", {})),
        "now": transaction.now(),
        "kept": KEPT_EVENTS,
    }
    transaction.rows(_TELL, values)
    transaction.rows(_FORGET, values)
    return {"success": True, "event_id": values["id"], "event_type": given["event_type"]}


def _document(row: tuple[object, ...]) -> Document:
    names = ("swarm_id", "name", "description", "max_agents", "task_timeout", "claim_timeout")
    values = dict(zip(names, row, strict=True))
    return {"success": True, **values}  # type: ignore[dict-item]
