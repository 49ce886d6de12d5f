"""The drawing of a plan fits the terminal, and any plan within the limits is drawn in no time."""

import time

import pytest

from oneiric.domains.workflows.topology import drawing, in_order
from oneiric.runs.plan import Plan, Retry, Step

LONG = Plan(
    "long",
    tuple(
        Step(
            f"step-{number}",
            "task:a-rather-long-name",
            depends_on=(f"step-{number - 1}",) if number else (),
            retry=Retry(attempts=3),
        )
        for number in range(40)
    ),
)


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_a_drawing_is_no_wider_than_the_terminal(columns: int) -> None:
    """However deep the plan; every step and what it waits for is there."""
    text = drawing(LONG, columns=columns)

    assert max(map(len, text.splitlines())) <= columns
    assert all(f"step-{number}" in text for number in range(40))
    assert text.count("after") == 39


def test_a_drawing_that_fits_has_a_line_a_step() -> None:
    """Names, who does them and when stand below each other."""
    plan = Plan("p", (Step("a", "task:a"), Step("b", "task:bb", depends_on=("a",))))

    assert drawing(plan) == "● a     task:a\n   ● b  task:bb  after a"


def test_a_thicket_is_put_in_order_in_no_time() -> None:
    """A step that waits for all before it is looked at once."""
    ids = [f"s{number}" for number in range(700)]
    steps = [Step(each, "x", depends_on=tuple(ids[:n])) for n, each in enumerate(ids)]
    begun = time.process_time()

    ordered = in_order(Plan("thicket", tuple(reversed(steps))))

    assert [step.id for step in ordered] == ids
    assert time.process_time() - begun < 3
