"""Loggers: nothing is imported for events that nobody hears, and others are told in full."""

from __future__ import annotations

import copy
import io
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from oneiric.core.logging import ROOT, configure_logging, get_logger
from oneiric.text.logs import send_to

SILENT = """
import sys
from oneiric.core.logging import configure_logging, get_logger
configure_logging(sys.stderr, level="warning")
get_logger("oneiric.here", run="r-1").info("nobody-hears", password="hunter2")
assert "structlog" not in sys.modules
get_logger("oneiric.here", run="r-1").warning("somebody-hears", password="hunter2")
assert "structlog" in sys.modules
"""


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the events of the house go in the test."""
    root = logging.getLogger(ROOT)
    level, propagates = root.level, root.propagate
    found = io.StringIO()
    configure_logging(found, level="info")
    yield found
    send_to([], level="warning")
    root.level, root.propagate = level, propagates


def test_what_renders_events_is_imported_with_the_first_that_is_heard() -> None:
    """Most commands log nothing, and need none of it."""
    done = subprocess.run([sys.executable, "-c", SILENT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "somebody-hears" in done.stderr
    assert "run=r-1" in done.stderr
    assert "nobody-hears" not in done.stderr
    assert "hunter2" not in done.stderr


def test_an_event_has_its_keys_and_those_of_its_logger(stream: io.StringIO) -> None:
    """Also where a logger is copied, bound to more, or was made before anybody heard."""
    logger = get_logger("oneiric.here", run="r-1")
    logger.debug("too-small")
    copy.copy(logger).bind(step="a").info("step-begun")
    try:
        raise ValueError("odd")
    except ValueError:
        logger.exception("step-failed")
    first, second, *trace = stream.getvalue().splitlines()
    assert "step-begun" in first
    assert "run=r-1 step=a" in first
    assert "step-failed" in second
    assert "ValueError: odd" in trace[-1]
