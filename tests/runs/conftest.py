"""What tests of the engine get."""

from collections.abc import AsyncIterator

import pytest

from oneiric.runs.engine import RunEngine
from oneiric.runs.journal import MemoryJournal
from oneiric.testing import ManualClock
from tests.runs.worlds import FUNCTIONS, LEASE


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still."""
    return ManualClock()


@pytest.fixture
def journal(clock: ManualClock) -> MemoryJournal:
    """What outlives the engines of a test."""
    return MemoryJournal(clock)


@pytest.fixture
async def engine(journal: MemoryJournal, clock: ManualClock) -> AsyncIterator[RunEngine]:
    """An engine of plain functions."""
    engine = RunEngine(FUNCTIONS, journal=journal, clock=clock, lease_seconds=LEASE)
    yield engine
    await engine.close()
