"""Retry policies as metadata spells them."""

import pytest

from oneiric.core.backoff import Backoff
from oneiric.domains.retry import RetryPolicy
from oneiric.errors import InvalidError, JSONValue


def test_both_spellings_mean_the_same() -> None:
    """Old and new names of each key give one policy; a jitter of 0 stays 0."""
    one = RetryPolicy.parse({"attempts": 3, "base_delay": 1, "max_delay": 9, "jitter": 0})
    other = RetryPolicy.parse(
        {"max_attempts": 3, "initial_delay": 1, "max_backoff": 9, "backoff_jitter": 0}
    )
    assert one == other == RetryPolicy(3, Backoff(base_seconds=1, max_seconds=9, jitter=0))
    assert RetryPolicy.parse(one.as_json()) == one
    assert one.longest_seconds == 3.0


def test_without_a_policy_there_is_one_attempt() -> None:
    """Nothing is tried again unasked."""
    assert RetryPolicy.parse(None).attempts == 1


@pytest.mark.parametrize(
    "policy",
    [
        [],
        "3",
        {"attempt": 3},
        {"attempts": 0},
        {"attempts": 1.5},
        {"attempts": "3"},
        {"attempts": True},
        {"attempts": 3, "max_attempts": 3},
        {"jitter": 2},
        {"base_delay": -1},
        {"factor": 0.5},
    ],
)
def test_what_is_no_policy_is_refused(policy: JSONValue) -> None:
    """A misspelt key or an odd value never means the default."""
    with pytest.raises(InvalidError):
        RetryPolicy.parse(policy)
