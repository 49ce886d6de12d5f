"""What a checker found, and the one form in which every checker says it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftItem, Severity, Unchecked
from oneiric.ports.executor import Executor
from oneiric.text.masking import Masking
from oneiric.validation.drift.question import DriftQuestion
from oneiric.validation.texts import with_texts

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
    masking: Masking = field(default_factory=lambda: Masking(()))

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
                place=self.masking.text(place),
                message=self.masking.text(message),
                hint=hint,
                facts=cast("dict[str, JSONValue]", with_texts(facts, self.masking.text)),
            )
        )

    def unsure(self, place: str, reason: str, *, hint: str = "") -> None:
        """Note something that could not be checked."""
        told = self.masking.text(reason)
        self.unchecked.append(Unchecked(kind=self.kind, place=place, reason=told, hint=hint))

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
