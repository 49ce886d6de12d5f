"""Files: reads that cannot hang, writes that are whole, paths that stay inside."""

import os
import resource
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oneiric.errors import InvalidPathError, NotFoundError, UnavailableError
from oneiric.files import confined, own_folder, read_bounded, write_atomic, write_new


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_a_file_as_long_as_the_limit_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    """The limit is inclusive; the error names path and limit."""
    path = tmp_path / "a"
    path.write_bytes(b"12345")

    assert read_bounded(path, limit=5) == b"12345"
    with pytest.raises(InvalidPathError, match=f"{path}: it is longer than 4 bytes"):
        read_bounded(path, limit=4)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    """So is one below something that is no folder."""
    (tmp_path / "file").write_bytes(b"")

    for path in (tmp_path / "none", tmp_path / "file" / "none"):
        with pytest.raises(NotFoundError, match=str(path)):
            read_bounded(path, limit=1)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe without a writer would hang, a device never end."""
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))

        for path in (tmp_path / "pipe", tmp_path / "socket", tmp_path, Path("/dev/zero")):
            with pytest.raises(InvalidPathError, match=str(path)):
                read_bounded(path, limit=10)


def test_a_path_with_nul_is_refused_and_shown_escaped() -> None:
    """It is no possible path."""
    with pytest.raises(InvalidPathError, match=r"a\\x00b"):
        read_bounded(Path("a\0b"), limit=1)


def test_a_link_that_turns_in_circles_is_refused(tmp_path: Path) -> None:
    """The system's own word is told."""
    (tmp_path / "a").symlink_to("a")

    with pytest.raises(InvalidPathError):
        read_bounded(tmp_path / "a", limit=1)


def test_refused_reads_leave_no_descriptor_open(tmp_path: Path) -> None:
    """A hundred refusals open nothing for good."""
    before = open_descriptors()
    for _ in range(100):
        with pytest.raises(InvalidPathError):
            read_bounded(tmp_path, limit=1)

    assert open_descriptors() == before


@pytest.mark.parametrize("durable", [False, True])
def test_a_write_replaces_the_whole_file(tmp_path: Path, durable: bool) -> None:
    """Content and mode are those of the call; nothing else is left in the folder."""
    path = tmp_path / "a"
    path.write_bytes(b"old and longer")

    write_atomic(path, b"new", mode=0o600, durable=durable)

    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["a"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A limit on file size stands for the full disk."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(UnavailableError, match=str(path)):
            write_atomic(path, b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_write_over_a_folder_or_into_none_is_refused(tmp_path: Path) -> None:
    """The errors name the path, and no temporary file is left."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(InvalidPathError, match="folder"):
        write_atomic(tmp_path / "folder", b"x")
    with pytest.raises(NotFoundError, match=r"no folder .*/none"):
        write_atomic(tmp_path / "none" / "a", b"x")
    assert names(tmp_path) == ["folder"]


def test_a_write_never_replaces_what_is_no_file(tmp_path: Path) -> None:
    """Whoever reads a pipe goes on reading it."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(InvalidPathError, match="no regular file"):
        write_atomic(tmp_path / "pipe", b"x")
    assert (tmp_path / "pipe").is_fifo()


def test_a_write_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    """Nobody redirects a write by planting a link."""
    (tmp_path / "target").write_bytes(b"target")
    (tmp_path / "link").symlink_to("target")

    write_atomic(tmp_path / "link", b"new")

    assert (tmp_path / "target").read_bytes() == b"target"
    assert (tmp_path / "link").read_bytes() == b"new"
    assert not (tmp_path / "link").is_symlink()


def test_defect_oneiric_c8_parallel_writers_never_mix(tmp_path: Path) -> None:
    """Whoever reads sees one writer's bytes whole; no temporary file stays."""
    path = tmp_path / "a"
    write_atomic(path, b"0" * 50_000)
    seen: set[bytes] = set()

    def write(digit: bytes) -> None:
        for _ in range(50):
            write_atomic(path, digit * 50_000)

    threads = [threading.Thread(target=write, args=(b"%d" % n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        seen.add(read_bounded(path, limit=50_000))
    for thread in threads:
        thread.join()

    assert all(data == data[:1] * 50_000 for data in seen)
    assert names(tmp_path) == ["a"]


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    """Nor of a link, wherever that leads; what fails leaves nothing."""
    (tmp_path / "link").symlink_to("nowhere")
    write_new(tmp_path / "a", b"first", mode=0o600)

    for name in ("a", "link"):
        with pytest.raises(InvalidPathError, match="it exists already"):
            write_new(tmp_path / name, b"second")
    with pytest.raises(NotFoundError):
        write_new(tmp_path / "none" / "a", b"x")

    assert (tmp_path / "a").read_bytes() == b"first"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert sorted(names(tmp_path)) == ["a", "link"]


def test_a_new_file_that_cannot_be_written_whole_is_not_there(tmp_path: Path) -> None:
    """A full disk leaves no half."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(UnavailableError):
            write_new(tmp_path / "a", b"x" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "relative", ["", ".", "./.", "/etc/passwd", "..", "a/../b", "a/..", "a\0b", "out/x", "loop/x"]
)
def test_a_path_that_would_leave_its_root_is_refused(tmp_path: Path, relative: str) -> None:
    """Absolute, empty, upward, NUL, through a link that leads out or nowhere."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to("loop")

    with pytest.raises(InvalidPathError):
        confined(root, relative)


def test_a_path_inside_is_given_whether_it_exists_or_not(tmp_path: Path) -> None:
    """Links that stay inside are followed, the root's own too."""
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "root").symlink_to("real")
    (tmp_path / "real" / "link").symlink_to("sub")
    real = (tmp_path / "real").resolve()

    assert confined(tmp_path / "root", "a/./b.txt") == real / "a" / "b.txt"
    assert confined(tmp_path / "root", "link/c") == real / "sub" / "c"
    assert confined(tmp_path / "root", "..a/b..") == real / "..a" / "b.."


@given(st.text(st.sampled_from("./a\\\0~ "), max_size=12))
def test_any_text_stays_inside_or_is_refused(relative: str) -> None:
    """No spelling leads out."""
    root = Path("/nowhere/root")
    try:
        path = confined(root, relative)
    except InvalidPathError:
        return
    assert path.is_relative_to(root)
    assert path != root


def test_a_folder_that_is_made_is_its_owners_alone(tmp_path: Path) -> None:
    """So are those above it that were missing; one that is there stays as it is."""
    tmp_path.chmod(0o755)
    own_folder(tmp_path / "a" / "b")
    own_folder(tmp_path / "a" / "b")
    (tmp_path / "file").touch()

    modes = [each.stat().st_mode & 0o777 for each in (tmp_path, tmp_path / "a", tmp_path / "a/b")]
    assert modes == [0o755, 0o700, 0o700]
    with pytest.raises(FileExistsError):
        own_folder(tmp_path / "file")
