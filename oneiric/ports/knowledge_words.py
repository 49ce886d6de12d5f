"""What may be asked of any knowledge: the words that exist, and the limits of numbers and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from oneiric.documents import json_value
from oneiric.errors import DocumentError, JSONValue
from oneiric.ports.errors import InvalidRequestError

MEMORY_TYPES = ("fact", "decision", "learning", "preference", "todo", "context")
SEARCH_MODES = ("keyword", "semantic", "hybrid")
ROLES = ("coordinator", "worker", "observer")
LEVELS = ("N0_INITIATIVE", "N1_FEATURE", "N2_WORKSTREAM", "N3_TASK")
PRIORITIES = ("P0", "P1", "P2")
TARGETS = ("LOCAL", "CLOUD", "HYBRID", "EXTERNAL")
BLOCKERS = ("TECH", "DEPENDENCY", "ACCESS", "PRODUCT", "INFRA", "SECURITY", "OTHER")
WORKSTREAMS = ("API", "FRONTEND", "QA", "BUGFIX_HARDENING", "DEPLOY_PROD_VERIFY")
"""The workstreams that a feature gets for which none are named."""

LONGEST_TEXT = 100_000
LONGEST_NAME = 500
LONGEST_LIST = 1_000
LONGEST_VALUE = 1 << 20

Check: TypeAlias = Callable[[object], str]
"""Says what an argument has to be, where it is not; else nothing."""


def check_request(
    needed: Mapping[str, object], others: Mapping[str, object] = MappingProxyType({})
) -> dict[str, JSONValue]:
    """Return the arguments of a call as JSON; of *others*, those left out that are None.

    >>> check_request({"content": "Chose Redis", "type": "decision"}, {"ttl_days": None})
    {'content': 'Chose Redis', 'type': 'decision'}
    >>> check_request({"limit": -1})
    Traceback (most recent call last):
    oneiric.ports.errors.InvalidRequestError: knowledge: limit is a whole number from 1 to 1000

    Raises:
        InvalidRequestError: one of them is nothing that any knowledge takes; it is named, and no
            value is shown.
    """
    given = {name: value for name, value in others.items() if value is not None}
    found: dict[str, JSONValue] = {}
    for name, value in {**needed, **given}.items():
        try:
            plain = json_value(value)
        except DocumentError:
            raise InvalidRequestError("knowledge", f"{name} holds what JSON cannot say") from None
        wanted = _CHECKS[name](plain)
        if wanted:
            raise InvalidRequestError("knowledge", f"{name} is {wanted}")
        found[name] = plain
    _check_together(found)
    return found


def _check_together(found: Mapping[str, JSONValue]) -> None:
    level = found.get("level")
    if level == "N0_INITIATIVE" and "parent_id" in found:
        raise InvalidRequestError("knowledge", "an initiative (N0) has no parent")
    if level == "N2_WORKSTREAM" and "workstream_type" not in found:
        raise InvalidRequestError("knowledge", "workstream_type is missing, which a workstream has")


def _one_of(words: Sequence[str]) -> Check:
    wanted = f"one of {', '.join(words)}"
    return lambda value: "" if value in words else wanted


def _number(least: int, most: int) -> Check:
    def check(value: object) -> str:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        is_good = is_number and least <= value <= most  # type: ignore[operator]
        return "" if is_good else f"a whole number from {least} to {most}"

    return check


def _text(most: int, *, least: int = 1) -> Check:
    def check(value: object) -> str:
        is_good = (
            isinstance(value, str)
            and least <= len(value) <= most
            and (not least or bool(value.strip()))
        )
        return "" if is_good else f"text of {least} to {most} characters"

    return check


def _truth(value: object) -> str:
    return "" if isinstance(value, bool) else "true or false"


def _moment(value: object) -> str:
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        return "an ISO 8601 date or time"
    return ""


def _list_of(each: Check, what: str) -> Check:
    def check(value: object) -> str:
        is_good = isinstance(value, list) and len(value) <= LONGEST_LIST
        if not is_good or any(each(item) for item in value):  # type: ignore[attr-defined]
            return f"a list of up to {LONGEST_LIST} {what}"
        return ""

    return check


def _table(value: object) -> str:
    return _anything(value) if isinstance(value, dict) else "a table"


def _evidence(value: object) -> str:
    is_good = isinstance(value, dict) and isinstance(value.get("type"), str) and value["type"]
    return "" if is_good else "a table with a type"


def _owners(value: object) -> str:
    is_good = isinstance(value, dict) and not any(map(_NAME, value.values()))
    return "" if is_good else "a table of names by workstream"


def _anything(value: object) -> str:
    is_good = len(repr(value)) <= LONGEST_VALUE
    return "" if is_good else f"at most {LONGEST_VALUE} characters"


_NAME = _text(LONGEST_NAME)
_SHORT = _text(10_000, least=0)
_LONG = _text(LONGEST_TEXT)
_SECONDS = _number(1, 10_000_000)
_CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "acceptance_criteria": _list_of(_anything, "criteria"),
        "blocker_reason": _text(10_000),
        "blocker_type": _one_of(BLOCKERS),
        "capabilities": _list_of(_NAME, "names"),
        "claim_timeout": _SECONDS,
        "content": _LONG,
        "context_query": _text(10_000),
        "context_refs": _list_of(_NAME, "references"),
        "create_memory": _truth,
        "decision_impact": _SHORT,
        "description": _SHORT,
        "eta_target": _moment,
        "evidence": _list_of(_evidence, "tables with a type"),
        "evidence_required": _list_of(_evidence, "tables with a type"),
        "exclude_blocked": _truth,
        "execution_target": _one_of(TARGETS),
        "expected_version": _number(0, 1 << 53),
        "include_archived": _truth,
        "is_blocking": _truth,
        "learnings": _list_of(_SHORT, "texts"),
        "level": _one_of(LEVELS),
        "limit": _number(1, 1_000),
        "max_agents": _number(1, 1_000),
        "max_depth": _number(1, 100),
        "max_tokens": _number(1, 100_000),
        "offset": _number(0, 1 << 31),
        "payload": _table,
        "priority": _one_of(PRIORITIES),
        "query": _text(10_000),
        "result": _table,
        "reuse_existing": _truth,
        "role": _one_of(ROLES),
        "search_mode": _one_of(SEARCH_MODES),
        "task_timeout": _SECONDS,
        "ttl_days": _number(1, 36_500),
        "ttl_seconds": _number(1, 10**9),
        "type": _one_of(MEMORY_TYPES),
        "value": _anything,
        "workstream_owners": _owners,
        "workstreams": _list_of(_NAME, "types of workstreams"),
        **dict.fromkeys(
            [
                "agent_id",
                "category",
                "event_type",
                "feature_id",
                "key",
                "name",
                "owner",
                "parent_id",
                "swarm_id",
                "task_id",
                "title",
                "workstream_type",
            ],
            _NAME,
        ),
    }
)
