"""What came of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field

from oneiric.errors import JSONValue
from oneiric.ports.drift import DriftItem, Severity, Unchecked
from oneiric.text.masking import Masking

KIND = "database"


@dataclass(slots=True)
class Findings:
    """Gather differences and what could not be checked; nothing of the address shows in either."""

    masking: Masking
    items: list[DriftItem] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    checked: int = 0

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
        safe = {
            name: self.masking.text(each) if isinstance(each, str) else each
            for name, each in facts.items()
        }
        self.items.append(
            DriftItem(
                kind=KIND,
                code=f"{KIND}-{code}",
                severity=severity,
                place=self.masking.text(place),
                message=self.masking.text(message),
                hint=hint,
                facts=safe,
            )
        )

    def unsure(self, place: str, reason: str, *, hint: str = "") -> None:
        """Note what could not be checked, and why."""
        told = self.masking.text(reason)
        self.unchecked.append(Unchecked(kind=KIND, place=place, reason=told, hint=hint))
