"""Verdicts: what is allowed, what is not, and what has to be approved first."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pytest

from oneiric.core.policy import Effect, Policy, Verdict, strictest
from oneiric.errors import ApprovalRequiredError, PolicyRefusedError


class Spending(StrEnum):
    """All that the policy below can say."""

    SMALL = "small"
    LARGE = "large"
    TOO_LARGE = "too_large"


@dataclass(frozen=True)
class Purse(Policy[int]):
    """Allow what is small, have somebody approve what is large, and deny the rest."""

    limit: int

    def check(self, asked: int, /) -> Verdict:
        if asked <= self.limit:
            return Verdict(Effect.ALLOW, Spending.SMALL)
        if asked <= 2 * self.limit:
            return Verdict(Effect.REQUIRE_APPROVAL, Spending.LARGE, "ask the treasurer")
        facts = {"asked": asked, "limit": self.limit}
        return Verdict(Effect.DENY, Spending.TOO_LARGE, f"{asked} is too much", facts)


PURSE = Purse(10)


@pytest.mark.parametrize(("asked", "is_allowed"), [(10, True), (20, False), (21, False)])
def test_a_verdict_is_true_only_when_it_allows(asked: int, is_allowed: bool) -> None:
    """Whoever writes `if policy.check(…)` lets nothing pass that was not allowed."""
    assert bool(PURSE.check(asked)) is is_allowed


def test_what_is_allowed_passes() -> None:
    """Enforcing a verdict that allows does nothing."""
    PURSE.check(10).enforce("spending 10")


def test_what_is_denied_is_refused_with_its_code_and_facts() -> None:
    """The error ends a command with 3, and tells everything that the verdict says."""
    with pytest.raises(PolicyRefusedError) as caught:
        PURSE.check(21).enforce("spending 21")
    assert (caught.value.exit_code, caught.value.code) == (3, "policy-refused")
    assert str(caught.value.message) == "spending 21: 21 is too much"
    assert caught.value.details() == {
        "asked": "spending 21",
        "verdict": {
            "effect": "deny",
            "code": "too_large",
            "reason": "21 is too much",
            "facts": {"asked": 21, "limit": 10},
        },
    }


def test_what_has_to_be_approved_waits() -> None:
    """The error ends a command with 4, as promise C3 says of what waits for an approval."""
    with pytest.raises(ApprovalRequiredError) as caught:
        PURSE.check(20).enforce("spending 20")
    assert (caught.value.exit_code, caught.value.code) == (4, "approval-required")


def test_a_verdict_without_a_reason_is_told_by_its_code() -> None:
    """An error is never without a word of why."""
    with pytest.raises(PolicyRefusedError) as caught:
        Verdict(Effect.DENY, Spending.TOO_LARGE).enforce("it")
    assert caught.value.message == "it: too_large"


def test_of_several_verdicts_the_strictest_counts() -> None:
    """One that denies outranks one that asks for approval, and that one any that allows."""
    small, large, too_large, later = map(PURSE.check, (1, 15, 99, 100))
    assert strictest([small]) is small
    assert strictest([small, large]) is large
    assert strictest([large, too_large, later, small]) is too_large


def test_no_verdict_allows_nothing() -> None:
    """Where no policy was asked, nobody can take that for an answer."""
    with pytest.raises(ValueError, match="empty"):
        strictest([])
