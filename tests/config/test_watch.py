"""A change of the configuration is noticed however it is saved, and nothing else counts as one."""

import asyncio
import gc
import os
import resource
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest

from oneiric.config import watch
from oneiric.config.paths import possible_files
from oneiric.config.watch import ConfigWatch, folders_of

PATIENCE_SECONDS = 20.0
DESCRIPTORS = next((p for p in map(Path, ("/proc/self/fd", "/dev/fd")) if p.is_dir()), None)


class Seen:
    """What a watch told: a count of changes, and what the file held at each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.texts: list[str] = []
        self._news = asyncio.Event()

    def note(self) -> None:
        """Read the file, as whoever is told of a change does."""
        try:
            text = self.path.read_text()
        except OSError as error:
            text = type(error).__name__
        self.texts.append(text)
        self._news.set()

    async def until(self, text: str) -> None:
        """Wait until the last change was to *text*."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self.texts or self.texts[-1] != text:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def watching(path: Path, made: ConfigWatch) -> AsyncIterator[Seen]:
    """Watch until the end of the block; the first thing told is that one may look."""
    seen = Seen(path)

    async def follow() -> None:
        async for _ in made.changes():
            seen.note()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not seen.texts:  # noqa: ASYNC110  nothing has changed yet that could be told
                await asyncio.sleep(0.01)
        yield seen
        task.cancel()


@pytest.fixture(params=["told by the system", "polling"])
def made(request: pytest.FixtureRequest) -> Callable[[Path], ConfigWatch]:
    """Make watches of either kind."""
    interval = 0.05 if request.param == "polling" else 0.0
    return lambda path: ConfigWatch([path], poll_interval=interval, debounce=0.05)


def renamed(path: Path, text: str) -> None:
    """Save as careful editors do: a new file over the old one."""
    other = path.with_name("swap.tmp")
    other.write_text(text)
    other.replace(path)


def backed_up(path: Path, text: str) -> None:
    """Save as other editors do: the old file away, a new one in its place."""
    path.rename(path.with_name(f"{path.name}~"))
    path.write_text(text)


def in_place(path: Path, text: str) -> None:
    """Save as a shell does: the same file, cut short and written anew."""
    path.write_text(text)


@pytest.mark.parametrize("save", [in_place, renamed, backed_up])
async def test_every_save_is_noticed(
    save: Callable[[Path, str], None], made: Callable[[Path], ConfigWatch], tmp_path: Path
) -> None:
    """The second and the third as well as the first."""
    path = tmp_path / "oneiric.toml"
    path.write_text("0")

    async with watching(path, made(path)) as seen:
        for text in ("1", "2", "3"):
            save(path, text)
            await seen.until(text)

    assert seen.texts == ["0", "1", "2", "3"]


def publish(folder: Path, name: str, text: str) -> None:
    """Update a mounted config map as Kubernetes does: a new folder, and one link moved to it."""
    data = folder / f"..2026_{name}"
    data.mkdir()
    (data / "oneiric.toml").write_text(text)
    (folder / "..data_tmp").symlink_to(data.name)
    before = (folder / "..data").resolve()
    (folder / "..data_tmp").replace(folder / "..data")
    if before != (folder / "..data"):
        for each in before.iterdir():
            each.unlink()
        before.rmdir()


async def test_defect_oneiric_w2_each_update_of_a_config_map_is_noticed(
    made: Callable[[Path], ConfigWatch], tmp_path: Path
) -> None:
    """The file is a link to a link that is moved; a watch on the file sees the first at most."""
    publish(tmp_path, "a", "0")
    path = tmp_path / "oneiric.toml"
    path.symlink_to("..data/oneiric.toml")

    async with watching(path, made(path)) as seen:
        for number in ("1", "2", "3"):
            publish(tmp_path, number, number)
            await seen.until(number)

    assert seen.texts == ["0", "1", "2", "3"]


async def test_a_release_is_noticed_whose_folder_is_a_link(
    made: Callable[[Path], ConfigWatch], tmp_path: Path
) -> None:
    """`current/oneiric.toml`, where `current` is moved from release to release."""
    for number in range(3):
        (tmp_path / f"release{number}").mkdir()
        (tmp_path / f"release{number}" / "oneiric.toml").write_text(str(number))
    (tmp_path / "current").symlink_to("release0")
    path = tmp_path / "current" / "oneiric.toml"

    async with watching(path, made(path)) as seen:
        for number in (1, 2):
            (tmp_path / "next").symlink_to(f"release{number}")
            (tmp_path / "next").replace(tmp_path / "current")
            await seen.until(str(number))
        in_place(tmp_path / "release2" / "oneiric.toml", "2b")
        await seen.until("2b")


async def test_a_file_may_come_go_and_be_replaced_by_a_folder(
    made: Callable[[Path], ConfigWatch], tmp_path: Path
) -> None:
    """Even its folder may not be there yet, or go and come back as another."""
    folder = tmp_path / "etc"
    path = folder / "app" / "oneiric.toml"

    async with watching(path, made(path)) as seen:
        path.parent.mkdir(parents=True)
        path.write_text("1")
        await seen.until("1")
        path.unlink()
        await seen.until("FileNotFoundError")
        path.mkdir()
        await seen.until("IsADirectoryError")
        path.rmdir()
        path.write_text("2")
        await seen.until("2")
        folder.rename(tmp_path / "old")
        await seen.until("FileNotFoundError")
        path.parent.mkdir(parents=True)
        path.write_text("3")
        await seen.until("3")
        renamed(path, "4")
        await seen.until("4")


async def test_half_a_file_is_not_told(made: Callable[[Path], ConfigWatch], tmp_path: Path) -> None:
    """What is written piece by piece counts once nothing more comes."""
    path = tmp_path / "oneiric.toml"
    path.write_text("")
    slow = made(path)
    slow.debounce = 0.5

    async with watching(path, slow) as seen:
        with path.open("w") as file:
            for piece in "12345678":
                file.write(piece)
                file.flush()
                await asyncio.sleep(0.03)
        await seen.until("12345678")

    assert seen.texts == ["", "12345678"]


async def test_other_files_of_the_folder_are_no_change(
    made: Callable[[Path], ConfigWatch], tmp_path: Path
) -> None:
    """Nor is reading the file; the next save shows it."""
    path = tmp_path / "oneiric.toml"
    path.write_text("0")

    async with watching(path, made(path)) as seen:
        for number in range(20):
            (tmp_path / f"other{number}").write_text("x")
            path.read_text()
        renamed(path, "1")
        await seen.until("1")

    assert seen.texts == ["0", "1"]


@pytest.mark.parametrize("save", [in_place, renamed, backed_up])
async def test_what_was_read_and_then_taken_back_is_told_again(
    save: Callable[[Path, str], None], made: Callable[[Path], ConfigWatch], tmp_path: Path
) -> None:
    """Between the look and the reading another text was there: it must not be the last word."""
    path = tmp_path / "oneiric.toml"
    path.write_text("0")
    read: list[str] = []

    async with asyncio.timeout(PATIENCE_SECONDS), aclosing(made(path).changes()) as changes:
        async for _ in changes:
            if not read:
                save(path, "1")
            read.append(path.read_text())
            save(path, "0")
            if read[-1] == "0":
                break

    assert read[0] == "1"
    assert read[-1] == "0"


async def test_the_system_tells_without_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With looks an hour apart, a rename is noticed by what the system tells of it."""
    monkeypatch.setattr(watch, "GLANCE_SECONDS", 3600.0)
    path = tmp_path / "oneiric.toml"
    path.write_text("0")

    async with watching(path, ConfigWatch([path], debounce=0.0)) as seen:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(seen.texts) < 2:  # the first may come before the system was asked to tell
                renamed(path, str(time.monotonic()))
                await asyncio.sleep(0.2)


async def test_the_loop_is_not_held_up(made: Callable[[Path], ConfigWatch], tmp_path: Path) -> None:
    """While a file of the greatest length is saved again and again, other tasks have their turn."""
    path = tmp_path / "oneiric.toml"
    path.write_text("0")
    longest, stop = 0.0, False

    async def tick() -> None:
        nonlocal longest
        while not stop:
            used = time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, time.thread_time() - used)

    async with watching(path, made(path)) as seen, asyncio.TaskGroup() as group:
        group.create_task(tick())
        for number in range(5):
            text = str(number) * 1_000_000
            await asyncio.to_thread(renamed, path, text)
            await seen.until(text)
        stop = True

    assert longest < 0.05  # seconds of this thread's own work between two turns


async def test_nothing_is_left_when_a_watch_ends(
    made: Callable[[Path], ConfigWatch], tmp_path: Path
) -> None:
    """No thread and no descriptor, however often it is begun and cut short."""
    path = tmp_path / "oneiric.toml"
    path.write_text("0")
    async with watching(path, made(path)):
        pass  # the loop's own threads are there from now on
    gc.collect()
    before = open_now()

    for number in range(10):
        async with watching(path, made(path)) as seen:
            renamed(path, str(number))
            await seen.until(str(number))

    async with asyncio.timeout(PATIENCE_SECONDS):
        while open_now() > before:  # noqa: ASYNC110  the library's own thread closes the last two
            await asyncio.sleep(0.01)
    assert not [t for t in threading.enumerate() if t.name.startswith("oneiric-config-watch")]


def open_now() -> int:
    """Return how many descriptors this process has open, where that can be told."""
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS else 0


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open only so many further files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    with Path(os.devnull).open() as null:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            with suppress(OSError):
                while True:
                    taken.append(os.dup(null.fileno()))
            for _ in range(count):
                os.close(taken.pop())
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for descriptor in taken:
                os.close(descriptor)


async def test_where_the_system_cannot_tell_the_files_are_looked_at(tmp_path: Path) -> None:
    """It needs descriptors that are not to be had; once they are, it tells again."""
    path = tmp_path / "oneiric.toml"
    path.write_text("0")
    cut = ConfigWatch([path], debounce=0.05)

    with descriptors_left(2):
        async with watching(path, cut) as seen:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not cut.trouble:  # noqa: ASYNC110  it is told by no event
                    await asyncio.sleep(0.01)
            renamed(path, "1")
            await seen.until("1")
            assert cut.trouble

    async with watching(path, cut) as seen:
        renamed(path, "2")
        await seen.until("2")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while cut.trouble:  # noqa: ASYNC110  it is told by no event
                await asyncio.sleep(0.01)


def test_every_folder_counts_in_which_a_link_on_the_way_lies(tmp_path: Path) -> None:
    """Links to links, through `..`, and absolute ones; a loop of links ends."""
    root = tmp_path.resolve()
    for name in ("etc", "srv", "srv/v1", "opt"):
        (root / name).mkdir()
    (root / "srv/v1/oneiric.toml").write_text("")
    (root / "srv/current").symlink_to("v1")
    (root / "opt/link.toml").symlink_to("../srv/current/oneiric.toml")
    (root / "etc/oneiric.toml").symlink_to(root / "opt/link.toml")
    (root / "etc/loop").symlink_to("loop")

    assert folders_of(root / "etc/oneiric.toml") == {
        root / "etc",
        root / "opt",
        root / "srv",
        root / "srv/v1",
    }
    assert root / "etc" in folders_of(root / "etc/loop")
    assert folders_of(root / "none/of/these.toml") == {root}


def test_where_no_file_was_named_all_that_could_be_found_are_watched(tmp_path: Path) -> None:
    """A file that comes later is found as at the start; one that was named is the only one."""
    assert [path.name for path in possible_files(tmp_path, named=None)] == [
        "oneiric.toml",
        "oneiric.yaml",
        "oneiric.yml",
        "oneiric.json",
        "pyproject.toml",
    ]
    assert possible_files(tmp_path, named=Path("etc/a.toml")) == (tmp_path / "etc/a.toml",)
