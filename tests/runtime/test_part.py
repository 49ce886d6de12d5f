"""A part of a whole is made when it is first asked for."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from oneiric.errors import ForbiddenFactoryError
from oneiric.runtime.event_operator import EventOperator
from oneiric.runtime.part import Part

THREADS = 8


class Whole:
    """A whole with a part, and with one of somebody else's."""

    events: Part[EventOperator] = Part("oneiric.runtime.event_operator:EventOperator")
    foreign: Part[object] = Part("json:dumps")


def test_a_part_is_made_once_for_each_whole() -> None:
    """Each whole has its own part, and keeps it."""
    one, other = Whole(), Whole()

    assert one.events is one.events
    assert isinstance(one.events, EventOperator)
    assert other.events is not one.events


def test_threads_that_ask_at_once_get_the_same_part() -> None:
    """Whichever thread is first, all go on with one part."""
    whole, barrier = Whole(), Barrier(THREADS)

    def ask(_: int) -> EventOperator:
        barrier.wait()
        return whole.events

    with ThreadPoolExecutor(THREADS) as pool:
        assert len(set(pool.map(ask, range(THREADS)))) == 1


def test_a_part_comes_from_our_own_package_only() -> None:
    """Text that names anything else is refused."""
    with pytest.raises(ForbiddenFactoryError):
        _ = Whole().foreign


def test_the_runtime_imports_events_when_they_are_asked_for() -> None:
    """A program that has nothing to do with events does not wait for them."""
    code = (
        "import sys; from oneiric.runtime import RuntimeOrchestrator as R; "
        "name = 'oneiric.domains.events'; runtime = R.open(); before = name in sys.modules; "
        "runtime.events; print(before, name in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "True"]
