"""Keys by name: files, secrets of the runtime, and public keys as text; and new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from oneiric.config import CachePaths
from oneiric.errors import InvalidError, InvalidPathError, JSONValue
from oneiric.files import read_bounded, write_atomic, write_new
from oneiric.remote.errors import InvalidKeyError, SealedKeyError
from oneiric.remote.security import PrivateKey, PublicKey, is_private

if TYPE_CHECKING:
    from oneiric.runtime.orchestrator import RuntimeOrchestrator

K = TypeVar("K", PrivateKey, PublicKey)

SECRET, PUBLIC = "secret:", "public:"
LONGEST = 8192
_OWNER_ONLY, _OWNERS_FOLDER = 0o600, 0o700
_SHOWN = 16
_BARE = (32, 44, 64)  # how long 32 bytes are: as they are, as base64, as hexadecimal


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair that was made: its public half, and the file that holds the private one."""

    public: PublicKey
    path: Path
    is_sealed: bool

    def as_json(self) -> dict[str, JSONValue]:
        """Return `oneiric.manifest-key/1`; the private half is nowhere in it."""
        return {
            "schema": "oneiric.manifest-key/1",
            "id": self.public.id,
            "public": self.public.text,
            "path": str(self.path),
            "sealed": self.is_sealed,
        }


class Keyring:
    """Find keys by what a command names them.

    A name is that of a file; `secret:NAME` asks the secrets adapter of the runtime, and
    `public:TEXT` is a public key itself. No error repeats what a key or passphrase is.

    Args:
        folder: the working folder.
        runtime: composes the runtime whose secrets adapter is asked, each time anew.
        passphrase: opens the keys that are sealed, and seals one that is made.
    """

    def __init__(
        self,
        folder: Path,
        *,
        runtime: Callable[[], RuntimeOrchestrator],
        passphrase: bytes | None = None,
    ) -> None:
        self._folder = folder
        self._runtime = runtime
        self._passphrase = passphrase

    def generate(self, path: Path | None = None, *, force: bool = False) -> NewKey:
        """Make a key pair and keep it, readable by its owner only.

        Without *path* it is named after its id, in the folder of keys below the state.

        Raises:
            InvalidPathError: the file exists, and *force* does not replace it.
        """
        key = PrivateKey.generate()
        if path is None:
            path = self._own_folder() / f"{key.public.id[:_SHOWN]}.json"
        else:
            make_folder(path)
        data = key.write(passphrase=self._passphrase)
        if force:
            write_atomic(path, data, mode=_OWNER_ONLY, durable=True)
        else:
            write_once(path, data, mode=_OWNER_ONLY)
        return NewKey(key.public, path, self._passphrase is not None)

    def private(self, name: str) -> PrivateKey:
        """Return the private key called *name*.

        Raises:
            InvalidKeyError: it is none.
            SealedKeyError: its passphrase was not given, or is another.
            NotFoundError: there is no such file, or no such secret.
        """
        data = self._read(name)
        return _named(name, lambda: PrivateKey.read(data, passphrase=self._passphrase))

    def public(self, name: str) -> PublicKey:
        """Return the public half of the key called *name*; a sealed key need not be opened.

        A file of 32 bare bytes is refused: as they may be the private half, they must not be
        published. A secret is private.

        Raises:
            InvalidKeyError, NotFoundError: as in `private`.
        """
        data = self._read(name)
        if _is_bare(data) and name.startswith(SECRET):
            return _named(name, lambda: PrivateKey.read(data)).public
        if _is_bare(data) and not name.startswith(PUBLIC):
            hint = "write public:TEXT if it is the public one"
            raise InvalidKeyError(f"{name}: it does not say which half of a key it is", hint=hint)
        return _named(name, lambda: PublicKey.half_of(data))

    def either(self, name: str) -> PrivateKey | PublicKey:
        """Return the private key called *name*; the public one if that is what it says it is.

        Raises:
            InvalidKeyError, SealedKeyError, NotFoundError: as in `private`.
        """
        data = self._read(name)
        if name.startswith(PUBLIC) or not (_is_bare(data) or is_private(data)):
            return _named(name, lambda: PublicKey.half_of(data))
        return _named(name, lambda: PrivateKey.read(data, passphrase=self._passphrase))

    def _read(self, name: str) -> bytes:
        if name.startswith(PUBLIC):
            return name.removeprefix(PUBLIC).encode()
        if name.startswith(SECRET):
            return asyncio.run(self._secret(name.removeprefix(SECRET))).encode()
        return read_bounded(Path(name), limit=LONGEST)

    async def _secret(self, name: str) -> str:
        async with self._runtime().once() as runtime:
            return await runtime.secrets.get(name)

    def _own_folder(self) -> Path:
        folder = CachePaths.under(self._folder).keys
        make_folder(folder)
        folder.mkdir(mode=_OWNERS_FOLDER, exist_ok=True)
        folder.chmod(_OWNERS_FOLDER)
        return folder


def read_passphrase(data: bytes) -> bytes:
    """Return the passphrase that a file or an input holds: all of it but one line end.

    Raises:
        InvalidError: it is empty or too long.
    """
    found = data.removesuffix(b"\n").removesuffix(b"\r")
    if not found:
        raise InvalidError("the passphrase is empty")
    if len(found) > LONGEST:
        raise InvalidError(f"the passphrase has more than {LONGEST} bytes")
    return found


def make_folder(path: Path) -> None:
    """Make the folder that *path* shall lie in, with all above it."""
    path.parent.mkdir(parents=True, exist_ok=True)


def write_once(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put *data* at *path* unless something lies there.

    Raises:
        InvalidPathError: something does.
    """
    try:
        write_new(path, data, mode=mode)
    except InvalidPathError as error:
        raise InvalidPathError(error.path, error.reason, hint="--force replaces it") from None


def _is_bare(data: bytes) -> bool:
    """Tell whether *data* are 32 bytes, as they are or as text, that do not say what they are."""
    return len(data.strip()) in _BARE and not is_private(data)


def _named(name: str, read: Callable[[], K]) -> K:
    """Return what *read* does; its errors tell of which key."""
    shown = "the key after public:" if name.startswith(PUBLIC) else name
    try:
        return read()
    except InvalidKeyError as error:
        raise InvalidKeyError(f"{shown}: {error.message}", hint=error.hint) from None
    except SealedKeyError as error:
        raise SealedKeyError(f"{shown}: {error.message}", hint=error.hint) from None
