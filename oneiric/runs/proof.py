"""Evidence for a claim, and the chain that shows whether evidence was touched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, cast

from oneiric.clock import is_rfc3339
from oneiric.documents import digest
from oneiric.documents.copies import plain
from oneiric.documents.tables import json_table
from oneiric.errors import JSONValue, Problem, ProofError
from oneiric.runs.body import NOBODY, Provenance
from oneiric.text.redaction import redacted

EXCERPT_LIMIT = 4_096
"""The most characters that an excerpt keeps."""
_CUT = " …"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_END = "the end is not the one recorded: entries are missing there, or the last was changed"


class ProofOutcome(StrEnum):
    """What a check found; what could not be checked is inconclusive, and no pass."""

    PASSED = "pass"
    FAILED = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Evidence for a claim: what was checked, how, when, by whom, and what came of it.

    A proof keeps no secrets: credentials in its texts, and what stands under names of secrets,
    are masked when it is made. It copies what it is given.

    >>> what = {"claim": "it is up", "subject": "https://api.example.com/health", "kind": "live"}
    >>> proof = Proof(**what, outcome=ProofOutcome.PASSED, at="2026-11-20T09:30:00.000000Z")
    >>> Proof.from_json(proof.as_json()) == proof
    True
    >>> verify_chain([proof, proof.after(proof)])
    []

    Args:
        claim: what the proof is for, in words.
        subject: what was checked, such as a URL or the id of a test.
        kind: how it was checked; each who makes proofs has their own words.
        outcome: what the check found.
        at: when, as RFC 3339 in UTC.
        by: who checked, and the digests of what chose them.
        digests: of what was seen in full, such as `request` and `response`.
        excerpts: of the same, for people; each is cut at `EXCERPT_LIMIT`.
        facts: what else there is to say; JSON values.
        previous: the digest of the proof before it in its chain; empty for the first.

    Raises:
        ProofError: everything that has the wrong form.
        DocumentError: one of the facts or texts is no JSON; names its path.
    """

    claim: str
    subject: str
    kind: str
    outcome: ProofOutcome
    at: str
    by: Provenance = NOBODY
    digests: Mapping[str, str] = field(default_factory=dict)
    excerpts: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, JSONValue] = field(default_factory=dict)
    previous: str = ""

    def __post_init__(self) -> None:
        wrong = [
            (name, told) for name, (told, fits) in _FORMS.items() if not fits(getattr(self, name))
        ]
        if wrong:
            raise ProofError([Problem(name, told, "proof") for name, told in wrong])
        said = {name: getattr(self, name) for name in ("claim", "subject", "excerpts", "facts")}
        safe = cast("dict[str, Any]", plain(redacted(said)))
        safe["excerpts"] = {name: _cut(text) for name, text in safe["excerpts"].items()}
        for name, value in {**safe, "digests": dict(self.digests)}.items():
            kept = MappingProxyType(value) if isinstance(value, dict) else value
            object.__setattr__(self, name, kept)

    @property
    def digest(self) -> str:
        """The digest of its canonical JSON: what the next proof of a chain names."""
        return digest(self.as_json())

    def after(self, previous: Proof | None) -> Proof:
        """Return the proof as the one that follows *previous* in a chain; None begins one."""
        return replace(self, previous=previous.digest if previous else "")

    def as_json(self) -> dict[str, JSONValue]:
        """Return every field by its name."""
        return json_table(self)

    @classmethod
    def from_json(cls, value: JSONValue) -> Proof:
        """Read what `as_json` gives, strictly: nothing may be unknown, missing or otherwise put.

        Raises:
            ProofError: everything in *value* that has no place or the wrong form.
        """
        table: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
        given: dict[str, Any] = {each.name: table.get(each.name) for each in fields(cls)}
        if unknown := table.keys() - given.keys():
            what = "it has no such field"
            raise ProofError([Problem(name, what, "proof") for name in sorted(unknown)])
        by = given["by"]
        given["by"] = Provenance.of(by if isinstance(by, Mapping) else {})
        given["outcome"] = {str(one): one for one in ProofOutcome}.get(str(given["outcome"]))
        proof = cls(**given)
        if proof.as_json() != table:
            raise ProofError([Problem("proof", "it is not as a proof would write it", "proof")])
        return proof


def verify_chain(proofs: Iterable[Proof], *, head: str | None = None) -> list[Problem]:
    """Return what is wrong with a chain: entries that were changed, dropped or put elsewhere.

    The key of a problem is the number of the entry, from 1. What happened to the last entries
    shows only by *head*, the digest of the last one as it was recorded elsewhere; it is empty
    for a chain without entries.
    """
    entries = list(proofs)
    digests = ["", *(entry.digest for entry in entries)]
    names = {known: f"entry {number}" for number, known in enumerate(digests)} | {"": "nothing"}
    problems = []
    for number, (entry, before) in enumerate(zip(entries, digests, strict=False), 1):
        if entry.previous != before:
            what = names.get(entry.previous, "what is missing or was changed")
            problems.append(Problem(str(number), f"it follows {what}", "chain"))
    if head not in (None, digests[-1]):
        problems.append(Problem(str(len(entries)), _END, "chain"))
    return problems


def _cut(text: str) -> str:
    return text if len(text) <= EXCERPT_LIMIT else text[: EXCERPT_LIMIT - len(_CUT)] + _CUT


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def _are_texts(table: Any) -> bool:
    if not isinstance(table, Mapping):
        return False
    return all(isinstance(text, str) for text in (*table, *table.values()))


_TEXT = ("it must be a text, and not empty", lambda text: isinstance(text, str) and text != "")
_FORMS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "claim": _TEXT,
    "subject": _TEXT,
    "kind": _TEXT,
    "outcome": (
        f"it must be one of {', '.join(ProofOutcome)}",
        lambda outcome: isinstance(outcome, ProofOutcome),
    ),
    "at": ("it must be RFC 3339 in UTC with microseconds and Z", is_rfc3339),
    "by": ("it must be a Provenance", lambda who: isinstance(who, Provenance)),
    "digests": (
        "it must be a table of digests",
        lambda table: _are_texts(table) and all(map(_is_digest, table.values())),
    ),
    "excerpts": ("it must be a table of texts", _are_texts),
    "facts": ("it must be a table", lambda table: isinstance(table, Mapping)),
    "previous": ("it must be a digest", lambda text: text == "" or _is_digest(text)),
}
