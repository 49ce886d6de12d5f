"""Retry policies as metadata spells them."""

import pytest

from oneiric.backoff import Backoff
from oneiric.domains.retry import longest_seconds, read_retry, retry_json
from oneiric.errors import InvalidError, JSONValue
from oneiric.runs.plan import Retry


def test_both_spellings_mean_the_same() -> None:
    """Old and new names of each key give one policy; a jitter of 0 stays 0."""
    one = read_retry({"attempts": 3, "base_delay": 1, "max_delay": 9, "jitter": 0})
    other = read_retry(
        {"max_attempts": 3, "initial_delay": 1, "max_backoff": 9, "backoff_jitter": 0}
    )
    assert (
        one == other == Retry(attempts=3, backoff=Backoff(base_seconds=1, max_seconds=9, jitter=0))
    )
    assert read_retry(retry_json(one)) == one
    assert longest_seconds(one) == 3.0


def test_without_a_policy_there_is_one_attempt() -> None:
    """Nothing is tried again unasked."""
    assert read_retry(None).attempts == 1


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
        read_retry(policy)


def test_a_policy_may_name_the_errors_it_is_for() -> None:
    """Where runs are retried; elsewhere the key is refused, not ignored."""
    policy: JSONValue = {"attempts": 2, "on": ["timeout", "ConnectionError"]}
    assert read_retry(policy, errors=True).on == ("timeout", "ConnectionError")
    assert read_retry(retry_json(read_retry(policy, errors=True)), errors=True).on
    for wrong in (policy, {"on": "timeout"}, {"on": []}, {"on": [1]}):
        with pytest.raises(InvalidError):
            read_retry(wrong, errors=wrong is not policy)
