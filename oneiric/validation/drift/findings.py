"""What a checker found, and the one form in which every checker says it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftItem, Severity, Unchecked
from oneiric.ports.executor import Executor
from oneiric.validation.drift.question import DriftQuestion

Found: TypeAlias = tuple[list[DriftItem], list[Unchecked], dict[str, int], dict[str, str]]
"""Differences, what could not be checked, how much was of each kind, and kinds that do not apply
with the reason."""

Checker: TypeAlias = Callable[[DriftQuestion, Executor], Awaitable[Found]]
"""What compares one kind, or several that belong together."""


@dataclass(slots=True)
class Findings:
    """Gather what a checker of one kind finds.

    >>> findings = Findings("route")
    >>> findings.compared()
    >>> findings.differs("route-missing", Severity.BREAKING, "GET /users", "answered 404")
    >>> [item.code for item in findings.found()[0]], findings.found()[2]
    (['route-missing'], {'route': 1})
    """

    kind: str
    items: list[DriftItem] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    checked: int = 0
    absence: str = ""

    def differs(
        self,
        code: str,
        severity: Severity,
        place: str,
        message: str,
        *,
        hint: str = "",
        **facts: JSONValue,
    ) -> None:
        """Note a difference."""
        self.items.append(
            DriftItem(
                kind=self.kind,
                code=code,
                severity=severity,
                place=place,
                message=message,
                hint=hint,
                facts=facts,
            )
        )

    def unsure(self, place: str, reason: str, *, hint: str = "") -> None:
        """Note something that could not be checked."""
        self.unchecked.append(Unchecked(kind=self.kind, place=place, reason=reason, hint=hint))

    def compared(self, count: int = 1) -> None:
        """Count what was compared."""
        self.checked += count

    def missing(self, reason: str, *, demanded: bool, hint: str = "") -> None:
        """Note that there is nothing to compare: it is unchecked when somebody demands it."""
        if demanded:
            self.unsure(self.kind, reason, hint=hint)
        else:
            self.absence = reason

    def found(self) -> Found:
        """Return all of it."""
        checked = {self.kind: self.checked} if self.checked else {}
        absent = {self.kind: self.absence} if self.absence else {}
        return self.items, self.unchecked, checked, absent
