"""Work in levels: making it, blocking it, completing it, and what completing it completes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from oneiric.adapters.knowledge import memories
from oneiric.adapters.knowledge.swarms import check_swarm
from oneiric.adapters.knowledge.transaction import Given, Transaction, packed
from oneiric.errors import JSONValue
from oneiric.ports.errors import ConflictError, InvalidRequestError, NotFoundError
from oneiric.ports.knowledge import Document
from oneiric.ports.knowledge_words import LEVELS, WORKSTREAMS

OVER = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
INITIATIVE, FEATURE, WORKSTREAM, TASK = LEVELS

_MAKE = """
INSERT INTO htasks (id, swarm, parent, level, status, document)
VALUES (:id, :swarm_id, :parent_id, :level, 'PENDING', :document)
"""
_ONE = """
SELECT id, parent, level, status, document FROM htasks WHERE swarm = :swarm_id AND id = :task_id
"""
_ALL = """
SELECT id, parent, level, status, document FROM htasks WHERE swarm = :swarm_id ORDER BY number
"""
_COUNT = "SELECT count(*) FROM htasks WHERE swarm = :swarm_id"
_CHANGE = "UPDATE htasks SET status = :status, document = :document WHERE id = :task_id"
_CHILDREN = "SELECT id, parent, level, status, document FROM htasks WHERE parent = :task_id"


@dataclass(frozen=True, slots=True)
class HTask:
    """One piece of work as it is kept."""

    id: str
    parent: str | None
    level: str
    status: str
    document: Mapping[str, Any]

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do in it."""
        return self.status in OVER

    @property
    def shown(self) -> Document:
        """The document of the task, without its children."""
        return {
            "id": self.id,
            "task_id": self.id,
            "parent_id": self.parent,
            "level": self.level,
            "status": self.status,
            **self.document,
        }


def create_htask(transaction: Transaction, given: Given) -> Document:
    """Make one piece of work below its parent."""
    check_swarm(transaction, given["swarm_id"])
    if "parent_id" in given:
        _check_parent(transaction, given)
    ours = ("swarm_id", "parent_id", "level")
    number = transaction.row(_COUNT, given)[0] + 1
    kept = {name: value for name, value in given.items() if name not in ours}
    document = {**kept, "sequence_number": number, "created_at": transaction.now()}
    values = {
        "id": transaction.new_id("htask"),
        "swarm_id": given["swarm_id"],
        "parent_id": given.get("parent_id"),
        "level": given["level"],
        "document": packed(document),
    }
    transaction.rows(_MAKE, values)
    return {
        "success": True,
        "task_id": values["id"],
        "level": given["level"],
        "title": given["title"],
        "owner": given["owner"],
        "sequence_number": number,
    }


def create_feature(transaction: Transaction, given: Given) -> Document:
    """Make a feature, and its workstreams below it."""
    whole = {"priority": "P1", "is_blocking": True, "description": given["description"]}
    about = ("swarm_id", "title", "owner", "parent_id")
    feature = {name: given[name] for name in about if name in given}
    made = create_htask(transaction, {**whole, **feature, "level": FEATURE})
    owners = given.get("workstream_owners", {})
    workstreams: list[JSONValue] = []
    ids: dict[str, JSONValue] = {}
    for kind in dict.fromkeys(given.get("workstreams") or WORKSTREAMS):
        below = {
            "swarm_id": given["swarm_id"],
            "title": f"{given['title']}: {kind}",
            "owner": owners.get(kind, given["owner"]),
            "parent_id": made["task_id"],
            "level": WORKSTREAM,
            "workstream_type": kind,
        }
        ids[kind] = create_htask(transaction, {**whole, **below})["task_id"]
        workstreams.append({"workstream_type": kind, "task_id": ids[kind], "success": True})
    return {
        "success": True,
        "feature_id": made["task_id"],
        "title": given["title"],
        "owner": given["owner"],
        "workstreams": workstreams,
        "workstream_ids": ids,
    }


def complete_htask(transaction: Transaction, given: Given) -> Document:
    """Complete a task that has its evidence, and the parents that it was the last part of."""
    task = find(transaction, given["swarm_id"], given["task_id"])
    if task.level != TASK:
        reason = f"{task.id} is of level {task.level}; only {TASK} is completed"
        raise InvalidRequestError(transaction.backend, reason)
    if task.is_over:
        raise ConflictError(transaction.backend, f"{task.id} is {task.status.lower()} already")
    for each in (task, *_above(transaction, task, given["swarm_id"])):
        if each.status == "BLOCKED":
            why = each.document.get("blocker_reason", "")
            raise ConflictError(transaction.backend, f"{each.id} is blocked: {why}")
    missing = _missing(task.document.get("evidence_required", []), given.get("evidence", []))
    if missing:
        reason = f"{task.id} requires evidence of type {', '.join(missing)}, with a description"
        raise InvalidRequestError(transaction.backend, reason)
    said = ("evidence", "result", "learnings", "decision_impact")
    told = {name: given[name] for name in said if name in given}
    memory_id = _memory(transaction, task, given)
    _change(transaction, task, "COMPLETED", {**told, "completed_at": transaction.now()})
    return {
        "success": True,
        "task_id": task.id,
        "status": "COMPLETED",
        "auto_closed_parent": _close_parents(transaction, task, given["swarm_id"]),
        "linked_memory_id": memory_id,
    }


def block_htask(transaction: Transaction, given: Given) -> Document:
    """Note what blocks a piece of work."""
    task = find(transaction, given["swarm_id"], given["task_id"])
    if task.is_over:
        raise ConflictError(transaction.backend, f"{task.id} is {task.status.lower()} already")
    why = {name: given[name] for name in ("blocker_type", "blocker_reason")}
    _change(transaction, task, "BLOCKED", why)
    return {"success": True, "task_id": task.id, "status": "BLOCKED", **why}


def unblock_htask(transaction: Transaction, given: Given) -> Document:
    """Note that nothing blocks it any more."""
    task = find(transaction, given["swarm_id"], given["task_id"])
    if task.status != "BLOCKED":
        raise ConflictError(transaction.backend, f"{task.id} is not blocked")
    _change(transaction, task, "PENDING", {"blocker_type": None, "blocker_reason": None})
    return {"success": True, "task_id": task.id, "status": "PENDING"}


def find(transaction: Transaction, swarm_id: str, task_id: str) -> HTask:
    """Return one piece of work of a swarm.

    Raises:
        NotFoundError: there is none of that id in the swarm.
    """
    check_swarm(transaction, swarm_id)
    row = transaction.row(_ONE, {"swarm_id": swarm_id, "task_id": task_id})
    if row is None:
        raise NotFoundError(transaction.backend, "task", task_id)
    return _read(row)


def all_of(transaction: Transaction, swarm_id: str) -> dict[str, HTask]:
    """Return all work of a swarm by its ids, in the order in which it was made."""
    check_swarm(transaction, swarm_id)
    rows = transaction.rows(_ALL, {"swarm_id": swarm_id})
    return {task.id: task for task in map(_read, rows)}


def _check_parent(transaction: Transaction, given: Given) -> None:
    """Pass if the parent takes a child of this level.

    Levels fall from parent to child, so there are at most as many as levels, and no circles.
    """
    parent = find(transaction, given["swarm_id"], given["parent_id"])
    if LEVELS.index(parent.level) >= LEVELS.index(given["level"]):
        reason = f"a parent of {given['level']} is of a higher level, not {parent.level}"
        raise InvalidRequestError(transaction.backend, reason)
    if parent.is_over:
        raise ConflictError(transaction.backend, f"{parent.id} is {parent.status.lower()} already")


def _missing(required: Iterable[Given], given: Iterable[Given]) -> list[str]:
    """Return the types of evidence of which too little was given with words of its own."""
    shown = Counter(each["type"] for each in given if _said(each))
    return sorted(Counter(each["type"] for each in required) - shown)


def _said(evidence: Given) -> bool:
    return any(str(value).strip() for name, value in evidence.items() if name != "type" and value)


def _memory(transaction: Transaction, task: HTask, given: Given) -> JSONValue:
    """Keep what was learned as a memory, if anything was."""
    learned = [*given.get("learnings", []), given.get("decision_impact", "")]
    text = "\n".join(filter(None, learned))
    if not text or not given["create_memory"]:
        return None
    content = f"{task.document['title']}: {text}"
    memory = {"content": content, "type": "learning", "category": "htask"}
    return memories.remember(transaction, memory)["memory_id"]


def _close_parents(transaction: Transaction, task: HTask, swarm_id: str) -> JSONValue:
    """Complete each parent whose blocking children are over; return the nearest that was."""
    closed = []
    for parent in _above(transaction, task, swarm_id):
        children = map(_read, transaction.rows(_CHILDREN, {"task_id": parent.id}))
        if parent.is_over or any(
            each.document["is_blocking"] and not each.is_over for each in children
        ):
            break
        _change(transaction, parent, "COMPLETED", {"completed_at": transaction.now()})
        closed.append(parent.id)
    return closed[0] if closed else None


def _above(transaction: Transaction, task: HTask, swarm_id: str) -> list[HTask]:
    found: list[HTask] = []
    while task.parent is not None and len(found) < len(LEVELS):
        task = find(transaction, swarm_id, task.parent)
        found.append(task)
    return found


def _change(transaction: Transaction, task: HTask, status: str, more: Given) -> None:
    document = {**task.document, **more, "updated_at": transaction.now()}
    values = {"task_id": task.id, "status": status, "document": packed(document)}
    transaction.rows(_CHANGE, values)


def _read(row: tuple[Any, ...]) -> HTask:
    id_, parent, level, status, document = row
    return HTask(id_, parent, level, status, json.loads(document))
