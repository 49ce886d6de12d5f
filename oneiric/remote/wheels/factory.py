"""A wheel that passed, and the factories in it, as values that can stand in an offer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from inspect import isawaitable
from pathlib import Path
from typing import Any

from oneiric.core.guard import Guard
from oneiric.errors import ForbiddenFactoryError
from oneiric.remote.errors import WheelLoadError
from oneiric.remote.wheels.archive import Archive, WheelLimits
from oneiric.remote.wheels.metadata import check_collisions, read_metadata, top_modules
from oneiric.remote.wheels.modules import is_loaded, is_of_wheel, load_module, modules_of
from oneiric.remote.wheels.source import check_source
from oneiric.targets import is_target, target_of

UNPACKED = "unpacked"
_LONGEST = 3600.0
"""Seconds after which nobody waits for an import; who asks for a component waits less."""


@dataclass(frozen=True, slots=True)
class WheelFactory:
    """Make components of what a wheel names `package.module:attr`, whichever version it is.

    Equal to another of the same wheel and target; nothing is imported before it is called or
    `load`ed. Each version's code is its own: two of them serve side by side. On a running loop
    a module that is not imported yet is imported in a thread, and what is given back is to be
    awaited.
    """

    folder: Path
    sha256: str
    target: str

    def __call__(self, *settings: object, **links: object) -> Any:
        """Make a component, or what will have made it once it was awaited."""
        module = self.target.partition(":")[0]
        if is_loaded(self.sha256, module) or not _is_on_loop():
            return self.load()(*settings, **links)
        return self._made(*settings, **links)

    async def _made(self, *settings: object, **links: object) -> Any:
        outcome = await Guard().call(self.load, limit=_LONGEST, blocking=True)
        if outcome.error is not None:
            raise outcome.error
        made = self.load()(*settings, **links)
        return await made if isawaitable(made) else made

    def load(self) -> Callable[..., Any]:
        """Import the wheel's module and return what the target names; it may block.

        Raises:
            WheelLoadError: there is no such module, or nothing in it that can be called.
            ForbiddenFactoryError: what it names is not of this wheel.
            Whatever the wheel's own code raises while it is imported.
        """
        module, _, attribute = self.target.partition(":")
        modules = modules_of(self.sha256) or self._modules()
        if not is_target(self.target) or module.partition(".")[0] not in modules:
            raise WheelLoadError(self._name, f"it has no {self.target}")
        found = getattr(load_module(self.folder, self.sha256, modules, module), attribute, None)
        if not callable(found):
            raise WheelLoadError(self._name, f"{module} has no callable {attribute}")
        home = target_of(found).partition(":")[0]
        if not is_of_wheel(home, self.sha256):
            reason = f"{attribute} comes from {home}, not from the wheel"
            raise ForbiddenFactoryError(self.target, reason)
        return found  # type: ignore[no-any-return]

    def _modules(self) -> frozenset[str]:
        paths = self.folder.rglob("*.py")
        return top_modules(path.relative_to(self.folder).as_posix() for path in paths)

    @property
    def _name(self) -> str:
        return f"the wheel {self.sha256[:12]}"


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that was checked and unpacked."""

    name: str
    version: str
    sha256: str
    folder: Path
    modules: frozenset[str]

    def factory(self, target: str) -> WheelFactory:
        """Return the factory that *target*, `package.module:attr`, names in this wheel.

        Raises:
            WheelLoadError: the wheel has no package of that name.
        """
        if not is_target(target) or target.partition(":")[0].split(".")[0] not in self.modules:
            known = ", ".join(sorted(self.modules))
            raise WheelLoadError(f"{self.name} {self.version}", f"{target} is not in {known}")
        return WheelFactory(self.folder, self.sha256, target)


def unpack_wheel(path: Path, sha256: str, *, limits: WheelLimits | None = None) -> Wheel:
    """Check the wheel at *path* whole, unpack it beside itself, and return it; it blocks.

    What is unpacked already is compared with the wheel, byte for byte, and made anew where it
    differs. Nothing of the wheel is run.

    Args:
        path: the wheel, whose digest was checked.
        sha256: that digest, as 64 hexadecimal digits.
        limits: how much it may hold.

    Raises:
        WheelError: it may not be loaded; each reason is a class, with its own code.
        UnavailableError: it cannot be read, or not be unpacked.
    """
    told = f"the wheel {sha256[:12]}"
    folder = path.parent / UNPACKED
    with Archive.opened(path, wheel=told, limits=limits or WheelLimits()) as archive:
        found = read_metadata(archive, wheel=told)
        told = f"{found.name} {found.version}"
        check_collisions(found, wheel=told)
        check_source(archive, found, wheel=told)
        archive.unpack(folder)
    return Wheel(found.name, found.version, sha256, folder, found.modules)
