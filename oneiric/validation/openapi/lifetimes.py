"""How operations come to their end: deprecated, announced, gone."""

from __future__ import annotations

from collections.abc import Iterator

from oneiric.validation.openapi.changes import Found
from oneiric.validation.openapi.ignored import is_day
from oneiric.validation.openapi.operations import Operation
from oneiric.validation.openapi.schema_rules import between

_DAY = 10


def day_of(sunset: str) -> str:
    """Return the day of a sunset written as RFC 3339, or nothing if it is none.

    >>> day_of("2026-12-31T00:00:00Z"), day_of("soon")
    ('2026-12-31', '')
    """
    day, rest = sunset[:_DAY], sunset[_DAY:]
    return day if is_day(day) and (not rest or rest[0] in "Tt ") else ""


def removal(operation: Operation, today: str, *, whole_path: bool) -> Found:
    """Return what it is called that *operation* is gone, with its whole path or alone."""
    subject = "path" if whole_path else "operation"
    facts = {"sunset": operation.sunset} if operation.sunset else {}
    if not operation.deprecated:
        return Found(f"{subject}-removed", operation.name)
    day = day_of(operation.sunset)
    if operation.sunset and not (day and today and day <= today[:_DAY]):
        return Found(f"{subject}-removed-before-sunset", operation.name, facts)
    return Found(f"{subject}-removed-after-deprecation", operation.name, facts)


def lifetime_changes(old: Operation, new: Operation, today: str) -> Iterator[Found]:
    """Yield how an operation's name for clients, its deprecation and its sunset differ."""
    place = old.name
    if old.operation_id != new.operation_id:
        yield Found("operation-id-changed", place, between(old.operation_id, new.operation_id))
    if old.deprecated != new.deprecated:
        yield Found("operation-deprecated" if new.deprecated else "operation-reactivated", place)
    if not new.deprecated:
        return
    if not new.sunset:
        if old.sunset and old.deprecated:
            yield Found("sunset-deleted", place, {"from": old.sunset, "to": None})
        elif not old.deprecated:
            yield Found("sunset-missing", place)
        return
    if (old.deprecated, old.sunset) == (new.deprecated, new.sunset):
        return
    day = day_of(new.sunset)
    if not day:
        yield Found("sunset-unparsable", place, between(old.sunset, new.sunset))
        return
    announced = day_of(old.sunset) if old.deprecated else today[:_DAY]
    if announced and day < announced:
        yield Found("sunset-too-early", place, between(old.sunset, new.sunset))
