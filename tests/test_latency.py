"""How long swaps took: a count of all, percentiles of the last thousand."""

from hypothesis import given
from hypothesis import strategies as st

from oneiric.latency import WINDOW, Latency, LatencySummary


def test_nothing_measured_is_all_zeros() -> None:
    """No swap, no time."""
    assert Latency().summary() == LatencySummary(0, 0.0, 0.0, 0.0)


def test_percentiles_are_measured_values_by_nearest_rank() -> None:
    """Of 1 to 100 they are 50, 95 and 99, in whatever order they came."""
    latency = Latency()
    for milliseconds in range(100, 0, -1):
        latency.add(float(milliseconds))
    assert latency.summary() == LatencySummary(100, 50.0, 95.0, 99.0)


def test_old_values_leave_the_window_but_not_the_count() -> None:
    """Percentiles speak of the present, the count of everything."""
    latency = Latency()
    for milliseconds in [9_999.0] * WINDOW + [1.0] * WINDOW:
        latency.add(milliseconds)
    assert latency.summary() == LatencySummary(2 * WINDOW, 1.0, 1.0, 1.0)


@given(st.lists(st.floats(min_value=0.0, max_value=1e6), min_size=1, max_size=50))
def test_percentiles_of_any_values_are_among_them_and_ascend(values: list[float]) -> None:
    """No percentile is invented, and a higher one is never lower."""
    latency = Latency()
    for value in values:
        latency.add(value)
    summary = latency.summary()
    found = [summary.p50_ms, summary.p95_ms, summary.p99_ms]
    assert found == sorted(found)
    assert set(found) <= set(values)


def test_json_is_rounded_to_microseconds() -> None:
    """Three digits after the point are enough for milliseconds."""
    latency = Latency()
    latency.add(1.23456)
    assert latency.summary().as_json() == {
        "count": 1,
        "p50_ms": 1.235,
        "p95_ms": 1.235,
        "p99_ms": 1.235,
    }
