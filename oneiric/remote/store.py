"""What is remembered of a source from one start to the next, so that no old truth is told as new.

    state.json           the highest version seen, its digest, who could sign then, the last success
    manifest.dsse.json   the last verified manifest, as it was received
    2.root.json, …       the trust roots after the pinned one, as they were received

The manifest is written before the state that tells of it, and an empty state before the first
manifest: wherever a crash falls, what lies there can be verified or is refused, and no manifest
is ever without a state that would tell of a rollback.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oneiric.documents import canonical, parse
from oneiric.errors import (
    DocumentError,
    InvalidPathError,
    LockedError,
    NotFoundError,
    OneiricError,
    UnavailableError,
)
from oneiric.files import own_folder, read_bounded, write_atomic
from oneiric.remote.envelope import LONGEST
from oneiric.remote.errors import TrustStateError
from oneiric.remote.manifest import LARGEST
from oneiric.remote.verify import Seen
from oneiric.text.names import is_name

STATE = "state.json"
MANIFEST = "manifest.dsse.json"
LONGEST_ROOT = 512 * 1024
_MOST_ROOTS = 1024
_LONGEST_STATE = 64 * 1024
_ROOT = re.compile(r"([1-9][0-9]{0,5})\.root\.json")
_Digest = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")]
_KeyId = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class SourceState(BaseModel):
    """What is known of a source; the version is 0 until a manifest of it was verified."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, validate_by_name=True, hide_input_in_errors=True
    )

    schema_: Literal["oneiric.trust-state/1"] = Field(
        default="oneiric.trust-state/1", alias="schema"
    )
    """The format."""
    version: int = Field(default=0, ge=0, le=LARGEST)
    """The highest version that was verified."""
    digest: _Digest = ""
    """The digest of that version's payload, `sha256:…`."""
    keys: list[_KeyId] = Field(default_factory=list, max_length=64)
    """Ids of the keys that could sign manifests then."""
    threshold: int = Field(default=1, ge=1, le=64)
    """How many of them had to."""
    root: int = Field(default=1, ge=1, le=LARGEST)
    """The version of the last trust root that was taken."""
    etag: str = Field(default="", max_length=512)
    """What the server called that version."""
    kept: _Digest = ""
    """The digest of the kept manifest's file."""
    last_success: str = Field(default="", max_length=40)
    """When the source was last found as it should be, RFC 3339."""

    @property
    def seen(self) -> Seen | None:
        """The highest version, as `verify` takes it; None when none was seen."""
        if not self.version:
            return None
        return Seen(self.version, self.digest, tuple(self.keys), self.threshold)

    def remembering(self, seen: Seen) -> Self:
        """Return the state after *seen* was verified."""
        told = {"version": seen.version, "digest": seen.digest, "keys": list(seen.keys)}
        return self.model_copy(update={**told, "threshold": seen.threshold})


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is remembered of a source, read at one moment; empty for a new one.

    `roots` are the envelopes of the trust roots after the pinned one, in a row that begins with
    the version `first`.
    """

    state: SourceState | None = None
    manifest: bytes | None = field(default=None, repr=False)
    roots: Sequence[bytes] = field(default=(), repr=False)
    first: int = 2

    @property
    def is_whole(self) -> bool:
        """Whether the kept manifest is the one that the state tells of."""
        return self.manifest is None or (
            self.state is not None and self.state.kept == _digest(self.manifest)
        )

    @property
    def etag(self) -> str:
        """What the server calls the manifest that is here, or nothing when another one is."""
        if self.state is None or self.manifest is None:
            return ""
        return self.state.etag if self.state.kept == _digest(self.manifest) else ""


class SourceStore:
    """Keep what is known of one source in a folder of its own, mode 0700, its files 0600.

    Reading writes nothing. All methods block; call them in a thread.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def under(cls, folder: Path, source: str) -> Self:
        """Return the store of a source, in a folder of that name.

        Raises:
            InvalidPathError: *source* is no name.
        """
        if not is_name(source):
            raise InvalidPathError(source, "it is no name of a source")
        return cls(folder / source)

    def read(self, *, pinned: int = 1) -> Kept:
        """Return what is kept, of a source whose pinned trust root has the version *pinned*.

        Raises:
            TrustStateError: a file is damaged or gone that others tell of, so that a rollback
                could not be noticed any more.
            UnavailableError: the system does not let it be read.
        """
        manifest = self._bytes(MANIFEST, LONGEST)
        first, roots = self._roots(pinned)
        state = self._state()
        if state is None and (manifest is not None or roots):
            what, verb = ("the manifest", "is") if manifest is not None else ("trust roots", "are")
            raise self.damaged(STATE, f"it is gone, but {what} that it told of {verb} kept")
        if state is not None and state.root > 1 and state.root >= first + len(roots):
            raise self.damaged(f"{state.root}.root.json", "the trust root was taken, and is gone")
        return Kept(state, manifest, roots, first)

    def damaged(self, name: str, reason: str) -> TrustStateError:
        """Return the error that a kept file is not what was kept, and how to begin anew."""
        return TrustStateError(str(self.folder / name), reason, folder=str(self.folder))

    def keep(
        self, state: SourceState, *, after: SourceState | None, manifest: bytes | None = None
    ) -> SourceState:
        """Remember *state*, and the *manifest* that led to it, if nobody else was quicker.

        Args:
            state: what is known from now on.
            after: the state on which that was decided; None for a new source.
            manifest: the envelope as it was received; without it the kept one stays.

        Returns:
            The state as it was written.

        Raises:
            LockedError: another process changed the state in the meantime.
            TrustStateError: what is there is damaged.
            UnavailableError: it cannot be written.
        """
        with self._locked():
            self._expect(after)
            if manifest is not None:
                if after is None:
                    self._write(STATE, _written(SourceState()))
                self._write(MANIFEST, manifest)
                state = state.model_copy(update={"kept": _digest(manifest)})
            self._write(STATE, _written(state))
        return state

    def keep_root(self, number: int, data: bytes, *, after: SourceState | None) -> SourceState:
        """Remember a trust root that was verified, and that no older one counts any more.

        Raises: as `keep`.
        """
        with self._locked():
            self._expect(after)
            first, kept = self._roots(number)
            state = (after or SourceState()).model_copy(update={"root": 1})
            if after is None or (kept and number != first + len(kept)):
                self._write(STATE, _written(state))
                for old in range(first, first + len(kept)):  # a later one was pinned meanwhile
                    (self.folder / f"{old}.root.json").unlink(missing_ok=True)
            self._write(f"{number}.root.json", data)
            state = state.model_copy(update={"root": number})
            self._write(STATE, _written(state))
        return state

    def _expect(self, after: SourceState | None) -> None:
        if self._state() != after:
            raise LockedError(f"{self.folder / STATE}: another process changed it; try again")

    def _state(self) -> SourceState | None:
        data = self._bytes(STATE, _LONGEST_STATE)
        if data is None:
            return None
        try:
            return SourceState.model_validate(parse(data, "json", source=STATE))
        except DocumentError as error:
            raise self.damaged(STATE, error.problem) from error
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise self.damaged(STATE, f"{place or 'it'} is not what was written") from None

    def _roots(self, pinned: int) -> tuple[int, tuple[bytes, ...]]:
        """Return the version of the first kept trust root, and all of them."""
        try:
            names = [_ROOT.fullmatch(path.name) for path in self.folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return 2, ()
        except OSError as error:
            raise self._unreadable(error) from error
        numbers = sorted(int(match[1]) for match in names if match)
        first = numbers[0] if numbers else 2
        row = list(range(first, first + len(numbers)))
        if numbers != row or first > pinned + 1 or len(numbers) > _MOST_ROOTS:
            raise self.damaged("*.root.json", "the chain of trust roots has a gap")
        found = (self._bytes(f"{number}.root.json", LONGEST_ROOT) for number in numbers)
        return first, tuple(data for data in found if data is not None)

    def _bytes(self, name: str, limit: int) -> bytes | None:
        try:
            return read_bounded(self.folder / name, limit=limit)
        except NotFoundError:
            return None
        except InvalidPathError as error:
            raise self.damaged(name, error.reason) from error

    def _write(self, name: str, data: bytes) -> None:
        write_atomic(self.folder / name, data, mode=0o600, durable=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder against other processes that write; its end lets go of it."""
        try:
            own_folder(self.folder)
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._unreadable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _unreadable(self, error: OSError) -> OneiricError:
        return UnavailableError(f"{self.folder}: {(error.strerror or 'cannot be read').lower()}")


def _written(state: SourceState) -> bytes:
    return canonical(state.model_dump(by_alias=True)) + b"\n"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
