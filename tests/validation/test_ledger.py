"""The ledger: what was put there stands there, and whatever touches it shows."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from oneiric.documents import canonical
from oneiric.errors import InvalidError, NotFoundError, Problem, UnavailableError
from oneiric.remote.security import PrivateKey
from oneiric.runs.proof import Proof, ProofOutcome
from oneiric.validation.ledger import Entry, Head, Ledger, LedgerError, LedgerSettings
from oneiric.validation.recording import seen_proofs

TASK = "deploy-auth"


def proof(number: int, **more: object) -> Proof:
    return Proof(
        claim="it is up",
        subject=f"https://api.example.com/{number}",
        kind="live",
        outcome=ProofOutcome.PASSED,
        at="2026-11-20T09:30:00.000000Z",
        facts={"check": f"check-{number}", **more},  # type: ignore[dict-item]
    )


def ledger(folder: Path) -> Ledger:
    return Ledger(LedgerSettings(folder=folder / "ledger", key=folder / "keys" / "ledger.json"))


def path_of(folder: Path) -> Path:
    return folder / "ledger" / f"{TASK}.jsonl"


@pytest.fixture
def filled(tmp_path: Path) -> Ledger:
    """A ledger of two runs, three proofs and two."""
    found = ledger(tmp_path)
    found.append(TASK, "run-1", [proof(1), proof(2)])
    found.append(TASK, "run-1", [proof(3)])
    found.append(TASK, "run-2", [proof(4), proof(5)])
    return found


def told(found: Ledger, *heads: Head) -> list[tuple[str, str]]:
    return [(each.key, each.what) for each in found.problems(TASK, heads=heads)]


OTHER = "it is missing, or another than was recorded"


def test_what_was_put_there_is_there(filled: Ledger, tmp_path: Path) -> None:
    """Every proof comes back as it was put, chained, by run or in all; nothing is wrong."""
    again = ledger(tmp_path)

    assert [each.subject[-1] for each in again.read(TASK)] == ["1", "2", "3", "4", "5"]
    assert [each.facts["check"] for each in again.read(TASK, "run-2")] == ["check-4", "check-5"]
    assert again.problems(TASK) == []
    assert again.head(TASK) == Head(5, again.read(TASK)[-1].digest)
    assert again.tasks() == [TASK]
    assert [path.stat().st_mode & 0o777 for path in (path_of(tmp_path),)] == [0o600]


def test_a_changed_entry_shows(filled: Ledger, tmp_path: Path) -> None:
    """A result that was turned into a pass no longer fits its signature."""
    path = path_of(tmp_path)
    path.write_text(path.read_text().replace("example.com/2", "example.com/7"))

    assert ("2", "its signature does not fit: it was changed") in told(filled)
    with pytest.raises(LedgerError, match="was touched"):
        filled.read(TASK)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"}\n", b"} \n"),
        (b"}\n", b"}\r\n"),
        (b'{"key":', b'{ "key":'),
        (b'"schema":', b'"\\u0073chema":'),
    ],
)
def test_an_entry_that_is_spelt_otherwise_shows(
    filled: Ledger, tmp_path: Path, before: bytes, after: bytes
) -> None:
    """A line is byte for byte what was written, the last one too; nothing is added to another."""
    for number in (2, 5):
        lines = path_of(tmp_path).read_bytes().splitlines(keepends=True)
        whole = b"".join(lines)
        assert before in lines[number - 1]
        lines[number - 1] = lines[number - 1].replace(before, after)
        path_of(tmp_path).write_bytes(b"".join(lines))
        assert told(filled)[0] == (str(number), "it is not written as it was signed")
        path_of(tmp_path).write_bytes(whole)
    path_of(tmp_path).write_bytes(b"".join(lines))
    with pytest.raises(LedgerError):
        filled.append(TASK, "run-3", [proof(6)])


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"}\n", b"} \n"), (b"}\n", b"}"), (b"}\n", b"}\n\n"), (b'":5,', b'": 5,')],
)
def test_a_head_that_is_spelt_otherwise_shows(
    filled: Ledger, tmp_path: Path, before: bytes, after: bytes
) -> None:
    """The head too is byte for byte what was written."""
    head = path_of(tmp_path).with_suffix(".head")
    assert before in head.read_bytes()
    head.write_bytes(head.read_bytes().replace(before, after))
    assert told(filled) == [("head", "it is not written as it was signed")]


@pytest.mark.parametrize("kind", ["jsonl", "head"])
def test_a_signature_that_is_spelt_otherwise_shows(
    filled: Ledger, tmp_path: Path, kind: str
) -> None:
    """Bits of its last letter that stand for nothing must be nothing."""
    path = path_of(tmp_path).with_suffix(f".{kind}")
    end = path.read_bytes().rindex(b'=="')
    for letter in b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        data = bytearray(path.read_bytes())
        before, data[end - 1] = data[end - 1], letter
        path.write_bytes(data)
        assert bool(told(filled)) == (letter != before)
        data[end - 1] = before
        path.write_bytes(data)


def test_a_dropped_entry_shows(filled: Ledger, tmp_path: Path) -> None:
    """A line that was taken out leaves its successor following nothing that is there."""
    lines = path_of(tmp_path).read_bytes().splitlines(keepends=True)
    path_of(tmp_path).write_bytes(b"".join([*lines[:2], *lines[3:]]))

    assert ("3", "it says it is entry 4") in told(filled)
    assert ("3", "it follows what is missing or was changed") in told(filled)


def test_reordered_entries_show(filled: Ledger, tmp_path: Path) -> None:
    """Two lines that changed places are each told."""
    lines = path_of(tmp_path).read_bytes().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    path_of(tmp_path).write_bytes(b"".join(lines))

    assert {key for key, _ in told(filled)} >= {"2", "3"}


def test_a_truncated_ledger_shows_by_its_head(filled: Ledger, tmp_path: Path) -> None:
    """Missing last entries show by the head beside the file; and nothing is added to such."""
    lines = path_of(tmp_path).read_bytes().splitlines(keepends=True)
    path_of(tmp_path).write_bytes(b"".join(lines[:3]))

    assert told(filled) == [("5", OTHER)]
    with pytest.raises(LedgerError):
        filled.append(TASK, "run-3", [proof(6)])


def test_a_ledger_and_head_of_earlier_show_by_a_head_kept_elsewhere(
    filled: Ledger, tmp_path: Path
) -> None:
    """Whoever puts an earlier file and its head back is found out by what a journal keeps."""
    head = path_of(tmp_path).with_suffix(".head")
    before = path_of(tmp_path).read_bytes(), head.read_bytes()
    filled.append(TASK, "run-3", [proof(6)])
    kept = filled.head(TASK)
    path_of(tmp_path).write_bytes(before[0])
    head.write_bytes(before[1])

    assert told(filled) == []
    assert told(filled, kept) == [("6", OTHER)]


def test_a_missing_or_forged_head_shows(filled: Ledger, tmp_path: Path) -> None:
    """Without its head, or with one that somebody else wrote, a ledger is not whole."""
    head = path_of(tmp_path).with_suffix(".head")
    forged = {**json.loads(head.read_text()), "entries": 1}
    head.write_bytes(canonical(forged))
    assert told(filled) == [("head", "it is not signed by the key of this ledger")]
    head.unlink()
    assert told(filled) == [("head", "its record is missing")]


def test_a_ledger_that_was_written_anew_with_another_key_shows(
    filled: Ledger, tmp_path: Path
) -> None:
    """A whole chain that somebody rebuilt is no chain of this ledger: it lacks the key."""
    other = tmp_path / "other"
    ledger(other).append(TASK, "run-1", [proof(1)])
    for kind in ("jsonl", "head"):
        source = other / "ledger" / f"{TASK}.{kind}"
        (tmp_path / "ledger" / f"{TASK}.{kind}").write_bytes(source.read_bytes())

    assert ("1", "it is signed by another key") in told(filled)


def test_an_entry_of_another_task_does_not_fit(filled: Ledger, tmp_path: Path) -> None:
    """A good entry of one task proves nothing for another."""
    path = tmp_path / "ledger" / "other.jsonl"
    path.write_bytes(path_of(tmp_path).read_bytes())

    assert filled.problems("other")[0].what == f"it belongs to the task {TASK}"


def test_a_line_that_was_never_finished_was_never_there(filled: Ledger, tmp_path: Path) -> None:
    """What a crash left half written was told to nobody, and the next entry takes its place.

    One that was told, and lost its end, is missing.
    """
    whole = path_of(tmp_path).read_bytes()
    path_of(tmp_path).write_bytes(whole[:-1])
    assert told(filled) == [("5", "it is missing, or another than was recorded")]
    path_of(tmp_path).write_bytes(whole + b'{"half":')

    assert told(filled) == []
    filled.append(TASK, "run-3", [proof(6)])
    assert told(filled) == []
    assert len(filled.read(TASK)) == 6


def test_a_head_that_a_crash_left_behind_is_no_fault(filled: Ledger, tmp_path: Path) -> None:
    """An entry that came to disk before its head was told counts, and the next one follows it."""
    head = path_of(tmp_path).with_suffix(".head")
    before = head.read_bytes()
    filled.append(TASK, "run-3", [proof(6)])
    head.write_bytes(before)

    assert told(filled) == []
    filled.append(TASK, "run-3", [proof(7)])
    assert [each.subject[-1] for each in filled.read(TASK)][-2:] == ["6", "7"]


def test_a_truncated_ledger_is_not_healed_by_what_comes_after(
    filled: Ledger, tmp_path: Path
) -> None:
    """Without its head, missing last entries would show nowhere once another one was added."""
    lines = path_of(tmp_path).read_bytes().splitlines(keepends=True)
    path_of(tmp_path).write_bytes(b"".join(lines[:3]))
    path_of(tmp_path).with_suffix(".head").unlink()

    with pytest.raises(LedgerError) as raised:
        filled.append(TASK, "run-3", [proof(6)])
    assert [(each.key, each.what) for each in raised.value.problems] == [
        ("head", "its record is missing")
    ]


def test_a_ledger_that_is_gone_shows_by_its_head(filled: Ledger, tmp_path: Path) -> None:
    """By the one beside it, and where that is gone too by one that was kept elsewhere."""
    kept = filled.head(TASK)
    path_of(tmp_path).unlink()

    assert told(filled) == [("5", OTHER)]
    with pytest.raises(LedgerError):
        filled.append(TASK, "run-3", [proof(6)])
    path_of(tmp_path).with_suffix(".head").unlink()
    assert told(filled, kept) == [("5", OTHER)]


def test_a_ledger_without_its_key_is_read_by_nobody(filled: Ledger, tmp_path: Path) -> None:
    """To look at it makes no other key."""
    (tmp_path / "keys" / "ledger.json").unlink()

    assert told(filled) == [("key", "the key that signs it is missing")]
    assert filled.head(TASK) == Head()
    assert not (tmp_path / "keys" / "ledger.json").exists()


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_what_is_no_file_is_no_ledger(filled: Ledger, tmp_path: Path, kind: str) -> None:
    """It is neither waited for nor followed, by whoever reads or writes."""
    path = path_of(tmp_path)
    if kind == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.unlink()
        path.mkdir() if kind == "folder" else os.mkfifo(path)

    for work in (filled.read, filled.problems, filled.entries):
        with pytest.raises(UnavailableError):
            work(TASK)
    with pytest.raises(UnavailableError):
        filled.append(TASK, "run-3", [proof(6)])


HOLDER = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Have another process hold a file, or a folder, and never let go."""
    words = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
        process.kill()


def impatient(folder: Path) -> Ledger:
    """Return the ledger of somebody who does not wait long."""
    key = folder / "keys" / "ledger.json"
    return Ledger(LedgerSettings(folder=folder / "ledger", key=key, wait_seconds=0.2))


def test_a_ledger_that_somebody_holds_for_ever_stops_nobody_for_ever(
    filled: Ledger, tmp_path: Path
) -> None:
    """Whoever reads or writes waits so long, and is told then which file and what to do."""
    book = impatient(tmp_path)
    works: list[Callable[[], object]] = [
        lambda: book.append(TASK, "run-3", [proof(6)]),
        lambda: book.read(TASK),
        lambda: book.problems(TASK),
    ]
    with held(path_of(tmp_path)):
        for work in works:
            with pytest.raises(UnavailableError, match=f"{TASK}.jsonl") as raised:
                work()
            assert f"lsof {path_of(tmp_path)}" in raised.value.hint
    for work in works:
        work()
    assert len(book.read(TASK)) == 6


def test_a_key_that_somebody_holds_for_ever_stops_nobody_for_ever(tmp_path: Path) -> None:
    """Neither does whoever began to make the key, and did not end."""
    (tmp_path / "keys").mkdir(mode=0o700)
    with held(tmp_path / "keys"), pytest.raises(UnavailableError, match="keys"):
        impatient(tmp_path).append(TASK, "run-1", [proof(1)])
    assert impatient(tmp_path).append(TASK, "run-1", [proof(1)])


def test_a_disk_that_is_full_adds_nothing(filled: Ledger, tmp_path: Path) -> None:
    """What was there stays whole, and the next one is added when there is room again."""
    size = path_of(tmp_path).stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
    try:
        with pytest.raises(UnavailableError):
            filled.append(TASK, "run-3", [proof(6)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)

    assert path_of(tmp_path).stat().st_size == size
    assert told(filled) == []
    filled.append(TASK, "run-3", [proof(6)])
    assert len(filled.read(TASK)) == 6


def test_whoever_reads_while_others_write_sees_a_whole_ledger(
    filled: Ledger, tmp_path: Path
) -> None:
    """An entry comes with its head: no reader takes the one before the other for a fault."""
    writer = multiprocessing.get_context("spawn").Process(
        target=_append, args=(str(tmp_path), 1, 100)
    )
    writer.start()
    found, reads = [], 0
    while writer.is_alive():
        found += told(filled)
        reads += 1
    writer.join(60)

    assert (writer.exitcode, found) == (0, [])
    assert reads > 0
    assert len(filled.read(TASK)) == 105


def _append(folder: str, worker: int, count: int = 20) -> None:
    for number in range(count):
        ledger(Path(folder)).append(TASK, f"run-{worker}", [proof(worker * 100 + number)])


def test_defect_validation_c5_four_writers_at_once_lose_and_break_nothing(tmp_path: Path) -> None:
    """4 processes that append 20 proofs each leave 80 entries in one whole chain."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_append, args=(str(tmp_path), each)) for each in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)

    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    assert len(ledger(tmp_path).read(TASK)) == 80


def test_defect_validation_b18_an_id_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    """An id names one file, so it may hold no path."""
    for task in ("../x", "a/b", "", "a\0b"):
        with pytest.raises(InvalidError):
            ledger(tmp_path).append(task, "run", [proof(1)])
    with pytest.raises(NotFoundError):
        ledger(tmp_path).problems("nobody")


def test_the_key_is_the_owners_and_no_entry_shows_it(filled: Ledger, tmp_path: Path) -> None:
    """The key is made once, 0600, and its private half is in no other file."""
    key = tmp_path / "keys" / "ledger.json"
    seed = json.loads(key.read_text())["seed"]

    assert key.stat().st_mode & 0o777 == 0o600
    assert seed not in path_of(tmp_path).read_text()
    assert PrivateKey.read(key.read_bytes()).public.id in path_of(tmp_path).read_text()


def test_a_proof_cannot_smuggle_a_secret_in(filled: Ledger, tmp_path: Path) -> None:
    """Fields that are secret by name are masked before they are signed."""
    filled.append(TASK, "run-3", [proof(6, password="hunter2-in-clear")])

    assert "hunter2-in-clear" not in path_of(tmp_path).read_text()


class Counting(Ledger):
    """A ledger that counts how often the whole of it is read."""

    reads = 0

    def _read(self, task: str) -> tuple[list[Entry], list[Problem]]:
        self.reads += 1
        return super()._read(task)


@dataclass
class Lending:
    """Lend one ledger, as a link does."""

    book: Ledger

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Ledger]:
        """Lend it for a block."""
        yield self.book


async def test_a_gate_reads_the_whole_ledger_once(filled: Ledger, tmp_path: Path) -> None:
    """What was seen made, and whether anything was touched, come of the same look."""
    counting = Counting(
        LedgerSettings(folder=tmp_path / "ledger", key=tmp_path / "keys/ledger.json")
    )
    made = {"proofs": [{"digest": each.digest} for each in filled.read(TASK, "run-1")]}
    lent: Any = Lending(counting)
    found, problems = await seen_proofs(lent, TASK, "run-1", [made])
    assert ([each.subject[-1] for each in found], problems) == (["1", "2", "3"], [])
    assert counting.reads == 1


def test_defect_tasks_that_begin_at_once_make_one_key(tmp_path: Path) -> None:
    """Whoever finds a key that another is making gets it whole, and every ledger is intact."""
    for number in range(20):
        folder = tmp_path / str(number)
        tasks = [f"task-{each}" for each in range(8)]
        together = threading.Barrier(len(tasks))

        def begin(task: str, folder: Path = folder, together: threading.Barrier = together) -> None:
            together.wait(60)
            ledger(folder).append(task, "run", [proof(1)])

        with ThreadPoolExecutor(len(tasks)) as pool:
            list(pool.map(begin, tasks))
        assert {tuple(ledger(folder).problems(task)) for task in tasks} == {()}
