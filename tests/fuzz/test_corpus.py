"""What a fuzzer found, or what seemed worth its while, comes through the doors or is refused."""

import time

import pytest

from tests.fuzz.doors import CORPUS, DOORS, enter

CASES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("name", DOORS)
def test_promise_m2_whatever_comes_through_a_door_is_taken_or_refused(name: str) -> None:
    """No other error than ours, and none of these takes as much as a second."""
    cases = [path for path in CASES if path.parent.name == name]
    assert cases
    for path in cases:
        begin = time.process_time()
        enter(name, path.read_bytes())
        assert time.process_time() - begin < 1, path.name


def test_every_case_has_its_door() -> None:
    """No case lies where nobody looks."""
    assert {path.parent.name for path in CASES} == set(DOORS)
