"""Put what a step found into the ledger, and tell the journal where it stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from oneiric.errors import NotFoundError, Problem
from oneiric.ports.gatekeeper import Gate
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.ledger import Head

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.errors import JSONValue
    from oneiric.runs.body import Provenance
    from oneiric.validation.ledger import Ledger
    from oneiric.validation.projection import Projection

VERDICT = "verdict"
"""The kind of the entry that says that production proved a task; it is none of its proofs."""

_SAID = ("declared", "seen")
"""What the last gate tells journal and ledger alike: digests of the task and of the proofs."""


async def recorded(
    ledger: Link[Ledger], task: str, run_id: str, proofs: Sequence[Proof]
) -> dict[str, JSONValue]:
    """Add *proofs* to the ledger, and return what the step's result says of them.

    Raises:
        LedgerError: the ledger was touched; nothing was added.
        UnavailableError: it cannot be written; nothing was added.
    """
    added, head = await _added(ledger, task, run_id, proofs)
    return {"proofs": [_told(proof) for proof in added], "head": head}


async def noted(ledger: Link[Ledger], task: str, run_id: str, word: Proof) -> dict[str, JSONValue]:
    """Add the *word* of a gate to the ledger, and return what the gate's result says of it.

    Raises:
        LedgerError: as for `recorded`.
        UnavailableError: as for `recorded`.
    """
    (added,), head = await _added(ledger, task, run_id, [word])
    return {"entry": added.digest, "head": head}


async def _added(
    ledger: Link[Ledger], task: str, run_id: str, proofs: Sequence[Proof]
) -> tuple[list[Proof], JSONValue]:
    async with ledger.use() as book:
        added = await asyncio.to_thread(book.append, task, run_id, proofs)
        head = await asyncio.to_thread(book.head, task)
    return added, head.as_json()


def _told(proof: Proof) -> JSONValue:
    return {
        "digest": proof.digest,
        "check": str(proof.facts.get("check", "")),
        "kind": proof.kind,
        "outcome": str(proof.outcome),
        "subject": proof.subject,
        "error": str(proof.facts.get("error") or ""),
    }


async def seen_proofs(
    ledger: Link[Ledger],
    task: str,
    run_id: str,
    made: Iterable[Mapping[str, Any]],
    *,
    opened: Mapping[str, Any] | None = None,
) -> tuple[list[Proof], list[Problem]]:
    """Return the proofs of a run that its journal and the ledger both know, and what is wrong.

    *made* are results that `recorded` gave, and *opened* is that of the gate by which production
    proved the task, once there is one. What stands in the ledger alone was written by somebody
    whose step never ended, and counts for nothing; what stands in the journal alone is missing
    from the ledger.
    """
    results = list(made)
    heads = [Head(**head) for result in results if (head := result.get("head"))]
    async with ledger.use() as book:
        try:
            entries, problems = await asyncio.to_thread(book.verified, task, heads=heads)
        except NotFoundError:
            entries, problems = [], []
            if heads:
                problems = [Problem("ledger", "it is missing", "journal")]
    found = [] if problems else [each.proof for each in entries if each.run == run_id]
    digests = list(_digests(results))
    if not problems:
        problems = unborne(run_id, digests, found, opened=opened)
    known = {proof.digest: proof for proof in found if proof.kind != VERDICT}
    return [known[digest] for digest in digests if digest in known], problems


def unborne(
    run_id: str,
    digests: Sequence[str],
    entries: Iterable[Proof],
    *,
    opened: Mapping[str, Any] | None = None,
) -> list[Problem]:
    """Return what a journal says of a run that the *entries* of the ledger do not bear out.

    That is proofs, by their *digests*, and where production proved the task that a gate which was
    shown these very proofs, for what the task declares, *opened*.
    """
    known = {proof.digest: proof for proof in entries}
    proofs = {digest for digest, proof in known.items() if proof.kind != VERDICT}
    what = "the journal knows this proof, the ledger does not"
    problems = [Problem(digest, what, "journal") for digest in digests if digest not in proofs]
    if opened is None:
        return problems
    entry, seen = known.get(str(opened.get("entry"))), opened.get("seen")
    said = entry.facts if entry and entry.kind == VERDICT else {}
    asked = {**_word(run_id), **{name: opened.get(name) for name in _SAID}}
    is_said = all(said.get(name) == value for name, value in asked.items())
    if not is_said or sorted(digests) != sorted(cast("list[str]", seen)):
        what = "the journal says that production proved it, the ledger does not"
        problems.append(Problem(run_id, what, "journal"))
    return problems


def unsealed(book: Ledger, found: Projection) -> list[Problem]:
    """Return what is wrong with what a journal says that a run was begun with."""
    task = str((found.task or {}).get("id", ""))
    if book.is_sealed(task, found.run_id, found.begun, found.seal):
        return []
    what = "it was begun with something else than the journal says"
    return [Problem(found.run_id, what, "journal")]


def word_of(task: str, run_id: str, told: Mapping[str, Any], *, at: str, by: Provenance) -> Proof:
    """Return what a ledger keeps of the last gate, which opened as the journal is *told*."""
    return Proof(
        claim=f"production proved {task}",
        subject=task,
        kind=VERDICT,
        outcome=ProofOutcome.PASSED,
        at=at,
        by=by,
        facts={
            **_word(run_id),
            "code": told["verdict"]["code"],
            **{name: told[name] for name in _SAID},
        },
    )


def _word(run_id: str) -> dict[str, JSONValue]:
    return {"gate": str(Gate.PRODUCTION), "run": run_id}


def _digests(results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for result in results:
        for proof in result.get("proofs") or ():
            yield str(proof["digest"])
