"""What the proofs of a run count for, as its last gate is told, and how reports say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from oneiric.validation.literals import literal_secrets
from oneiric.validation.projection import LAST_GATE
from oneiric.validation.proof import CUTOVER

if TYPE_CHECKING:
    from oneiric.errors import JSONValue
    from oneiric.reports.report import RunReport, StepReport
    from oneiric.validation.models import Task
    from oneiric.validation.proof import Proof

_STEPS: Mapping[str, str] = {"local_tests": "test", "live_checks": "check", "ui_tests": "ui"}


@dataclass(frozen=True, slots=True)
class Counts:
    """What each check of a run counts for, by its id.

    Args:
        checks: the checks that the gate judges, as it is told.
        standard: those of the cutover, which count towards no number of proofs.
        required: how many proofs are required.
        passed: the checks whose last proof passed.
    """

    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    standard: frozenset[str] = frozenset()
    required: int = 0
    passed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, given: JSONValue, proofs: Iterable[Proof]) -> Counts:
        """Return what *proofs* count for in the run whose input is *given*."""
        steps = cast("Mapping[str, Any]", given or {}).get("steps") or {}
        gate = steps.get(LAST_GATE) or {}
        last = {proof.check: proof.passed for proof in proofs}
        return cls(
            checks={each["id"]: each for each in gate.get("checks") or ()},
            standard=frozenset(name for name in steps if name.startswith(CUTOVER)),
            required=gate.get("required_proofs", 0),
            passed=frozenset(check for check, passed in last.items() if passed),
        )

    @property
    def proofs(self) -> frozenset[str]:
        """The checks that count towards the proofs that are required."""
        return frozenset(check for check, told in self.checks.items() if told["counts"])

    def is_required(self, check: str) -> bool:
        """Tell whether the failure of a check alone shuts the gate."""
        return bool(self.checks.get(check, {}).get("is_required", True))

    def __str__(self) -> str:
        """Return how many passed: of those that count, and of those that every task gets."""
        counted = f"{len(self.proofs & self.passed)} of {len(self.proofs)} proofs"
        told = [f"{counted} ({self.required} required)"]
        if self.standard:
            passed = len(self.standard & self.passed)
            told.append(f"{passed} of {len(self.standard)} standard checks")
        return ", ".join(told)

    def why(self, proof: Proof) -> str:
        """Return why a proof is not a pass that counts, or why that stops nothing."""
        check, told = proof.check, []
        if not proof.passed:
            if check in self.passed:
                told.append("another was enough")
            elif not self.is_required(check):
                told.append("optional")
            told.append(proof.error_message or "")
        elif check in self.checks.keys() - self.proofs - self.standard:
            told.append("asks what another asks, and counts once")
        return "; ".join(filter(None, told))


def explained(report: RunReport, task: Task, counts: Counts) -> RunReport:
    """Return a report whose steps say what they found, and what is to be known of it."""
    known = {proof.evidence.digest: proof for proof in task.proofs if proof.evidence}
    names = {step.name for step in report.steps}
    said: dict[str, list[str]] = {}
    for place, warning in literal_secrets(task.criteria.model_dump(mode="json")).items():
        name = _step_of(place)
        said.setdefault(name if name in names else LAST_GATE, []).append(warning)

    def told(step: StepReport) -> StepReport:
        result = step.run.result if isinstance(step.run.result, Mapping) else {}
        made = [known.get(each["digest"]) for each in cast("Any", result.get("proofs") or ())]
        found = [
            ": ".join(filter(None, (f"{proof.result} {proof.endpoint}", counts.why(proof))))
            for proof in made
            if proof
        ]
        why = "; ".join([*found, *said.get(step.name, ())])
        return replace(step, remarks=replace(step.remarks, why=why)) if why else step

    return replace(report, steps=tuple(map(told, report.steps)))


def _step_of(place: str) -> str:
    """Return the step of what stands at a place of a task.

    >>> _step_of("criteria.live_checks.0.url"), _step_of("criteria.drift.ask.headers")
    ('check.1', 'drift')
    """
    _, listed, number, *_ = place.split(".")
    return f"{_STEPS[listed]}.{int(number) + 1}" if listed in _STEPS else listed
