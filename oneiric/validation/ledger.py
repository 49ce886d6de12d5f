"""The ledger of a task: its proofs on disk, chained and signed, so that a touched one shows."""

from __future__ import annotations

import base64
import binascii
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from oneiric.clock import SystemClock, rfc3339
from oneiric.documents import canonical, digest, parse
from oneiric.errors import (
    InvalidError,
    JSONValue,
    NotFoundError,
    OneiricError,
    Problem,
    RefusedError,
    UnavailableError,
)
from oneiric.files import own_folder, read_bounded, write_atomic
from oneiric.remote.security import PrivateKey
from oneiric.runs.proof import Proof, verify_chain
from oneiric.text.names import is_name

ENTRY, HEAD = "oneiric.ledger-entry/1", "oneiric.ledger-head/1"
SEAL = "oneiric.ledger-seal/1"
MAX_BYTES = 256 << 20
"""Bytes of the longest ledger; a task that has filled one goes on under another id."""
_LINE = 1 << 20
_KEY_BYTES = 8_192
_ORIGIN = "ledger"
_OTHER = "it is missing, or another than was recorded"
_HEADLESS = "its record is missing"
_KEYLESS = "the key that signs it is missing"
_RESPELT = "it is not written as it was signed"
_POLL_SECONDS = 0.02
_SIGNED = ("schema", "task", "seq", "run", "proof", "key")


class LedgerError(RefusedError):
    """What stands in a ledger is not what was put there; carries everything that is wrong."""

    code = "ledger-broken"

    def __init__(self, task: str, problems: Sequence[Problem]) -> None:
        super().__init__(
            f"the ledger of {task} was touched", hint=f"oneiric validation proofs verify {task}"
        )
        self.task = task
        self.problems = tuple(problems)

    def details(self) -> Mapping[str, JSONValue]:
        """Return the task and each problem."""
        return {"task": self.task, "problems": [each.as_json() for each in self.problems]}

    def lines(self) -> Sequence[str]:
        """Return one line for each problem."""
        return [f"entry {each.key}: {each.what}" for each in self.problems]


class LedgerSettings(BaseModel):
    """Say where ledgers are, and the key that signs them; seen from the working folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path = Path(".oneiric_cache/ledger")
    """Where each task has its file."""
    key: Path = Path(".oneiric_cache/keys/ledger.json")
    """The key, made when there is none; whoever has it can write a ledger anew."""
    wait_seconds: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """How long to wait for a process that holds a ledger."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a ledger: how many entries it has, and the digest of the last proof."""

    entries: int = 0
    digest: str = ""

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"entries", "digest"}`."""
        return {"entries": self.entries, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a ledger: a proof, its number from 1, and the run in which it was seen made."""

    seq: int
    run: str
    proof: Proof


class Ledger:
    """Keep the proofs of tasks, each task in a file of its own.

    An entry follows the one before it by digest and is signed; it is on disk when `append`
    returns. Any number of processes may append. What was changed, dropped, put elsewhere or put
    in shows in `problems`; that the last ones are missing shows by the head, which is signed and
    stands beside the file, and by one that was recorded elsewhere. Calls block for the length of a
    write to disk, and while another process holds the ledger, up to a limit.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"signed"})

    def __init__(self, settings: LedgerSettings | None = None) -> None:
        self._settings = settings or LedgerSettings()
        self._clock = SystemClock()

    def append(self, task: str, run: str, proofs: Iterable[Proof]) -> list[Proof]:
        """Add *proofs*, which were seen made in *run*, and return them as they stand there.

        Raises:
            InvalidError: *task* is no id, or the ledger is full.
            LedgerError: its end is not the one that was recorded; nothing was added.
            UnavailableError: it cannot be written, or another process does not let go of it;
                nothing was added.
        """
        given = list(proofs)
        with self._locked(task) as ledger:
            key, end = self._key(), self._end(task, ledger)
            if end is None:
                self._tell_head(task, Head(), key)  # so that entries without one are a fault
            last = end.proof if end else None
            lines, added = [], []
            for seq, proof in enumerate(given, end.seq + 1 if end else 1):
                last = proof.after(last)
                added.append(last)
                lines.append(_line(Entry(seq, run, last), task, key))
            if last and added:
                self._write(ledger, b"".join(lines))
                self._tell_head(task, Head(seq, last.digest), key)
        return added

    def read(self, task: str, run: str = "") -> list[Proof]:
        """Return the proofs of *task*, in order, those of one *run* alone if it is named.

        Raises:
            LedgerError: something is wrong with the ledger; whatever it is.
            UnavailableError: it cannot be read, or another process does not let go of it.
        """
        entries, problems = self._read_whole(task, ())
        if problems:
            raise LedgerError(task, problems)
        return [entry.proof for entry in entries if run in ("", entry.run)]

    def problems(self, task: str, *, heads: Iterable[Head] = ()) -> list[Problem]:
        """Return everything that is wrong with the ledger of *task*, by the number of the entry.

        *heads* are ends that were recorded elsewhere, such as in the journals of runs.

        Raises:
            NotFoundError: there is no ledger of that task, and never was one.
        """
        return self.verified(task, heads=heads)[1]

    def verified(
        self, task: str, *, heads: Iterable[Head] = ()
    ) -> tuple[list[Entry], list[Problem]]:
        """Return the entries of *task* that can be read, and all that is wrong, read once.

        Raises:
            NotFoundError: as for `problems`.
        """
        known = list(heads)
        is_there = any(self._path(task, kind).exists() for kind in ("jsonl", "head"))
        if not is_there and not any(head.entries for head in known):
            raise NotFoundError("ledger", task, known=self.tasks())
        return self._read_whole(task, known)

    def entries(self, task: str) -> list[Entry]:
        """Return the entries of *task* that can be read, whether or not anything is wrong."""
        return self._read_whole(task, ())[0]

    def head(self, task: str) -> Head:
        """Return the end of the ledger of *task* as it was recorded last."""
        return self._recorded(task, []) or Head()

    def seal(self, task: str, run: str, begun: JSONValue) -> str:
        """Return a signature by which `is_sealed` knows what a run of *task* was begun with.

        Raises:
            UnavailableError: the key cannot be made or read.
        """
        try:
            return _text(self._key().sign(_sealed(task, run, begun)))
        except OSError as error:
            raise _told(self._settings.key, error) from error

    def is_sealed(self, task: str, run: str, begun: JSONValue, seal: str) -> bool:
        """Tell whether *seal* was given for that run of *task*, begun with just that."""
        if not self._settings.key.exists():
            return False
        return self._key().public.verifies(_sealed(task, run, begun), _bytes(seal))

    def tasks(self) -> list[str]:
        """Return the ids of all tasks that have a ledger."""
        return sorted(path.stem for path in self._settings.folder.glob("*.jsonl"))

    def _path(self, task: str, kind: str = "jsonl") -> Path:
        if not is_name(task):
            raise InvalidError(f"{task!r} is no id of a task")
        return self._settings.folder / f"{task}.{kind}"

    @contextmanager
    def _locked(self, task: str) -> Iterator[int]:
        path = self._path(task)
        try:
            own_folder(path.parent)
            ledger = _opened(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        except OSError as error:
            raise _told(path, error) from error
        try:
            self._hold(ledger, fcntl.LOCK_EX, path)
            yield ledger
        finally:
            os.close(ledger)

    @contextmanager
    def _settled(self, task: str) -> Iterator[None]:
        """Hold writers off while a ledger is read with its head; one that is not there is none."""
        path = self._path(task)
        try:
            ledger = _opened(path, os.O_RDONLY)
        except FileNotFoundError:
            yield
            return
        except OSError as error:
            raise _told(path, error) from error
        try:
            self._hold(ledger, fcntl.LOCK_SH, path)
            yield
        finally:
            os.close(ledger)

    def _hold(self, opened: int, how: int, path: Path) -> None:
        """Lock what is open at *path*.

        Raises:
            UnavailableError: another process has held it all the time that may be waited.
        """
        until = self._clock.monotonic() + self._settings.wait_seconds
        while True:
            try:
                return fcntl.flock(opened, how | fcntl.LOCK_NB)
            except BlockingIOError:
                if self._clock.monotonic() >= until:
                    hint = f"end the process that holds it, and try again: lsof {path}"
                    raise UnavailableError(
                        f"{path} is held by another process", hint=hint
                    ) from None
            time.sleep(_POLL_SECONDS)

    def _write(self, ledger: int, data: bytes) -> None:
        size = os.fstat(ledger).st_size
        if size + len(data) > MAX_BYTES:
            raise InvalidError(f"the ledger is full: {MAX_BYTES} bytes", hint="use another task id")
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(ledger, left) :]
            os.fsync(ledger)
        except OSError as error:
            os.ftruncate(ledger, size)
            raise UnavailableError(f"the ledger: {(error.strerror or '').lower()}") from error

    def _end(self, task: str, ledger: int) -> Entry | None:
        """Return the last entry on disk; a line that was never finished is taken away.

        Raises:
            LedgerError: it is neither the one that was recorded last nor one after it.
        """
        size = os.fstat(ledger).st_size
        data = os.pread(ledger, 2 * _LINE, max(0, size - 2 * _LINE))
        whole = data[: data.rfind(b"\n") + 1]
        if torn := len(data) - len(whole):
            os.ftruncate(ledger, size - torn)
        problems: list[Problem] = []
        known = self._recorded(task, problems)
        if known is None and whole and not problems:
            problems.append(Problem("head", _HEADLESS, _ORIGIN))
        recorded = known or Head()
        end: Entry | str | None = None
        if whole:
            end = _entry(task, whole[:-1].rpartition(b"\n")[2], self._key())
        if isinstance(end, str):
            problems.append(Problem("last", end, _ORIGIN))
        elif (end.seq if end else 0) < recorded.entries:
            what = "it is missing, and perhaps others before it"
            problems.append(Problem(str(recorded.entries), what, _ORIGIN))
        elif end and end.seq == recorded.entries and end.proof.digest != recorded.digest:
            problems.append(Problem(str(end.seq), _OTHER, _ORIGIN))
        if problems:
            raise LedgerError(task, problems)
        assert not isinstance(end, str)
        return end

    def _key(self) -> PrivateKey:
        """Return the key; of all who find none at once, one makes it, and it is there whole."""
        path = self._settings.key
        try:
            return PrivateKey.read(read_bounded(path, limit=_KEY_BYTES))
        except NotFoundError:
            own_folder(path.parent)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._hold(folder, fcntl.LOCK_EX, path.parent)
            if not path.exists():
                write_atomic(path, PrivateKey.generate().write(), mode=0o600, durable=True)
        finally:
            os.close(folder)
        return PrivateKey.read(read_bounded(path, limit=_KEY_BYTES))

    def _tell_head(self, task: str, head: Head, key: PrivateKey) -> None:
        told: dict[str, JSONValue] = {
            "schema": HEAD,
            "task": task,
            **head.as_json(),
            "at": rfc3339(self._clock.now()),
            "key": key.public.id,
        }
        data = canonical({**told, "signature": _text(key.sign(canonical(told)))})
        write_atomic(self._path(task, "head"), data + b"\n", mode=0o600, durable=True)

    def _recorded(self, task: str, problems: list[Problem]) -> Head | None:
        """Return the head beside the file, or None; note what is wrong with it."""
        path = self._path(task, "head")
        if not path.exists():
            return None
        if not self._settings.key.exists():
            problems.append(Problem("head", _KEYLESS, _ORIGIN))
            return None
        try:
            data = read_bounded(path, limit=_LINE)
            told = parse(data, "json", source=str(path))
            assert isinstance(told, dict)
            is_respelt = data != canonical(told) + b"\n"
            signature = _bytes(str(told.pop("signature", "")))
            is_ours = told.get("schema") == HEAD and told.get("task") == task
            if not is_ours or not self._key().public.verifies(canonical(told), signature):
                raise InvalidError("it is not signed by the key of this ledger")
            if is_respelt:
                raise InvalidError(_RESPELT)
            return Head(int(str(told["entries"])), str(told["digest"]))
        except (OneiricError, AssertionError, KeyError, ValueError) as error:
            problems.append(Problem("head", str(error) or "it cannot be read", _ORIGIN))
            return None

    def _read_whole(self, task: str, heads: Iterable[Head]) -> tuple[list[Entry], list[Problem]]:
        with self._settled(task):
            if self._path(task).exists() and not self._settings.key.exists():
                return [], [Problem("key", _KEYLESS, _ORIGIN)]
            entries, problems = self._read(task)
            return entries, problems + self._against_heads(task, entries, heads)

    def _read(self, task: str) -> tuple[list[Entry], list[Problem]]:
        path = self._path(task)
        if not path.exists():
            return [], []
        data = read_bounded(path, limit=MAX_BYTES)
        problems: list[Problem] = []
        entries: list[Entry] = []
        *lines, _never_finished = data.split(b"\n")
        key = self._key()
        for number, line in enumerate(lines, 1):
            entry = _entry(task, line, key)
            if isinstance(entry, str):
                problems.append(Problem(str(number), entry, _ORIGIN))
                continue
            if entry.seq != number:
                problems.append(Problem(str(number), f"it says it is entry {entry.seq}", _ORIGIN))
            entries.append(entry)
        return entries, problems + verify_chain([entry.proof for entry in entries])

    def _against_heads(
        self, task: str, entries: Sequence[Entry], heads: Iterable[Head]
    ) -> list[Problem]:
        problems: list[Problem] = []
        recorded = self._recorded(task, problems)
        if recorded is None and entries and not problems:
            problems.append(Problem("head", _HEADLESS, _ORIGIN))
        ends = {entry.seq: entry.proof.digest for entry in entries}
        known = [head for head in dict.fromkeys((recorded, *heads)) if head and head.entries]
        lost = [head.entries for head in known if ends.get(head.entries) != head.digest]
        return problems + [Problem(str(entry), _OTHER, _ORIGIN) for entry in lost]


def _sealed(task: str, run: str, begun: JSONValue) -> bytes:
    return canonical({"schema": SEAL, "task": task, "run": run, "begun": digest(begun)})


def _line(entry: Entry, task: str, key: PrivateKey) -> bytes:
    told: dict[str, JSONValue] = {
        "schema": ENTRY,
        "task": task,
        "seq": entry.seq,
        "run": entry.run,
        "proof": entry.proof.as_json(),
        "key": key.public.id,
    }
    line = canonical({**told, "signature": _text(key.sign(canonical(told)))}) + b"\n"
    if len(line) > _LINE:
        raise InvalidError(f"the proof of {entry.proof.subject} is longer than {_LINE} bytes")
    return line


def _entry(task: str, line: bytes, key: PrivateKey) -> Entry | str:
    """Return what a line says, or why it says nothing."""
    try:
        told = parse(line, "json", source="ledger")
        if not isinstance(told, dict) or told.keys() != {*_SIGNED, "signature"}:
            return "it is no entry"
        is_respelt = line != canonical(told)
        signature = _bytes(str(told.pop("signature")))
        if told["key"] != key.public.id:
            return "it is signed by another key"
        if not key.public.verifies(canonical(told), signature):
            return "its signature does not fit: it was changed"
        if is_respelt:
            return _RESPELT
        if told["task"] != task:
            return f"it belongs to the task {told['task']}"
        seq = told["seq"]
        assert isinstance(seq, int)
        return Entry(seq, str(told["run"]), Proof.from_json(told["proof"]))
    except (OneiricError, AssertionError) as error:
        return f"it cannot be read: {error}"


def _opened(path: Path, flags: int) -> int:
    """Open a ledger; a link, pipe or device in its place is none.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    how = flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    ledger = os.open(path, how, 0o600)
    if not stat.S_ISREG(os.fstat(ledger).st_mode):
        os.close(ledger)
        raise OSError(errno.EINVAL, "it is no regular file")
    return ledger


def _told(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(f"{path}: {(error.strerror or 'no file').lower()}")


def _text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


def _bytes(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if _text(data) == text else b""
