"""What commands about validation answer, as data; `as_json` is what `--json` prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from oneiric.ports.gatekeeper import GateCode
from oneiric.runs.proof import ProofOutcome
from oneiric.text.layout import as_table, paragraph
from oneiric.text.printable import printable
from oneiric.validation.counting import Counts
from oneiric.validation.models import TaskOutcome
from oneiric.validation.states import TaskStatus

if TYPE_CHECKING:
    from pathlib import Path

    from oneiric.errors import JSONValue, Problem
    from oneiric.ports.drift import DriftReport
    from oneiric.reports.report import RunReport
    from oneiric.runs import proof as kernel
    from oneiric.validation.drift.baseline import Baseline
    from oneiric.validation.ledger import Head
    from oneiric.validation.models import Proof, Task

FAILED, REFUSED, INCONCLUSIVE = 1, 3, 4
_CODES: Mapping[ProofOutcome, int] = {
    ProofOutcome.PASSED: 0,
    ProofOutcome.FAILED: FAILED,
    ProofOutcome.INCONCLUSIVE: INCONCLUSIVE,
}
_MARKS: Mapping[str, str] = {"pass": "pass", "fail": "FAIL", "inconclusive": "unsure"}
_NOTHING = (
    GateCode.WRONG_STATUS,
    GateCode.LEDGER_BROKEN,
    GateCode.NO_LOCAL_TESTS,
    GateCode.REQUIRED_CHECK_MISSING,
    GateCode.NO_LIVE_PROOF,
)
_LOST = (TaskStatus.LOCAL_FAIL, TaskStatus.PROD_FAIL, TaskStatus.ENV_DRIFT)


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """A task that was tried: how it stands, what was proved, and why it is not done."""

    task: Task
    report: RunReport
    is_short: bool = False

    @property
    def short(self) -> TaskAnswer:
        """The same, told in one line."""
        return replace(self, is_short=True)

    @property
    def exit_code(self) -> int:
        """0 when it is done, 1 when something failed or drifted, 4 when something is unsure.

        It is 3 when a gate had nothing to judge, and 5 when the run could not go on.
        """
        outcome = self.task.outcome
        code, is_lost = self.task.metadata.get("code"), self.task.status in _LOST
        had_nothing = outcome is TaskOutcome.FAILED and (code in _NOTHING or not is_lost)
        return REFUSED if had_nothing or outcome is None else outcome.exit_code

    @property
    def counts(self) -> Counts:
        """What the proofs count for."""
        return Counts.of(self.report.run.input, self.task.proofs)

    @property
    def notices(self) -> Sequence[str]:
        """What could not be asked or remembered, and stopped nothing."""
        return [f"warning: {warning}" for warning in self._warnings]

    @property
    def _warnings(self) -> Sequence[str]:
        warnings = self.task.metadata.get("warnings") or ()
        assert isinstance(warnings, list | tuple)
        return [str(warning) for warning in warnings]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.validation-task/1`."""
        task, counts = self.task, self.counts
        return {
            "schema": "oneiric.validation-task/1",
            "id": task.id,
            "title": task.title,
            "status": str(task.status),
            "outcome": str(task.outcome),
            "code": str(task.metadata.get("code", "")),
            "error": task.error,
            "run_id": task.run_id,
            "created_at": task.created_at,
            "completed_at": task.completed_at,
            "passed": len(counts.proofs & counts.passed),
            "required": counts.required,
            "standard_passed": len(counts.standard & counts.passed),
            "standard_asked": len(counts.standard),
            "proofs": [
                {
                    **proof.as_json(),
                    "is_required": counts.is_required(proof.check),
                    "counts": proof.check in counts.proofs,
                }
                for proof in task.proofs
            ],
            "warnings": list(self._warnings),
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return how it ended, and what was proved."""
        task, counts = self.task, self.counts
        lines = [f"{task.title}: {str(task.status).upper()}, {counts}"]
        lines += [f"  {task.error}"] if task.error else []
        if not self.is_short:
            lines += ["", _proofs(task.proofs, counts, columns), "", f"run {task.run_id}"]
        return "\n".join(printable(line) for line in lines)


def _proofs(proofs: Sequence[Proof], counts: Counts, columns: int) -> str:
    rows = [
        (
            _MARKS.get(proof.result, proof.result),
            _kind(proof, counts),
            proof.endpoint,
            proof.response_code if proof.response_code is not None else "",
            _milliseconds(proof),
            counts.why(proof),
        )
        for proof in proofs
    ]
    headers = ("result", "kind", "what", "status", "ms", "why")
    return as_table(headers, rows, width=columns) if rows else "nothing was proved"


def _kind(proof: Proof, counts: Counts) -> str:
    if proof.check in counts.standard:
        return "standard"
    return proof.evidence.kind if proof.evidence else ""


def _milliseconds(proof: Proof) -> str:
    took = proof.evidence.facts.get("duration_ms") if proof.evidence else None
    return f"{took:.0f}" if isinstance(took, int | float) else ""


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """One check that was done, and the proof of what it found."""

    proof: Proof

    @property
    def exit_code(self) -> int:
        """0 for a pass, 1 for a failure, and 4 when it could not be checked."""
        return _CODES[ProofOutcome(self.proof.result)]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.proof/1`: the fields that users know, and the facts."""
        facts = dict(self.proof.evidence.facts) if self.proof.evidence else {}
        return {"schema": "oneiric.proof/1", **self.proof.as_json(), "facts": facts}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return what was found, and each thing that had to be so."""
        proof = self.proof
        facts: Mapping[str, Any] = proof.evidence.facts if proof.evidence else {}
        lines = [f"{_MARKS[proof.result]}  {facts.get('method', '')} {proof.endpoint}".rstrip()]
        if proof.response_code is not None:
            lines.append(f"  status {proof.response_code} in {_milliseconds(proof)} ms")
        for each in facts.get("asserts") or ():
            ok = "ok    " if each.get("ok") else "not so"
            lines.append(f"  {ok}  {each.get('what')}: {_short(each.get('actual'))}")
        if proof.error_message:
            lines.append(f"  {proof.error_message}")
        if not proof.passed and facts.get("curl"):
            lines.append(f"  again: {facts['curl']}")
        return "\n".join(printable(line) for line in lines)


def _short(value: object, most: int = 60) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}…"


@dataclass(frozen=True, slots=True)
class DriftAnswer:
    """What a look for drift found."""

    report: DriftReport

    @property
    def exit_code(self) -> int:
        """0 without drift, 1 with, 4 when something could not be checked, or nothing was."""
        return _CODES[self.report.outcome]

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.drift/1`: the report."""
        return {"schema": "oneiric.drift/1", **self.report.as_json()}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the differences, worst first, and what was not compared."""
        report = self.report
        counted = ", ".join(f"{number} {kind}" for kind, number in report.checked.items() if number)
        title = {
            ProofOutcome.PASSED: "No drift detected",
            ProofOutcome.FAILED: "Drift detected",
            ProofOutcome.INCONCLUSIVE: "Not sure: not everything could be checked",
        }[report.outcome]
        blocks = [f"{title} (compared: {counted or 'nothing'})"]
        rows = [
            (item.severity, item.kind, item.place, item.message, item.hint) for item in report.items
        ]
        if rows:
            headers = ("severity", "kind", "where", "what", "hint")
            blocks.append(as_table(headers, rows, width=columns))
        for each in report.unchecked:
            hint = f"; {each.hint}" if each.hint else ""
            blocks.append(
                _beside("not checked", f"{each.kind} {each.place}: {each.reason}{hint}", columns)
            )
        blocks += [
            _beside("not here", f"{kind}: {why}", columns) for kind, why in report.absent.items()
        ]
        if report.ignored:
            blocks.append(f"{report.ignored} accepted differences are left out")
        return "\n".join(printable(block) for block in blocks)


def _beside(head: str, text: str, columns: int) -> str:
    """Return a word and what is said about it, in lines that are no wider than *columns*."""
    return "\n".join(paragraph(text, columns, first=f"{head:<13}", then=" " * 13))


@dataclass(frozen=True, slots=True)
class KnowledgeAnswer:
    """What whoever knows answered to one of their verbs."""

    verb: str
    result: JSONValue
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.knowledge/1`: the verb, and the document that it answered."""
        return {"schema": "oneiric.knowledge/1", "verb": self.verb, "result": self.result}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return memories as a table, what was stored in a line, and the rest as JSON."""
        result: Any = self.result
        if self.verb == "recall":
            memories = result.get("memories", []) if isinstance(result, Mapping) else result
            rows = [
                (each.get("type", ""), f"{each.get('relevance', 0):.2f}", each.get("content", ""))
                for each in memories
            ]
            headers = ("type", "score", "content")
            table = as_table(headers, rows, width=columns) if rows else "no memories found"
            return printable(table)
        if self.verb == "remember" and isinstance(result, Mapping):
            return printable(f"stored memory {result.get('memory_id')}")
        return printable(json.dumps(result, indent=2, ensure_ascii=False))


@dataclass(frozen=True, slots=True)
class ProofsAnswer:
    """The proofs in a ledger, in order."""

    task: str
    proofs: Sequence[tuple[int, str, kernel.Proof]]
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.proofs/1`."""
        told: list[JSONValue] = [
            {"seq": seq, "run": run, "digest": proof.digest, "proof": proof.as_json()}
            for seq, run, proof in self.proofs
        ]
        return {"schema": "oneiric.proofs/1", "task": self.task, "proofs": told}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a table, an entry a row."""
        rows = [
            (seq, proof.at[:19], _MARKS[proof.outcome], proof.kind, proof.subject, run)
            for seq, run, proof in self.proofs
        ]
        headers = ("entry", "at", "result", "kind", "what", "run")
        return printable(as_table(headers, rows, width=columns)) if rows else "no proofs"


@dataclass(frozen=True, slots=True)
class LedgersAnswer:
    """The ledgers that there are, and where each ends."""

    ledgers: Mapping[str, Head]
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.ledgers/1`."""
        told: list[JSONValue] = [
            {"task": task, **head.as_json()} for task, head in self.ledgers.items()
        ]
        return {"schema": "oneiric.ledgers/1", "ledgers": told}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return a table, a task a row."""
        rows = [(task, head.entries, head.digest) for task, head in self.ledgers.items()]
        headers = ("task", "entries", "digest of the last")
        return printable(as_table(headers, rows, width=columns)) if rows else "no ledgers"


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a ledger is as it was written, and everything that is not."""

    task: str
    head: Head
    heads: int
    problems: Sequence[Problem]

    @property
    def exit_code(self) -> int:
        """0 for one that nobody touched, else 1."""
        return FAILED if self.problems else 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.ledger-verification/1`."""
        return {
            "schema": "oneiric.ledger-verification/1",
            "task": self.task,
            "intact": not self.problems,
            **self.head.as_json(),
            "heads_compared": self.heads,
            "problems": [problem.as_json() for problem in self.problems],
        }

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the verdict, and a line for each thing that is wrong."""
        head, known = self.head, f"{self.heads} recorded elsewhere"
        if not self.problems:
            return printable(f"{self.task}: {head.entries} entries, intact; compared with {known}")
        wrong = [f"  entry {each.key}: {each.what}" for each in self.problems]
        return printable("\n".join([f"{self.task}: TOUCHED", *wrong]))


@dataclass(frozen=True, slots=True)
class Told:
    """A document that is shown as it is: what a command wrote, or how something stands."""

    schema: str
    document: Mapping[str, JSONValue]
    lines: Sequence[str]
    notices: Sequence[str] = ()
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return the document under its schema."""
        return {"schema": self.schema, **self.document}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return the lines."""
        return printable("\n".join(self.lines))


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written."""

    path: Path
    notices: Sequence[str] = ()
    exit_code: int = 0

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.written/1`."""
        return {"schema": "oneiric.written/1", "path": str(self.path)}

    def render(self, *, columns: int, colour: bool) -> str:
        """Return where it is."""
        return printable(f"wrote {self.path}")


def told_baseline(found: Baseline) -> Told:
    """Return what tells of a baseline: how much it holds, and with `--json` all of it."""
    document = cast("dict[str, JSONValue]", found.as_json())
    lines = [
        f"{found.name}: {found.prod_url} at {found.at[:19]}",
        f"  {len(found.routes)} routes, {len(found.accepted)} accepted differences",
    ]
    return Told(str(document.pop("schema")), document, lines)


def told_status(document: Mapping[str, Any], warnings: Sequence[str] = ()) -> Told:
    """Return what tells how validation stands here: `oneiric.validation-status/1`."""
    serving = [f"  {ref:<20} {offer or 'nobody'}" for ref, offer in document["serving"].items()]
    tasks = [f"  {each['id']}: {each['status']} ({each['run']})" for each in document["tasks"]]
    lines = [
        f"production  {document['prod_url'] or 'not named'}",
        f"repository  {document['repo_path']}",
        "parts",
        *serving,
        *(["tasks", *tasks] if tasks else ["no task was tried yet"]),
    ]
    notices = [f"warning: {warning}" for warning in warnings]
    return Told("oneiric.validation-status/1", document, lines, notices)
