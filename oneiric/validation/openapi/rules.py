"""What a difference between two documents is called, and how bad it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from oneiric.ports.drift import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of difference.

    Args:
        id: its code.
        severity: how bad it is, unless the configuration says otherwise.
        direction: `request`, `response` or `both`.
        meaning: what is different, in words.
    """

    id: str
    severity: Severity
    direction: str
    meaning: str


RULES: Mapping[str, Rule] = {
    each.id: each
    for each in (
        Rule("operation-removed", Severity.BREAKING, "both", "an operation is gone"),
        Rule("operation-added", Severity.INFO, "both", "an operation is new"),
    )
}


def rule_table() -> list[Rule]:
    """Return every rule, in the order in which they are documented."""
    return list(RULES.values())
