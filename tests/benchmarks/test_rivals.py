"""What can be said of the comparison with rivals where none of them is installed."""

import re
import sys

import pytest

from tests.benchmarks.rivals import PAIRS, PINNED, Pair, Result, Run, run, table


@pytest.mark.parametrize(
    ("mode", "settings"), [("default", "wal FULL"), ("full", "wal FULL"), ("normal", "wal NORMAL")]
)
def test_ours_competes_without_any_rival(mode: str, settings: str) -> None:
    """Every step is kept, with the settings that the mode promises."""
    found = run(sys.executable, "oneiric", mode, 5, 2)
    assert found.settings == settings
    assert found.rate > 0
    assert found.rows >= 2  # that it was started, and how it ended


def test_ratios_are_of_runs_of_the_same_round() -> None:
    """A disk that is ten times as slow in one round changes no ratio."""
    pair = Pair("dbos", "DBOS", "full", "full", 4)
    theirs = [Run(rate, "wal FULL", 1) for rate in (100, 10, 100)]
    ours = [Run(rate, "wal FULL", 2) for rate in (400, 40, 500)]
    result = Result(pair, theirs, ours)
    assert result.ratios == [4, 4, 5]
    assert result.as_json()["ratio"] == 4
    assert result.as_json()["met"] is True
    assert " ".join(table([result])[1].split()) == (
        "DBOS 100 /s 400 /s 4.00 4.00 5.00 >= 4 yes wal FULL wal FULL"
    )


def test_every_rival_is_measured_as_it_comes_and_at_equal_durability() -> None:
    """Ours promises as much as a rival does, in each of its modes."""
    modes = [("default", "full"), ("full", "full"), ("normal", "normal")]
    assert [(pair.rival, pair.theirs, pair.ours) for pair in PAIRS] == [
        (rival, *each) for rival in ("langgraph", "dbos") for each in modes
    ]


def test_what_is_installed_is_pinned_by_name_and_version_alone() -> None:
    """No line of the list names an address, a path or a range."""
    lines = PINNED.read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9.]+", line)] == []
    assert {"dbos", "langgraph", "langgraph-checkpoint-sqlite"} <= {
        line.partition("==")[0] for line in lines
    }
