"""Put what a step found into the ledger, and tell the journal where it stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from oneiric.errors import NotFoundError, Problem
from oneiric.runs.proof import ProofOutcome
from oneiric.validation.ledger import Head

if TYPE_CHECKING:
    from oneiric.core.handle import Link
    from oneiric.errors import JSONValue
    from oneiric.runs.proof import Proof
    from oneiric.validation.ledger import Ledger


async def recorded(
    ledger: Link[Ledger], task: str, run_id: str, proofs: Sequence[Proof]
) -> dict[str, JSONValue]:
    """Add *proofs* to the ledger, and return what the step's result says of them.

    Raises:
        LedgerError: the ledger was touched; nothing was added.
        UnavailableError: it cannot be written; nothing was added.
    """
    async with ledger.use() as book:
        added = await asyncio.to_thread(book.append, task, run_id, proofs)
        head = await asyncio.to_thread(book.head, task)
    return {"proofs": [_told(proof) for proof in added], "head": head.as_json()}


def _told(proof: Proof) -> JSONValue:
    return {
        "digest": proof.digest,
        "check": str(proof.facts.get("check", "")),
        "kind": proof.kind,
        "outcome": str(proof.outcome),
    }


async def seen_proofs(
    ledger: Link[Ledger], task: str, run_id: str, made: Iterable[Mapping[str, Any]]
) -> tuple[list[Proof], list[Problem]]:
    """Return the proofs of a run that its journal and the ledger both know, and what is wrong.

    *made* are results that `recorded` gave. What stands in the ledger alone was written by
    somebody whose step never ended, and counts for nothing; what stands in the journal alone is
    missing from the ledger.
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
    by_digest = {proof.digest: proof for proof in found}
    digests = list(_digests(results))
    if not problems:
        problems = unknown_proofs(digests, by_digest)
    return [by_digest[digest] for digest in digests if digest in by_digest], problems


def unknown_proofs(digests: Iterable[str], known: Container[str]) -> list[Problem]:
    """Return what is wrong where a journal knows proofs by digests that a ledger does not."""
    what = "the journal knows this proof, the ledger does not"
    return [Problem(digest, what, "journal") for digest in digests if digest not in known]


def is_from_production(proof: Proof) -> bool:
    """Tell whether a proof is one that production passed; a local test is none."""
    return proof.kind != "local" and proof.outcome is ProofOutcome.PASSED


def _digests(results: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for result in results:
        for proof in result.get("proofs") or ():
            yield str(proof["digest"])
