"""A service to check, and a validator that may ask it."""

from collections.abc import AsyncIterator

import pytest

from oneiric.clock import SystemClock
from oneiric.validation.providers.validator import LiveValidator, LiveValidatorSettings
from tests.validation.checks.service import Service, served


class QuickClock(SystemClock):
    """The machine's clock, whose sleeps take no time but are remembered."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Remember, and let others run."""
        self.slept.append(seconds)
        await super().sleep(0)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A service with many odd routes."""
    async with served() as running:
        yield running


@pytest.fixture
def clock() -> QuickClock:
    """A clock whose sleeps take no time."""
    return QuickClock()


@pytest.fixture
async def validator(clock: QuickClock) -> AsyncIterator[LiveValidator]:
    """A validator without a list of hosts, which waits for nothing."""
    made = LiveValidator(LiveValidatorSettings(test_user="ada@example.com"), clock=clock)
    await made.init()
    yield made
    await made.cleanup()
