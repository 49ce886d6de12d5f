"""A manifest that a command names, as a source of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oneiric.errors import InvalidError
from oneiric.files import read_bounded
from oneiric.remote.local import read_unsigned
from oneiric.remote.origin import local_path
from oneiric.remote.settings import SourceSettings
from oneiric.remote.sources import sources_of
from oneiric.remote.store import LONGEST_ROOT
from oneiric.remote.trust import TrustRoot

if TYPE_CHECKING:
    from oneiric.remote.report import Preview
    from oneiric.runtime.orchestrator import RuntimeOrchestrator


def source_at(runtime: RuntimeOrchestrator, manifest: str, *, trust: str = "") -> str:
    """Return the name of the source that *manifest* is the address of; it blocks.

    One that is not configured is added for this process, under the name of its manifest.

    Raises:
        InvalidError: a trust root is given for a configured source, or the name is taken.
        UnsignedError: without a trust root it may only be a local file.
        OneiricError: it cannot be read.
    """
    hydration = runtime.hydration
    configured = hydration.source_at(manifest)
    if configured:
        if trust:
            hint = f"leave --trust out, or change remote.sources.{configured}.trust"
            raise InvalidError(f"the source {configured} has its own trust root", hint=hint)
        return configured
    settings = SourceSettings.model_validate({"uri": manifest, "trust": trust})
    name = _name(runtime, settings)
    hydration.add(name, settings)
    return name


def _name(runtime: RuntimeOrchestrator, settings: SourceSettings) -> str:
    """Return the name of a manifest, as its trust root says, or else the local file."""
    folder, hydration = runtime.config.folder, runtime.hydration
    if settings.trust:
        data = read_bounded(folder / settings.trust, limit=LONGEST_ROOT)
        return TrustRoot.read(data, source=settings.trust).name
    path = local_path(settings.uri)
    if path is not None and (folder / path).is_dir():
        return (folder / path).resolve().name
    (found,) = sources_of("manifest", settings, folder, {})
    limit, now = hydration.settings.max_bytes, runtime.clock.now()
    read = read_unsigned(found, roots=hydration.roots, limit=limit, now=now)
    return read.manifest.name


async def applied(
    runtime: RuntimeOrchestrator, manifest: str, *, trust: str = ""
) -> tuple[Preview, ...]:
    """Verify what *manifest* is the address of, and offer it in this process; nothing is written.

    Raises:
        OneiricError: it cannot be had, or may not be applied.
    """
    name = source_at(runtime, manifest, trust=trust)
    previews = await runtime.remote.preview(name)
    for each in previews:
        if each.error is not None:
            raise each.error
        if each.serving is not None:
            runtime.resolver.replace_source(each.serving.source, each.serving.candidates)
    return previews
