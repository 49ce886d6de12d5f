"""Secrets from a file, or from a folder with a file for each, as Kubernetes mounts them."""

import asyncio
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from oneiric import documents, errors
from oneiric.adapters.settings import AdapterSettings
from oneiric.core.health import HealthReport
from oneiric.core.logging import get_logger
from oneiric.files import confined, read_bounded
from oneiric.ports.errors import (
    AdapterError,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    UnavailableError,
)

_log = get_logger("oneiric.adapters.secrets.file")

SIZE_LIMIT = 1 << 20
_KINDS: Mapping[str, Literal["json", "yaml", "toml"]] = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
}


class FileSecretsSettings(AdapterSettings):
    """Name the file or folder, how it is written, and whether each read is fresh.

    Without a `format` a file's suffix tells it. A folder has no format: each file
    in it is one secret.
    """

    path: Path
    format: Literal["json", "yaml", "toml"] | None = None
    reload_on_access: bool = False


class FileSecrets:
    """Read secrets from one document or from a folder of files.

    In a document a nested name is joined by dots: `db.password`. Only text and
    integers are secrets. In a folder a file's name is the secret's, hidden files
    are skipped, one newline at the end is dropped, and no link may lead out.
    """

    capabilities: ClassVar[frozenset[str]] = frozenset({"read"})

    def __init__(self, settings: FileSecretsSettings) -> None:
        self._settings = settings
        self._backend = f"secrets in {settings.path}"
        self._known: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"FileSecrets({str(self._settings.path)!r})"

    async def init(self) -> None:
        """Read everything, and warn when others than the owner can read it too.

        Raises:
            AdapterError: it is not there, not readable, or wrongly written.
        """
        if await asyncio.to_thread(_others_can_read, self._settings.path):
            _log.warning("secrets-readable-by-others", path=str(self._settings.path))
        await self._secrets()

    async def health(self) -> HealthReport:
        """Tell whether the file or folder can be read now, or why not."""
        try:
            await asyncio.to_thread(self._read)
        except AdapterError as error:
            return HealthReport(healthy=False, detail=error.message)
        return HealthReport(healthy=True)

    async def cleanup(self) -> None:
        """Forget what was read."""
        self._known = None

    async def get_secret(
        self, name: str, *, version: str | None = None, allow_missing: bool = False
    ) -> str | None:
        """Return the secret, or None when it is missing and may be."""
        if version is not None:
            raise NotSupportedError(self._backend, "versions")
        value = (await self._secrets()).get(name)
        if value is None and not allow_missing:
            raise NotFoundError(self._backend, "secret", name)
        return value

    async def list_secrets(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(await self._secrets())

    async def invalidate_cache(self, *names: str) -> None:
        """Forget what was read; a file is read as a whole, so all of it."""
        self._known = None

    async def _secrets(self) -> dict[str, str]:
        if self._known is None or self._settings.reload_on_access:
            self._known = await asyncio.to_thread(self._read)
        return self._known

    def _read(self) -> dict[str, str]:
        try:
            if self._settings.path.is_dir():
                return dict(self._read_folder(self._settings.path))
            return dict(self._read_document(self._settings.path))
        except errors.NotFoundError as error:
            raise NotFoundError(self._backend, "file", str(self._settings.path)) from error
        except errors.UnavailableError as error:
            raise self._unreadable(error) from error
        except errors.InvalidError as error:
            raise InvalidRequestError(self._backend, error.message) from error
        except OSError as error:
            raise self._unreadable(error) from error

    def _read_folder(self, folder: Path) -> Iterator[tuple[str, str]]:
        for file in sorted(folder.iterdir()):
            if not file.name.startswith(".") and file.is_file():
                data = read_bounded(confined(folder, file.name), limit=SIZE_LIMIT)
                yield file.name, self._text(file.name, data)

    def _text(self, name: str, data: bytes) -> str:
        try:
            return data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise InvalidRequestError(self._backend, f"{name} is not UTF-8") from None

    def _read_document(self, path: Path) -> Iterator[tuple[str, str]]:
        kind = self._settings.format or _KINDS.get(path.suffix.lower())
        if kind is None:
            raise InvalidRequestError(self._backend, "its suffix tells no format; set `format`")
        value = documents.parse(read_bounded(path, limit=SIZE_LIMIT), kind, source=str(path))
        if not isinstance(value, Mapping):
            raise InvalidRequestError(self._backend, "it is no table of names and secrets")
        yield from self._flat(value, "")

    def _flat(self, table: Mapping[str, errors.JSONValue], above: str) -> Iterator[tuple[str, str]]:
        for name, value in table.items():
            if isinstance(value, Mapping):
                yield from self._flat(value, f"{above}{name}.")
            elif isinstance(value, str) or type(value) is int:
                yield above + name, str(value)
            else:
                problem = f"{above}{name} is neither text nor an integer; put it in quotes"
                raise InvalidRequestError(self._backend, problem)

    def _unreadable(self, error: Exception) -> AdapterError:
        causes = (error, error.__cause__)
        if any(isinstance(cause, PermissionError) for cause in causes):
            return PermissionDeniedError(self._backend, "may not be read")
        return UnavailableError(self._backend, "cannot be read")


def _others_can_read(path: Path) -> bool:
    """Tell whether group or others can read the file, or a file in the folder."""
    try:
        if not path.is_dir():
            return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
        if not path.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH):
            return False
        return any(
            _others_can_read(file)
            for file in path.iterdir()
            if not file.name.startswith(".") and file.is_file()
        )
    except OSError:
        return False
