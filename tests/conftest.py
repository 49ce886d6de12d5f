"""What every test gets: a clean environment, and a check that nothing is left behind."""

import asyncio
import inspect
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest

from tests.servers import require

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.register_profile("fewer", deadline=None, max_examples=25)
hypothesis.settings.load_profile("patient")

PATIENCE_SECONDS = 2.0


def pytest_configure() -> None:
    """Forget the settings of whoever runs the tests, and that they ignore an interrupt.

    A shell that starts the suite in the background has it ignore SIGINT; with a handler of
    our own, children start with what the system does by default.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in [name for name in os.environ if name.startswith("ONEIRIC_")]:
        del os.environ[name]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose server is not installed, by its name; in CI let it fail."""
    for mark in item.iter_markers("server"):
        require(*mark.args)


@pytest.fixture(autouse=True)
def no_leaked_threads() -> Iterator[None]:
    """Fail the test that leaves a thread running which would keep the process alive."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + PATIENCE_SECONDS
    left = [t for t in threading.enumerate() if t not in before and not t.daemon]
    for thread in left:
        thread.join(max(0.0, deadline - time.monotonic()))
    names = [thread.name for thread in left if thread.is_alive()]
    assert not names, f"threads left running: {', '.join(names)}"


@pytest.fixture(autouse=True)
def same_logging() -> Iterator[None]:
    """Put logging back as it was before a command configured it."""
    root = logging.getLogger("oneiric")
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.propagate = before[0], before[2]
    root.setLevel(before[1])


@pytest.fixture(autouse=True)
def no_leaked_tasks(request: pytest.FixtureRequest, no_leaked_threads: None) -> None:
    """Have the loop of an async test watched; a sync test has none."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("watched_loop")


@pytest.fixture
async def watched_loop() -> AsyncIterator[None]:
    """Fail the async test that leaves a task pending, once its other fixtures are closed."""
    before = asyncio.all_tasks()
    yield
    after = asyncio.all_tasks() - before - {asyncio.current_task()}
    if not after:
        return
    _, left = await asyncio.wait(after, timeout=PATIENCE_SECONDS)
    names = sorted(repr(task.get_coro()) for task in left)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    assert not names, f"tasks left pending: {', '.join(names)}"
