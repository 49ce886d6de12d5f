"""Who compares what: one table, in which every checker is called alike."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from oneiric.errors import OneiricError
from oneiric.ports.drift import DriftItem, Unchecked
from oneiric.ports.executor import Executor
from oneiric.validation.drift.config import check_config
from oneiric.validation.drift.findings import Checker, Found
from oneiric.validation.drift.health import check_health
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.drift.routes import check_routes
from oneiric.validation.drift.schema import check_openapi
from oneiric.validation.drift.version import check_version
from oneiric.validation.drift.view import View

SCHEMAS = frozenset({"openapi", "database"})
"""Kinds of which one has to be compared where the schema is demanded."""


def checkers(view: View, further: Mapping[str, Checker]) -> dict[str, Checker]:
    """Return who compares each kind: those of this room, and *further* ones, which outrank them."""
    table: dict[str, Checker] = {
        "route": partial(check_routes, view),
        "openapi": partial(check_openapi, view),
        "health": partial(check_health, view),
        "version": partial(check_version, view),
        "config": partial(check_config, view),
        **further,
    }
    left_out = SCHEMAS if view.question.checks.schemas is False else frozenset()
    return {kind: check for kind, check in table.items() if kind not in left_out}


async def run_checkers(
    table: Mapping[str, Checker], question: DriftQuestion, executor: Executor, *, limit: float
) -> Found:
    """Run all at once, each at most *limit* seconds, and return what they found together."""
    kinds = list(table)
    found = await asyncio.gather(
        *(_within(kind, table[kind], question, executor, limit) for kind in kinds)
    )
    items: list[DriftItem] = []
    unchecked: list[Unchecked] = []
    checked: dict[str, int] = {}
    absent: dict[str, str] = {}
    for theirs, unsure, counts, missing in found:
        items += theirs
        unchecked += unsure
        checked |= counts
        absent |= missing
    unchecked += _schema_demanded(question, checked, unchecked, absent)
    return items, unchecked, checked, absent


async def _within(
    kind: str, check: Checker, question: DriftQuestion, executor: Executor, limit: float
) -> Found:
    try:
        async with asyncio.timeout(limit):
            return await check(question, executor)
    except TimeoutError:
        reason = f"it took longer than {limit:g} s"
        return [], [Unchecked(kind=kind, place=kind, reason=reason)], {}, {}
    except OneiricError as error:
        told = Unchecked(kind=kind, place=kind, reason=error.message, hint=error.hint)
        return [], [told], {}, {}


def _schema_demanded(
    question: DriftQuestion,
    checked: Mapping[str, int],
    unchecked: list[Unchecked],
    absent: Mapping[str, str],
) -> list[Unchecked]:
    """Return that no schema was compared, where one is demanded and nobody has said so yet."""
    if question.checks.schemas is not True or SCHEMAS & {*checked, *(u.kind for u in unchecked)}:
        return []
    reason = "; ".join(absent[kind] for kind in sorted(SCHEMAS & {*absent}))
    hint = "keep an OpenAPI document in the repository, or say where the database is"
    return [Unchecked(kind="schema", place="schema", reason=reason or "there is none", hint=hint)]
