"""One orchestrator a folder."""

import fcntl
import json
import os
import stat
from pathlib import Path

import pytest

from oneiric.clock import SystemClock
from oneiric.errors import UnavailableError
from oneiric.runtime.lock import FolderLock, OrchestratorRunsError
from oneiric.runtime.process import born

CLOCK = SystemClock()


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def test_the_lock_names_its_process_and_is_free_again(tmp_path: Path) -> None:
    """Its file is its owner's alone; released, it names nobody."""
    lock = FolderLock(tmp_path / "state" / "lock")
    await lock.take(CLOCK, health=tmp_path / "health")
    found = lock.holder()
    with pytest.raises(OrchestratorRunsError) as caught:
        await FolderLock(lock.path).take(CLOCK, health=tmp_path / "health")
    lock.release()

    assert found is not None
    assert (found.pid, found.born, found.is_alive) == (os.getpid(), born(os.getpid()), True)
    assert found.health == str(tmp_path / "health")
    assert stat.S_IMODE(lock.path.stat().st_mode) == 0o600
    assert caught.value.details() == {"folder": str(tmp_path / "state"), "pid": os.getpid()}
    assert (lock.holder(), lock.path.read_bytes()) == (None, b"")
    lock.release()


async def test_who_only_looks_keeps_nobody_from_taking_it(tmp_path: Path) -> None:
    """The lock is shared for a moment by who looks; a file that names the dead holds nobody."""
    lock = FolderLock(tmp_path / "lock")
    lock.path.write_text(json.dumps({"pid": os.getpid(), "born": "1", "since": ""}))
    looking = os.open(lock.path, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)

    class Clock(SystemClock):
        async def sleep(self, seconds: float) -> None:
            os.close(looking)

    assert lock.holder() is None
    await lock.take(Clock(), health=tmp_path)
    assert lock.holder() is not None
    lock.release()


async def test_a_lock_that_nobody_known_holds_is_refused_too(tmp_path: Path) -> None:
    """Such as that of another container on the same disk."""
    lock = FolderLock(tmp_path / "lock")
    other = os.open(lock.path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(OrchestratorRunsError, match="another machine or container") as caught:
        await lock.take(CLOCK, health=tmp_path)
    os.close(other)

    assert caught.value.details()["pid"] is None


def test_defect_who_looks_is_told_of_a_holder_that_is_not_seen_from_here(tmp_path: Path) -> None:
    """Nobody hears that none runs, and starts or deletes something, while one does."""
    lock = FolderLock(tmp_path / "lock")
    lock.path.write_text(json.dumps({"pid": os.getpid(), "born": "1", "since": ""}))
    other = os.open(lock.path, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_EX)
    before = descriptors()
    with pytest.raises(UnavailableError, match="held by a process of another machine"):
        lock.holder()
    assert descriptors() == before
    os.close(other)

    assert lock.holder() is None


def test_defect_a_lock_that_cannot_be_read_does_not_say_that_nobody_holds_it(
    tmp_path: Path,
) -> None:
    """As where it belongs to another user."""
    (tmp_path / "lock").symlink_to(tmp_path / "lock")
    with pytest.raises(UnavailableError, match="lock: too many levels"):
        FolderLock(tmp_path / "lock").holder()
    assert FolderLock(tmp_path / "none" / "lock").holder() is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"pid": true}', b'{"pid": -1}', b"\xff"])
def test_a_lock_file_that_says_nothing_names_nobody(content: bytes, tmp_path: Path) -> None:
    """Whatever is in it."""
    (tmp_path / "lock").write_bytes(content)
    assert FolderLock(tmp_path / "lock").holder() is None


async def test_a_lock_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    """A link is not followed, for it could lead anywhere."""
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnavailableError):
        await FolderLock(tmp_path / "lock").take(CLOCK, health=tmp_path)
    assert not (tmp_path / "elsewhere").exists()


async def test_a_lock_that_cannot_be_written_is_unavailable_and_named() -> None:
    """As on a full disk."""
    before = descriptors()
    with pytest.raises(UnavailableError, match="/dev/full: ") as caught:
        await FolderLock(Path("/dev/full")).take(CLOCK, health=Path("health"))

    assert caught.value.hint
    assert descriptors() == before
