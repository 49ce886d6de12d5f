"""Do the checks of a task one after another, and hold each proof to what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from oneiric.errors import JSONValue, OneiricError
from oneiric.expressions import ExpressionError, Template
from oneiric.runs.body import NOBODY, Provenance
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.addresses import shown_address
from oneiric.validation.hosts import Place
from oneiric.validation.parts import evidence_of
from oneiric.validation.secrets import Secrets, as_captured, as_words, names_in

if TYPE_CHECKING:
    from oneiric.ports.validator import Evidence, Validator

_NO_SECRETS = Secrets()

CAPTURED = "captured"
"""What texts of a check refer to that take something from the answers before it."""

KINDS: Mapping[str, str] = {"live": "live", "ui": "ui", "spec": "ui"}
"""The kinds of checks to those of their proofs."""

Held: TypeAlias = "tuple[Validator | None, Provenance]"
"""A validator that is held, and who it is; None where nobody does checks of that kind."""
Lend: TypeAlias = "Callable[[str], AbstractAsyncContextManager[Held]]"
"""Lends a validator for checks of a kind."""


def captured_in(check: Mapping[str, JSONValue]) -> frozenset[str]:
    """Return the names that the texts of a check refer to.

    >>> sorted(captured_in({"url": "/u/${ captured.id }", "headers": {"A": "${ captured.t }"}}))
    ['id', 't']
    """
    try:
        found = Template.parse(as_words(check)).references
    except ExpressionError:
        return frozenset()  # whoever does the check says what is wrong with it
    return frozenset(path[1] for path in found if path[0] == CAPTURED and len(path) > 1)


async def proofs_of(
    checks: Sequence[Mapping[str, Any]],
    *,
    lend: Lend,
    user: str,
    now: Callable[[], str],
    is_one_enough: bool = False,
    secrets: Secrets = _NO_SECRETS,
) -> list[Proof]:
    """Do *checks* in order and return their proofs; what one captures the next may refer to.

    A check whose names nobody has captured is not done: that is inconclusive. So is one that
    cannot be done, for whatever reason. A validator is held for one check at a time. Where one is
    enough, those after the first that passes are not done. What they refer to among *secrets* is
    handed to the validator as if it had been captured, and shows in no proof.
    """
    captured: dict[str, JSONValue] = {}
    proofs: list[Proof] = []
    for check in checks:
        by = NOBODY
        found: Evidence | str = _missing(check, captured, secrets)
        if not found:
            async with lend(check["kind"]) as (validator, by):
                known = {**captured, **secrets.captured}
                found = await _evidence(validator, as_captured(check), known)
        if isinstance(found, str):
            why = str(secrets.masked(found))
            proofs.append(_unsure(check, why, user=user, at=now(), by=by))
            continue
        captured.update(found.captured)
        proofs.append(_held(check, _masked(found.proof, secrets), user=user, by=by))
        if is_one_enough and proofs[-1].outcome is ProofOutcome.PASSED:
            break
    return proofs


def _missing(check: Mapping[str, Any], captured: Mapping[str, JSONValue], secrets: Secrets) -> str:
    """Return what a check lacks that it refers to, or an empty text."""
    if lacking := names_in(check) & set(secrets.missing):
        return f"the store of secrets has no {', '.join(sorted(lacking))}"
    missing = sorted(captured_in(check) - captured.keys())
    return f"what it needs was not captured: {', '.join(missing)}" if missing else ""


async def _evidence(
    validator: Validator | None, check: Mapping[str, Any], captured: Mapping[str, JSONValue]
) -> Evidence | str:
    """Return what a validator found, or why it found nothing."""
    if validator is None:
        return f"nobody does checks of the kind {check['kind']}"
    try:
        return await evidence_of(validator, check, captured)
    except OneiricError as error:
        return error.message


def _masked(proof: Proof, secrets: Secrets) -> Proof:
    """Return a proof without secrets, whoever made it."""
    if not secrets.values:
        return proof
    said = ("claim", "subject", "excerpts", "facts")
    return replace(proof, **{name: secrets.masked(getattr(proof, name)) for name in said})


def _held(check: Mapping[str, Any], proof: Proof, *, user: str, by: Provenance) -> Proof:
    """Return a proof with what is not the validator's to say: for which check, by whom."""
    facts = {"user": user, **proof.facts, "check": check["id"]}
    return replace(proof, facts=facts, kind=KINDS[check["kind"]], by=by, previous="")


def _unsure(
    check: Mapping[str, Any], why: str, *, user: str, at: str, by: Provenance = NOBODY
) -> Proof:
    subject = str(check.get("url") or check.get("path") or check["id"])
    facts: dict[str, JSONValue] = {
        "check": check["id"],
        "user": user,
        "attempts": 0,
        "error": why,
    }
    return Proof(
        claim=f"{check.get('name') or check['id']} holds",
        subject=shown_address(subject),
        kind=KINDS[check["kind"]],
        outcome=ProofOutcome.INCONCLUSIVE,
        at=at,
        by=by,
        facts=facts,
    )


def at_home(checks: Sequence[Mapping[str, Any]], proof: Proof) -> Proof:
    """Return a proof as it is if it is of a host that *checks* name, else as inconclusive.

    That is all that is known of hosts where nobody says which may be asked. What names no address,
    such as a file of tests, is at home.
    """
    named = {Place.of(check["url"]) for check in checks if check.get("url")} - {None}
    is_passed = proof.outcome is ProofOutcome.PASSED
    if not is_passed or proof.facts["check"] in {c["id"] for c in checks if not c.get("url")}:
        return proof
    if Place.of(proof.subject) in named:
        return proof
    why = "it led to a host that no check names; oneiric validation run --resume knows which may be"
    facts: dict[str, JSONValue] = {**proof.facts, "error": why}
    return replace(proof, outcome=ProofOutcome.INCONCLUSIVE, facts=facts)
