"""`workflow.retry`: delays that grow, and end."""

from hypothesis import given as law
from hypothesis import strategies as st

from oneiric.actions.workflow_retry import RetryPayload, WorkflowRetry
from tests.actions.conftest import Act


async def test_delays_grow_up_to_their_limit(act: Act) -> None:
    """Each is a multiple of the one before, none beyond the limit."""
    policy = {"max_attempts": 5, "base_delay_seconds": 1, "multiplier": 3, "max_delay_seconds": 10}

    found = [await act("workflow.retry", attempt=attempt, **policy) for attempt in (1, 2, 3, 4, 5)]

    assert [(each["status"], each["next_attempt"], each["delay_seconds"]) for each in found] == [
        ("scheduled", 2, 1.0),
        ("scheduled", 3, 3.0),
        ("scheduled", 4, 9.0),
        ("scheduled", 5, 10.0),
        ("exhausted", None, None),
    ]


@law(
    attempt=st.integers(1, 2**50),
    multiplier=st.floats(1, 1e300),
    limit=st.floats(0, 1e300),
    jitter=st.floats(0, 1),
)
def test_any_policy_gives_a_delay_within_its_limit(
    attempt: int, multiplier: float, limit: float, jitter: float
) -> None:
    """However late the attempt, nothing overflows."""
    payload = RetryPayload(
        attempt=attempt,
        max_attempts=2**52,
        base_delay_seconds=min(1.0, limit),
        multiplier=multiplier,
        max_delay_seconds=limit,
        jitter=jitter,
    )
    found = WorkflowRetry().execute(payload).delay_seconds

    assert found is not None
    assert 0 <= found <= limit
