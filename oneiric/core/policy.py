"""Whether something is allowed: who answers, and what an answer says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

from oneiric.documents.tables import json_table
from oneiric.errors import ApprovalRequiredError, JSONValue, PolicyRefusedError

Q = TypeVar("Q", contravariant=True)


class Effect(StrEnum):
    """What a verdict says, the more lenient first."""

    ALLOW = "allow"
    REQUIRE_APPROVAL = "require_approval"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Say whether something is allowed, with a code, a reason and the facts.

    The code is a member of the policy's own enumeration, so that the list of codes is closed.
    A verdict is true only when it allows: what has yet to be approved is not allowed.

    >>> class Gate(StrEnum):
    ...     ENOUGH_PROOFS = "enough_proofs"
    ...     NO_PROOFS = "no_proofs"
    >>> verdict = Verdict(Effect.DENY, Gate.NO_PROOFS, "0 of 3 proofs", {"required": 3})
    >>> bool(verdict), str(verdict)
    (False, 'deny:no_proofs')
    """

    effect: Effect
    code: StrEnum
    reason: str = ""
    facts: Mapping[str, JSONValue] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.effect is Effect.ALLOW

    def __str__(self) -> str:
        return f"{self.effect}:{self.code}"

    def enforce(self, asked: str) -> None:
        """Pass if *asked*, which the error names, is allowed.

        Raises:
            PolicyRefusedError: it is denied.
            ApprovalRequiredError: somebody has to approve it first.
        """
        if not self:
            kind = PolicyRefusedError if self.effect is Effect.DENY else ApprovalRequiredError
            raise kind(asked, self.reason or self.code, self.as_json())

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"effect", "code", "reason", "facts"}`."""
        return json_table(self)


class Policy(Protocol[Q]):
    """Answer whether something is allowed, from what is asked alone.

    A policy waits for nothing: whoever asks brings the facts, such as what a decision point on
    the network said.
    """

    def check(self, asked: Q, /) -> Verdict:
        """Return whether *asked* is allowed; a refusal is a verdict, not an error."""


def strictest(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the first of the strictest: one that denies, else one that requires approval.

    Raises:
        ValueError: there are none, and silence allows nothing.
    """
    return max(verdicts, key=lambda verdict: tuple(Effect).index(verdict.effect))
