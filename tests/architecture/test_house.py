"""The house keeps its rules; each failure names file, line and rule."""

from collections.abc import Callable, Iterator

import pytest

from tests.architecture.budgets import BUDGET_RULES
from tests.architecture.conduct import CONDUCT_RULES
from tests.architecture.floors import FLOORS, FRONT_DOOR_LIMIT
from tests.architecture.imports import IMPORT_RULES
from tests.architecture.source import Finding, House, report

Rule = Callable[[House], Iterator[Finding]]
RULES: tuple[Rule, ...] = (*IMPORT_RULES, *CONDUCT_RULES, *BUDGET_RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_house_keeps_the_rule(rule: Rule, house: House) -> None:
    """Nothing in the tree breaks the rule."""
    findings = report(rule(house))
    if findings:
        pytest.fail(findings, pytrace=False)


def test_floors_hold_each_room_once() -> None:
    """The table places the beneath and eight floors, and no name that is no room's."""
    assert sorted(set(FLOORS.values())) == [-1, 0, 1, 2, 3, 4, 5, 6, 7]
    assert all(room.isidentifier() for room in FLOORS)


def test_front_door_is_narrow_and_opens() -> None:
    """`oneiric.__all__` has few names, each of which can be imported."""
    import oneiric

    names: list[str] = list(getattr(oneiric, "__all__", []))
    assert len(names) <= FRONT_DOOR_LIMIT
    assert [name for name in names if not hasattr(oneiric, name)] == []
    assert len(set(names)) == len(names)
