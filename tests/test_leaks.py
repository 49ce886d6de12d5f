"""The leak checks of the suite catch what a test leaves behind."""

from pathlib import Path

import pytest

pytest_plugins = ("pytester",)

LEAKS = """
import asyncio, threading, time

async def test_task():
    asyncio.get_running_loop().tasks = [asyncio.create_task(asyncio.sleep(30))]

async def test_clean_async():
    await asyncio.to_thread(int)

def test_thread():
    threading.Thread(target=time.sleep, args=(0.3,), name="forgotten").start()

def test_clean():
    pass
"""


def test_a_leaked_task_or_thread_fails_the_test_that_made_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pending task and a living thread are errors; what ends in time is none."""
    here = Path(__file__)
    checks = here.with_name("conftest.py").read_text(encoding="utf-8")
    assert "PATIENCE_SECONDS = 2.0" in checks
    pytester.makeconftest(checks.replace("PATIENCE_SECONDS = 2.0", "PATIENCE_SECONDS = 0.05"))
    pytester.makepyfile(LEAKS)
    pytester.makeini("[pytest]\nasyncio_mode = auto\n")
    monkeypatch.setenv("ONEIRIC_DEBUG", "1")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines(
        ["*tasks left pending: *sleep*", "*threads left running: forgotten"]
    )
