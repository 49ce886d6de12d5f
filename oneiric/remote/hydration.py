"""Bring back at a start what was there before: from local files and kept manifests, offline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.errors import InvalidError, NotFoundError, OneiricError
from oneiric.remote.errors import AddressError
from oneiric.remote.heap import settling
from oneiric.remote.local import read_unsigned
from oneiric.remote.origin import local_path
from oneiric.remote.serving import Serving, serving_of
from oneiric.remote.settings import RemoteSettings, SourceSettings
from oneiric.remote.sources import ManifestSource, sources_of

if TYPE_CHECKING:
    from oneiric.clock import Clock
    from oneiric.core.resolver import Resolver
    from oneiric.remote.pinned import Memory
    from oneiric.remote.shelf import Shelf


class Hydration:
    """Know the sources, and what each of them brings into this process now.

    `serving` is what is registered, by the names of sources; `problems` is why others bring
    nothing; `looked_at` is who was asked anew in this process. Nothing here writes a file or
    asks a server.

    Args:
        settings: which sources there are, and the limits.
        folder: from where relative paths are seen.
        resolver: where candidates are registered.
        allowed: packages from which factories may be loaded.
        memory: gives what is remembered of signed sources; asked for only where there are any.
        shelf: gives the artifacts; likewise.
        clock: tells the time.
    """

    def __init__(
        self,
        settings: RemoteSettings,
        *,
        folder: Path,
        resolver: Resolver,
        allowed: Iterable[str],
        memory: Callable[[], Memory],
        shelf: Callable[[], Shelf],
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.resolver = resolver
        self.allowed = tuple(allowed)
        self.memory = memory
        self.shelf = shelf
        self.clock = clock
        self.serving: dict[str, Serving] = {}
        self.problems: dict[str, OneiricError] = {}
        self.looked_at: set[str] = set()
        self._added: dict[str, SourceSettings] = {}

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders below which unsigned manifests may lie."""
        return tuple(self.folder / root for root in self.settings.allowed_roots)

    def hydrate(self, name: str = "") -> None:
        """Register what every source, or one, brought when it was last looked at.

        That is a local file that need not be signed, and the last verified manifest of every
        other source, verified again against the trust root of today. A source that brings
        nothing is among the `problems`, and stops no other.
        """
        with settling():
            for source in self.sources(name):
                try:
                    serving = self.hydrated(source)
                    if serving is not None:
                        self.resolver.replace_source(serving.source, serving.candidates)
                        self.serving[source.name] = serving
                except OneiricError as error:
                    self.problems[source.name] = error

    def hydrated(self, source: ManifestSource) -> Serving | None:
        """Return what a source brings without being asked anew; None when it never was."""
        now, grace = self.clock.now(), timedelta(seconds=self.settings.offline_grace_seconds)
        if source.is_signed:
            found = self.memory().verified(source, now=now, grace=grace)
        else:
            limit = self.settings.max_bytes
            found = read_unsigned(source, roots=self.roots, limit=limit, now=now)
        if found is None:
            return None
        entries = [each for each in found.manifest.entries if each.artifact is not None]
        refusals = self.shelf().found(entries) if entries else {}
        return serving_of(found, allowed=self.allowed, shelf=self.shelf, refusals=refusals)

    def sources(self, name: str = "") -> list[ManifestSource]:
        """Return all manifests there are to look at, or those of one source.

        A source that leads nowhere is among the `problems`.

        Raises:
            NotFoundError: there is no source of that name.
        """
        found, astray = self.listed(name)
        self.problems.update(astray)
        return found

    def looked_for(self, name: str = "") -> tuple[list[ManifestSource], dict[str, OneiricError]]:
        """Return the same for who looks at them, and which lead nowhere; earlier problems end.

        Raises:
            NotFoundError: there is no source of that name.
        """
        found, astray = self.listed(name)
        for each in tuple(self.problems):
            if not name or f"{each}.".startswith(f"{name}."):
                del self.problems[each]
        self.problems.update(astray)
        self.looked_at.update(each.name for each in found)
        return found, astray

    def listed(self, name: str = "") -> tuple[list[ManifestSource], dict[str, OneiricError]]:
        """Return the same, and which lead nowhere; no problem is noted, and none ends.

        Raises:
            NotFoundError: there is no source of that name.
        """
        named, astray = self._named(), dict[str, OneiricError]()
        if name and name not in named:
            found, astray = self.listed()
            members = [each for each in found if each.name == name]
            if not members:
                raise NotFoundError("source", name, known=named, hint="see the section remote")
            return members, {}
        found = []
        for each in [name] if name else named:
            try:
                for member in sources_of(each, named[each], self.folder, astray):
                    if member.name != each and member.name in named:
                        reason = f"it would be the source {member.name}, which is configured"
                        astray[each] = AddressError(member.uri, f"{reason}; rename it")
                    else:
                        found.append(member)
            except OneiricError as error:
                astray[each] = error
        return found, astray

    def source_at(self, uri: str) -> str:
        """Return the name of the configured source whose address is *uri*, or an empty text.

        Paths are one where they name one file.
        """
        wanted = self._at(uri)
        return next(
            (name for name, each in self._named().items() if self._at(each.uri) == wanted), ""
        )

    def _at(self, uri: str) -> str | Path:
        path = local_path(uri)
        return uri if path is None else (self.folder / path).resolve()

    def _is_folder(self, uri: str) -> bool:
        try:
            path = local_path(uri)
        except InvalidError:
            return False
        return path is not None and (self.folder / path).is_dir()

    def add(self, name: str, source: SourceSettings) -> None:
        """Add a source for as long as this process lives.

        Raises:
            InvalidError: there is another one of that name.
        """
        uris = {each.name: each.uri for each in self.listed()[0]}
        uris |= {each: told.uri for each, told in self._named().items()}
        if name in uris:
            message = f"the source {name} is configured already, with the address {uris[name]}"
            raise InvalidError(message, hint="change its uri, or name the manifest otherwise")
        self._added[name] = source

    def is_configured(self, name: str) -> bool:
        """Tell whether a source will be there in later processes too."""
        added = tuple(f"{each}." for each in self._added)
        return not f"{name}.".startswith(added)

    def gone(self) -> list[str]:
        """Return the names of sources that serve and that no folder or setting has any more.

        What a folder brought is not gone while the folder cannot be looked into.
        """
        there = {each.name for each in self.sources()}
        away = [name for name, each in self._named().items() if not self._is_folder(each.uri)]
        kept = tuple(f"{name}." for name in (*self.problems, *away))
        left = [name for name in self.serving if name not in there]
        return [name for name in left if not f"{name}.".startswith(kept)]

    def warnings(self) -> Iterator[str]:
        """Yield which sources bring nothing, or not all they have, and why."""
        now = self.clock.now()
        for name, error in self.problems.items():
            yield f"the source {name} brings nothing: {error.message}"
        for source in self.sources():
            serving = self.serving.get(source.name)
            if serving is None and source.name not in {*self.problems, *self.looked_at}:
                yield f"the source {source.name} brings nothing yet: oneiric remote-sync"
            if serving is None:
                continue
            if serving.expires <= now:
                yield f"the source {source.name} has expired: {serving.expires:%Y-%m-%d %H:%M}Z"
            for each in serving.quarantined:
                which = each.offer or f"entry {each.index}"
                yield f"the source {source.name}: {which} may not serve: {each.reason}"

    def _named(self) -> dict[str, SourceSettings]:
        if not self.settings.enabled:
            return dict(self._added)
        configured = {name: each for name, each in self.settings.sources.items() if each.enabled}
        return configured | self._added
