"""The journal in memory."""

import pytest

from oneiric.runs.journal import MemoryJournal
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
