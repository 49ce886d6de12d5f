"""What an orchestrator in the background prints."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from oneiric.runtime.own_log import OwnLog


@pytest.fixture
def printing(tmp_path: Path) -> Iterator[tuple[OwnLog, int]]:
    """Return a log of 100 bytes, and where a process prints to it."""
    with OwnLog(tmp_path / "state" / "log").begin() as file:
        descriptor = os.dup(file.fileno())
    yield OwnLog(tmp_path / "state" / "log", most=100, descriptors=(descriptor,)), descriptor
    os.close(descriptor)


def test_a_full_log_is_put_aside_and_what_is_printed_next_begins_another(
    printing: tuple[OwnLog, int],
) -> None:
    """So there are two files at most, each its owner's alone, and no line is lost."""
    log, descriptor = printing
    before = log.path.with_name("log.1")
    for text in (b"a" * 100, b"b", b"c" * 101, b"d"):
        os.write(descriptor, text)
        log.limit()
    os.write(descriptor, b"e")

    assert (before.read_bytes(), log.path.read_bytes()) == (b"c" * 101, b"de")
    assert [stat.S_IMODE(each.stat().st_mode) for each in (before, log.path)] == [0o600] * 2


def test_who_prints_elsewhere_or_cannot_put_it_aside_goes_on(
    printing: tuple[OwnLog, int],
) -> None:
    """A log that was removed, or that cannot be renamed, is left as it is."""
    log, descriptor = printing
    os.write(descriptor, b"a" * 101)
    log.path.with_name("log.1").mkdir()
    log.limit()
    assert log.path.stat().st_size == 101
    assert log.printed() == [descriptor]
    log.path.unlink()
    log.limit()
    assert (log.printed(), log.path.exists()) == ([], False)


def test_a_new_one_keeps_what_the_last_one_said(printing: tuple[OwnLog, int]) -> None:
    """Until the next but one is started."""
    log, descriptor = printing
    os.write(descriptor, b"why it ended")
    log.begin().close()

    assert log.path.with_name("log.1").read_bytes() == b"why it ended"
    assert log.path.read_bytes() == b""


def test_one_that_another_put_aside_is_gone_on_from(printing: tuple[OwnLog, int]) -> None:
    """Of two that are started at once the second is refused, after it has begun a log anew."""
    log, descriptor = printing
    with log.begin() as refused:
        refused.write(b"one runs already\n")
    log.limit()
    os.write(descriptor, b"ready")

    assert log.path.read_bytes() == b"one runs already\nready"
