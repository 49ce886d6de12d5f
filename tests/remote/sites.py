"""A runtime in a folder of its own, with the sources that a test names; and parts to publish."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from oneiric.clock import Clock
from oneiric.config import load_config
from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin
from oneiric.core.ref import ComponentRef
from oneiric.errors import JSONValue
from oneiric.remote.report import SyncReport
from oneiric.runtime import RuntimeOrchestrator
from oneiric.runtime.settings import SECTIONS
from oneiric.testing import ManifestSimulator, ManualClock

HERE = "tests.remote.sites"


class Part:
    """A component that knows its name, whether it was closed, and whether it is well."""

    name = "part"
    healthy = True

    def __init__(self, **links: object) -> None:
        self.links = links
        self.closed = False

    def health(self) -> bool:
        """Tell whether it is well."""
        return self.healthy

    def close(self) -> None:
        """End it."""
        self.closed = True


class Better(Part):
    """Another one."""

    name = "better"


class Slow(Part):
    """One that comes up when it is let."""

    name = "slow"
    begun = asyncio.Event()
    let = asyncio.Event()

    async def init(self) -> None:
        """Tell that it begins, and wait."""
        self.begun.set()
        await self.let.wait()


class Sick(Part):
    """One that never comes up."""

    name = "sick"
    healthy = False


def entry(key: str, provider: str, kind: type[Part] = Part, **fields: JSONValue) -> dict[str, Any]:
    """Return the entry of an adapter."""
    factory = f"{HERE}:{kind.__name__}"
    return {
        "domain": "adapter",
        "key": key,
        "provider": provider,
        "factory": factory,
        **fields,
    }


def publisher(clock: Clock | None = None, **more: Any) -> ManifestSimulator:
    """Return a publisher of the manifest `acme` whose entries may name the parts here."""
    return ManifestSimulator("acme", clock=clock or ManualClock(), factories=["tests"], **more)


def configure(folder: Path, sources: str, **remote: JSONValue) -> None:
    """Write a configuration with these tables of sources, as TOML."""
    lines = "\n".join(f"{name} = {_toml(value)}" for name, value in remote.items())
    text = f'[plugins]\nallowed_prefixes = ["tests"]\n[remote]\nretries = 0\n{lines}\n{sources}\n'
    (folder / "oneiric.toml").write_text(text, encoding="utf-8")


def signed(folder: Path, site: ManifestSimulator, name: str = "acme", more: str = "") -> str:
    """Pin the publisher's trust root in *folder*, and return the table of the source."""
    site.pin(folder / f"{name}.root.json")
    return f'[remote.sources.{name}]\nuri = "{site.uri}"\ntrust = "{name}.root.json"\n{more}'


def runtime_in(
    folder: Path, clock: Clock | None = None, *candidates: Candidate
) -> RuntimeOrchestrator:
    """Compose what a command in *folder* would compose, with *candidates* from code besides."""
    config = load_config(SECTIONS, folder=folder, environ={})
    plugins = [Plugin(candidates)] if candidates else []
    return RuntimeOrchestrator(config, plugins=plugins, clock=clock or ManualClock())


def _toml(value: JSONValue) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


CACHE: ComponentRef[Part] = ComponentRef("adapter:site-cache")
SEARCH: ComponentRef[Part] = ComponentRef("adapter:site-search")


def offers(runtime: RuntimeOrchestrator) -> list[str]:
    """Return what manifests offer in a runtime."""
    registry = runtime.resolver.registry
    found = [each for ref in registry.refs() for each in registry.offers(ref)]
    return [str(each.offer) for each in found if each.source.id == "manifest:acme"]


def codes(report: SyncReport) -> list[str]:
    """Return the codes of what went wrong."""
    return [error.code for error in report.errors]


async def name_of(runtime: RuntimeOrchestrator, ref: ComponentRef[Part]) -> str:
    """Return who serves."""
    async with runtime.lifecycle.use(ref) as part:
        assert not part.closed
        return part.name


def files_in(folder: Path) -> dict[Path, int]:
    """Return everything below a folder, with when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
