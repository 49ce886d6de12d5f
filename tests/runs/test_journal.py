"""The journal in memory."""

import pytest

from oneiric.runs.journal import MemoryJournal, is_in_force
from oneiric.testing import ManualClock
from tests.runs.journal_laws import JournalLaws


class TestMemoryJournal(JournalLaws):
    """The laws of every journal, for the one in memory."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def journal(self, clock: ManualClock) -> MemoryJournal:
        return MemoryJournal(clock)


def test_a_claim_counted_before_a_reboot_holds_no_more() -> None:
    """The steady count begins anew with the machine; a claim is never longer than made for."""
    assert is_in_force(until=105.0, seconds=10.0, now=100.0)
    assert not is_in_force(until=100.0, seconds=10.0, now=100.0)
    assert not is_in_force(until=90_000.0, seconds=10.0, now=3.0)
