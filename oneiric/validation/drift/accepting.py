"""Differences as somebody wants them judged: milder, worse, or accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from oneiric.errors import NotFoundError, OneiricError
from oneiric.files import confined, read_bounded
from oneiric.ports.drift import DriftItem, Severity
from oneiric.ports.errors import InvalidRequestError
from oneiric.validation.drift.baseline import Baseline
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift.rules import CODES
from oneiric.validation.openapi import RULES, Ignored, read_ignored
from oneiric.validation.openapi.ignored import expired, is_like

IGNORE_FILE = ".oneiric-drift-ignore"
"""Where accepted differences are looked for below the repository."""

_DATABASE = "database-"
_MAX_BYTES = 1 << 20


def check_overrides(question: DriftQuestion) -> None:
    """Pass if every code of the overrides is one that there is.

    Raises:
        InvalidRequestError: names those that are not.
    """
    unknown = [
        code
        for code in question.overrides
        if code not in CODES and code not in RULES and not code.startswith(_DATABASE)
    ]
    if unknown:
        raise InvalidRequestError("drift", f"overrides: no rule {', '.join(sorted(unknown))}")


async def read_accepted(question: DriftQuestion) -> tuple[list[Ignored], str]:
    """Return what the repository's file accepts, and an empty text; or why it is not known."""
    repository = Path(question.repo_path or ".")
    file = question.ignore or IGNORE_FILE
    try:
        data = await asyncio.to_thread(_read, repository, file)
        return read_ignored(data, source=file, further=_is_ours), ""
    except NotFoundError:
        return [], f"no file {file}" if question.ignore else ""
    except OneiricError as error:
        return [], error.message


def judged(
    items: Iterable[DriftItem],
    question: DriftQuestion,
    *,
    ignored: Sequence[Ignored],
    baseline: Baseline | None,
    today: str,
) -> tuple[list[DriftItem], int]:
    """Return the items that count, worst first, and how many were left out as accepted.

    What accepts no longer, for its last day has passed, is one of them.
    """
    kept = []
    left_out = 0
    every = [*items, *map(_expired, expired(ignored, today))]
    known = {(item.kind, item.code, item.place, item.message): item for item in every}
    for item in known.values():
        told = question.overrides.get(item.code)
        accepted = told == "ignore" or any(_accepts(each, item, today) for each in ignored)
        if accepted or (baseline is not None and baseline.accepts(item)):
            left_out += 1
        else:
            kept.append(replace(item, severity=Severity(told) if told else item.severity))
    order = [*reversed(Severity)]
    kept.sort(key=lambda item: (order.index(item.severity), item.kind, item.place, item.code))
    return kept, left_out


def _read(repository: Path, file: str) -> bytes:
    return read_bounded(confined(repository, file), limit=_MAX_BYTES)


def _accepts(ignored: Ignored, item: DriftItem, today: str) -> bool:
    return ignored.covers(item.code, item.place) and not ignored.has_expired(today)


def _expired(entry: Ignored) -> DriftItem:
    rule = RULES["ignored-entry-expired"]
    return DriftItem(
        kind="ignore",
        code=rule.id,
        severity=rule.severity,
        place=entry.written,
        message=rule.meaning,
        hint="take the line out, or give it another day",
        facts={"until": entry.until},
    )


def _is_ours(rule: str) -> bool:
    """Tell whether *rule*, with `*` for anything, is one of those besides OpenAPI's."""
    return rule.startswith(_DATABASE) or any(is_like(rule, code) for code in CODES)
