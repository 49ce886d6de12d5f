"""The house under test, parsed once for all rules."""

import pytest

from tests.architecture.source import ROOT, House, read_house


@pytest.fixture(scope="session")
def house() -> House:
    """The package and its tests as they are."""
    return read_house(ROOT)
