"""The journal in SQLite, in both durabilities: the laws of every journal, and its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oneiric.stores.journal import Durability, SqliteJournal
from oneiric.testing import ManualClock
from tests.runs.journal_laws import JournalLaws


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".oneiric_cache" / "oneiric.sqlite"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=list(Durability))
async def journal(
    path: Path, clock: ManualClock, request: pytest.FixtureRequest
) -> AsyncIterator[SqliteJournal]:
    made = SqliteJournal(path, clock=clock, durability=request.param)
    yield made
    await made.aclose()


class TestSqliteJournal(JournalLaws):
    """The laws of every journal, for the one in SQLite."""
