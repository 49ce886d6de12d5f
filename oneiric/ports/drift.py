"""Tell how far what runs has drifted from what was meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from oneiric.core.ref import ComponentRef
from oneiric.documents.tables import json_table, read_table
from oneiric.errors import JSONValue
from oneiric.ports.adapter import Adapter
from oneiric.ports.errors import InvalidRequestError
from oneiric.runs.proof import ProofOutcome


class Severity(StrEnum):
    """How bad a difference is, the mildest first."""

    INFO = "info"
    WARNING = "warning"
    BREAKING = "breaking"

    def reaches(self, other: Severity) -> bool:
        """Tell whether this is as bad as *other*, or worse.

        >>> Severity.BREAKING.reaches(Severity.WARNING), Severity.INFO.reaches(Severity.WARNING)
        (True, False)
        """
        order = tuple(Severity)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftItem:
    """One difference.

    Args:
        kind: what was compared: `route`, `openapi`, `database`, `health`, `version`, `config`;
            `ignore` for what was accepted until a day that has passed.
        code: the rule that found it, such as `response-property-removed`.
        severity: how bad it is.
        place: where it is, such as `GET /users 200 $.email`.
        message: what is different, in words.
        hint: what to do about it.
        facts: what was expected and what was found, without secrets.
    """

    kind: str
    code: str
    severity: Severity
    place: str
    message: str
    hint: str = ""
    facts: Mapping[str, JSONValue] = field(default_factory=dict)

    def as_json(self) -> dict[str, JSONValue]:
        """Return every field by its name."""
        return json_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchecked:
    """Something that was asked for and could not be checked, and why; that is no pass."""

    kind: str
    place: str
    reason: str
    hint: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return every field by its name."""
        return json_table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """Everything that a detection found.

    Args:
        at: when it began, as RFC 3339 in UTC.
        items: the differences, worst first, without those that are ignored.
        unchecked: what could not be checked.
        checked: how many things of each kind were compared.
        absent: kinds that nobody asked for by name and that do not apply here, with the reason.
        ignored: how many differences were left out because somebody accepted them.
        fail_on: from which severity on a difference counts as drift.

    >>> report = DriftReport(at="2026-11-20T09:30:00.000000Z", checked={"route": 2})
    >>> report.has_drift, str(report.outcome)
    (False, 'pass')
    >>> str(DriftReport(at="2026-11-20T09:30:00.000000Z").outcome)
    'inconclusive'
    """

    at: str
    items: tuple[DriftItem, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    checked: Mapping[str, int] = field(default_factory=dict)
    absent: Mapping[str, JSONValue] = field(default_factory=dict)
    ignored: int = 0
    fail_on: Severity = Severity.WARNING

    @property
    def has_drift(self) -> bool:
        """Whether a difference is bad enough to count."""
        return any(item.severity.reaches(self.fail_on) for item in self.items)

    @property
    def outcome(self) -> ProofOutcome:
        """`fail` for drift, `inconclusive` when something, or everything, was not checked."""
        if self.has_drift:
            return ProofOutcome.FAILED
        if self.unchecked or not any(self.checked.values()):
            return ProofOutcome.INCONCLUSIVE
        return ProofOutcome.PASSED

    def as_json(self) -> dict[str, JSONValue]:
        """Return every field by its name, and `has_drift` and `outcome`."""
        return {**json_table(self), "has_drift": self.has_drift, "outcome": str(self.outcome)}

    @classmethod
    def from_json(cls, value: JSONValue) -> DriftReport:
        """Read what `as_json` gives.

        Raises:
            InvalidRequestError: it is none.
        """
        table = value if isinstance(value, Mapping) else {}
        told = {name: item for name, item in table.items() if name not in _DERIVED}
        report, problems = read_table(cls, told, kinds=(DriftItem, Unchecked, Severity))
        if problems:
            why = f"{problems[0].key or 'it'}: {problems[0].what}"
            raise InvalidRequestError("drift", f"this is no report: {why}")
        return report


_DERIVED = ("has_drift", "outcome")


class DriftDetector(Adapter, Protocol):
    """Compare what runs with what was meant; a difference is an item, never an error.

    One that has `problems(asked)` too, which returns a list of `Problem`, is asked for what is
    wrong with a question before a task begins.
    """

    async def detect(self, asked: Mapping[str, JSONValue]) -> DriftReport:
        """Compare, and return what was found.

        *asked* says what to compare; each provider documents its fields. Ours are those of
        `oneiric.validation.drift.question.DriftQuestion`.

        Raises:
            InvalidRequestError: *asked* itself is wrong; nothing was compared.
        """
        ...


DRIFT: ComponentRef[DriftDetector] = ComponentRef("adapter:drift")
