"""Every benchmark runs, and the shape of what it finds holds: ratios and growth, never time."""

import json
from math import log2

import pytest

from tests.benchmarks import lifecycle, resolution
from tests.benchmarks.curves import chart
from tests.benchmarks.measure import TINY, Curve, Row
from tests.benchmarks.run import BENCHMARKS, main
from tests.benchmarks.targets import TARGETS, Target, target_of

SLACK = 6.0


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_gives_rows(name: str) -> None:
    """Each benchmark runs on tiny sizes and names each of its rows differently."""
    rows = BENCHMARKS[name](TINY)
    assert rows
    assert len({row.name for row in rows}) == len(rows)
    assert all(row.measured >= 0 for row in rows)


def test_a_hit_costs_a_few_lookups_whatever_there_is_to_choose_from() -> None:
    """resolve is one lookup: near its floor, and as cheap among 10,000 keys as with one."""
    rows = {row.name: row for row in resolution.resolve(TINY)}
    ratios = [row.ratio for row in rows.values()]
    assert all(ratio is not None and ratio <= SLACK for ratio in ratios), rows
    alone, among = rows["resolve, 1 key"], rows["resolve, 10,000 keys"]
    assert among.measured < 2 * alone.measured + (among.floor or 0) - (alone.floor or 0), rows


def test_an_explanation_grows_as_sorting_does() -> None:
    """explain costs at most n log n, with slack for a shared machine."""
    few, many = 20, 320
    small, large = (resolution.explain(TINY, offers)[0].measured for offers in (few, many))
    assert large <= 2 * small * (many * log2(many)) / (few * log2(few))


def test_no_call_fails_while_a_few_callers_meet_a_few_swaps() -> None:
    """Swaps under load fail no call, and no caller sees a closed component."""
    rows = lifecycle.swap_under_load(TINY)
    counted = {row.name.rpartition(": ")[2]: row.measured for row in rows if not row.unit}
    assert counted["failed calls"] == counted["calls of a closed one"] == 0
    assert counted["calls meanwhile"] > 0


def test_every_target_is_of_a_row_that_is_measured() -> None:
    """No target is left for a row that nobody measures, at the sizes people see."""
    names = (
        "resolve, 1 key",
        "explain, 50 offers",
        "register 100,000, distinct keys",
        "register 100,000, one key",
        "register 100,000, memory",
        "warm use in a task",
        "swap of a no-op component",
        "200 swaps, 64 tasks, 8 threads: failed calls",
        "200 swaps, 64 tasks, 8 threads: calls of a closed one",
        "dispatch, 10 handlers",
        "run of 100 no-op steps, chain",
        "journaled steps, power-loss, one run",
        "journaled steps, kill, one run",
        "journaled steps, kill, 100 runs",
        "verify and offer a manifest of 100",
        "verify and offer a manifest of 10,000",
        "verify and offer a manifest of 100: longest stall",
        "sync a manifest of 100: longest wait of the loop",
        "oneiric --help",
        "oneiric list",
        "oneiric list, with a manifest",
        "oneiric recipe run, one step",
        "oneiric recipe run, a further step",
        "oneiric recipe run, a further step in memory",
        "1,000 ready steps of a recipe in memory, a second",
        "orchestrator until ready, serverless, nothing",
        "100 instant checks",
        "100 instant checks, CPU",
        "mandatory install, distributions",
        "mandatory install, size",
    )
    assert [target_of(name) for name in names] == list(TARGETS.values())


def test_a_target_looks_at_the_figure_and_at_its_floor() -> None:
    """A row meets its target within every limit that is set, and misses it beyond one."""
    target = Target(most=150, floors=3)
    figures = [(90.0, 31.0), (160.0, 60.0), (90.0, 20.0)]
    assert [target.is_met(Row("x", *each)) for each in [(m, "ns", f) for m, f in figures]] == [
        True,
        False,
        False,
    ]


def test_a_target_may_be_something_to_reach() -> None:
    """What is counted by the second meets its target from the limit upwards."""
    target = Target(least=100, least_floors=0.5)
    figures = [(100.0, 200.0), (99.0, 100.0), (200.0, 401.0)]
    assert [target.is_met(Row("x", m, "/s", floor)) for m, floor in figures] == [True, False, False]


def test_the_document_says_what_was_measured_and_ends_well(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With --json there is one document on stdout, and the exit code is 0."""
    assert main(["--only", "use", "--tiny", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "oneiric.benchmarks/1"
    assert [row["name"] for row in document["rows"]] == [
        "warm use in a task",
        "warm use in a thread",
    ]


def test_a_curve_is_drawn_with_bars_as_long_as_its_costs() -> None:
    """The longest bar is the highest cost, and every size has a line."""
    lines = chart(Curve("x, for each", "us", ((1, 4.0), (10, 1.0))))
    assert [line.count("#") for line in lines] == [0, 32, 8]
