"""Which manifests there are to look at: one for each source, or for each file of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from oneiric.core.candidate import Source, SourceKind
from oneiric.documents import Kind, kind_of
from oneiric.errors import DocumentError, NotFoundError, OneiricError
from oneiric.remote.errors import AddressError, UnsignedError
from oneiric.remote.origin import Origin, local_path
from oneiric.remote.settings import SourceSettings
from oneiric.text.names import is_name

_ROOT = ".root.json"
_ENVELOPE = ".dsse"
_LOCAL_ONLY = "only a local file may be unsigned"


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """One manifest: by which name it is known, where it is, and who has to sign it.

    `path` is the local file, if it is one; `trust` the pinned trust root, if it is signed.
    """

    name: str
    uri: str
    path: Path | None = None
    trust: Path | None = None
    credential: str = ""
    credential_origin: str = ""

    @property
    def is_signed(self) -> bool:
        """Whether it has to be signed."""
        return self.trust is not None

    @property
    def source(self) -> Source:
        """What its candidates come from, as long as nothing more is known."""
        return Source(SourceKind.MANIFEST, self.name, signed=self.is_signed)

    @property
    def kind(self) -> Kind:
        """The language of a local file.

        Raises:
            DocumentError: its suffix is that of none.
        """
        return kind_of(self.path or self.uri)

    @property
    def shown(self) -> str:
        """Where it is, without what an address may hold of secrets."""
        if self.path is not None:
            return self.uri
        try:
            parts = urlsplit(self.uri)
        except ValueError:
            return self.uri.partition(":")[0] + ":"
        host = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=host, query="", fragment="").geturl()

    def check_unsigned(self, roots: Iterable[Path]) -> None:
        """Pass if it may be unsigned: a local file that really lies below one of *roots*.

        Raises:
            UnsignedError: it may not.
        """
        if self.path is None:
            hint = f"pin a trust root: remote.sources.{self.name}.trust"
            raise UnsignedError(self.name, f"it has no trust root, and {_LOCAL_ONLY}", hint=hint)
        real, allowed = self.path.resolve(), [root.resolve() for root in roots]
        if not any(real.is_relative_to(root) for root in allowed):
            told = ", ".join(map(str, allowed)) or "none"
            reason = f"{self.path} lies below no folder for unsigned manifests ({told})"
            raise UnsignedError(self.name, reason, hint="add it to remote.allowed_roots")


def sources_of(
    name: str, settings: SourceSettings, folder: Path, problems: dict[str, OneiricError]
) -> Iterator[ManifestSource]:
    """Yield the manifests of one configured source; relative paths are seen from *folder*.

    Of a folder, files that name no source, or the same as another, are left out, and noted in
    *problems* by that name.

    Raises:
        AddressError: it is no address, nor a local file.
        UnavailableError: its folder cannot be read.
    """
    local = local_path(settings.uri)
    trust = folder / settings.trust if settings.trust else None
    if local is None:
        Origin.of(settings.uri)
        yield ManifestSource(
            name,
            settings.uri,
            None,
            trust,
            settings.credential,
            settings.credential_origin,
        )
        return
    path = folder / local
    if not path.is_dir():
        yield ManifestSource(name, settings.uri, path, trust)
        return
    for stem, files in _manifests(path).items():
        file, *others = files
        if others or not is_name(stem):
            told = " and ".join(each.name for each in files)
            why = f"{told} name one source" if others else f"{told!r} cannot name a source"
            problems[f"{name}.{stem}"] = AddressError(settings.uri, f"{why}; rename it")
            continue
        own = trust / f"{stem}{_ROOT}" if trust is not None and trust.is_dir() else trust
        shown = f"{settings.uri.rstrip('/')}/{file.name}"
        yield ManifestSource(f"{name}.{stem}", shown, file, own)


def _manifests(folder: Path) -> dict[str, list[Path]]:
    """Return the files of *folder* that are manifests by their suffixes, by what they name.

    Hidden ones are left out, for editors and copies in progress leave such behind.
    """
    try:
        files = sorted(file for file in folder.iterdir() if file.is_file())
    except OSError as error:
        raise NotFoundError("folder", str(folder)) from error
    found: dict[str, list[Path]] = {}
    for file in files:
        try:
            kind_of(file)
        except DocumentError:
            continue
        if not file.name.endswith(_ROOT) and not file.name.startswith("."):
            found.setdefault(file.stem.removesuffix(_ENVELOPE), []).append(file)
    return found
