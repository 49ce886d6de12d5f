"""Work in levels: what to do next, and how it all hangs together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from oneiric.adapters.knowledge.htasks import TASK, HTask, all_of, find
from oneiric.adapters.knowledge.transaction import Given, Transaction
from oneiric.errors import JSONValue
from oneiric.ports.knowledge import Document


def recommend(transaction: Transaction, given: Given) -> Document:
    """Name what can be done next: urgent before less urgent, then in the order it was made."""
    work = all_of(transaction, given["swarm_id"])
    ready = [task for task in work.values() if _is_ready(task, work, given)]
    ready.sort(key=lambda task: (task.document["priority"], task.document["sequence_number"]))
    tasks: list[JSONValue] = []
    for task in ready[: given["limit"]]:
        path: list[JSONValue] = [each.document["title"] for each in _lineage(task, work)]
        tasks.append({**task.shown, "path": path[::-1]})
    filters = ("feature_id", "workstream_type", "owner", "exclude_blocked")
    filtered_by = {name: given[name] for name in filters if name in given}
    return {"success": True, "tasks": tasks, "total": len(ready), "filtered_by": filtered_by}


def tree(transaction: Transaction, given: Given) -> Document:
    """Return one tree or all, as deep as asked for."""
    work = all_of(transaction, given["swarm_id"])
    below: dict[str | None, list[HTask]] = {}
    for task in work.values():
        below.setdefault(task.parent, []).append(task)
    if "task_id" in given:
        root = find(transaction, given["swarm_id"], given["task_id"])
        return {"success": True, "tree": _grown(root, below, given["max_depth"])}
    roots = below.get(None, [])
    trees: list[JSONValue] = [_grown(root, below, given["max_depth"]) for root in roots]
    return {"success": True, "trees": trees, "total_roots": len(roots)}


def _grown(task: HTask, below: Mapping[str | None, list[HTask]], depth: int) -> Document:
    children: list[JSONValue] = []
    if depth > 1:
        children = [_grown(child, below, depth - 1) for child in below.get(task.id, [])]
    return {**task.shown, "children": children}


def _is_ready(task: HTask, work: Mapping[str, HTask], given: Given) -> bool:
    if task.level != TASK or task.is_over:
        return False
    line = list(_lineage(task, work))
    if given["exclude_blocked"] and any(each.status == "BLOCKED" for each in line):
        return False
    feature, kind, owner = (given.get(name) for name in ("feature_id", "workstream_type", "owner"))
    return (
        (feature is None or any(each.id == feature for each in line))
        and (kind is None or any(each.document.get("workstream_type") == kind for each in line))
        and (owner is None or task.document["owner"] == owner)
    )


def _lineage(task: HTask, work: Mapping[str, HTask]) -> Iterator[HTask]:
    yield task
    while task.parent is not None:
        task = work[task.parent]
        yield task
