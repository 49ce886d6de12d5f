"""Backoff: longer each time, never beyond the limit."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from oneiric.backoff import Backoff


def test_delays_grow_by_the_factor_up_to_the_limit() -> None:
    """The first attempt's delay is the base."""
    backoff = Backoff(base_seconds=0.5, factor=3.0, max_seconds=10.0)
    assert [backoff.delay(attempt) for attempt in range(1, 6)] == [0.5, 1.5, 4.5, 10.0, 10.0]


def test_attempts_below_one_count_as_the_first() -> None:
    """A caller that counts from zero waits the base twice, and no less."""
    assert [Backoff(base_seconds=2.0).delay(attempt) for attempt in (-1, 0, 1)] == [2.0] * 3


def test_jitter_shrinks_a_delay_by_its_share_of_chance() -> None:
    """Without chance nothing shrinks; with all of it, by the whole jitter."""
    backoff = Backoff(base_seconds=8.0, jitter=0.25)
    assert [backoff.delay(1, chance=chance) for chance in (0.0, 0.5, 1.0)] == [8.0, 7.0, 6.0]


@given(
    st.floats(0.0, 1e3),
    st.floats(1.0, 1e9),
    st.floats(0.0, 1e6),
    st.floats(0.0, 1.0),
    st.floats(0.0, 1.0, exclude_max=True),
)
def test_any_backoff_stays_within_bounds_and_never_shrinks(
    base: float, factor: float, limit: float, jitter: float, chance: float
) -> None:
    """For a thousand attempts: not negative, not above the limit, not below the one before."""
    backoff = Backoff(base_seconds=base, factor=factor, max_seconds=limit, jitter=jitter)
    delays = [backoff.delay(attempt, chance=chance) for attempt in range(1, 1_000, 37)]
    assert all(0.0 <= delay <= limit for delay in delays)
    assert all(one <= other for one, other in pairwise(delays))
