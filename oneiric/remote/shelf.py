"""Artifacts that are here: wheels that are unpacked, and what makes components of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from oneiric.errors import RefusedError
from oneiric.remote.artifacts import ArtifactStore
from oneiric.remote.disk import digest_of
from oneiric.remote.errors import WheelError
from oneiric.remote.wheels import Wheel, WheelFactory, WheelLimits, unpack_wheel
from oneiric.remote.wheels.archive import Archive
from oneiric.remote.wheels.factory import UNPACKED

if TYPE_CHECKING:
    from oneiric.remote.manifest import Artifact, Entry


class Shelf:
    """Artifacts that are here, as what makes components.

    Args:
        artifacts: where they are kept.
    """

    def __init__(self, artifacts: ArtifactStore) -> None:
        self._artifacts = artifacts

    def unpacked(self, entries: Iterable[Entry]) -> Mapping[str, str]:
        """Unpack the wheels of *entries*, which were fetched; return why not, by offer.

        Raises:
            UnavailableError: one cannot be read or written.
        """
        refusals, seen = {}, dict[str, Wheel | WheelError]()
        for entry in _with_wheel(entries):
            artifact = _artifact(entry)
            if artifact.sha256 not in seen:
                seen[artifact.sha256] = self._unpacked(artifact)
            wheel = seen[artifact.sha256]
            if reason := wheel.message if isinstance(wheel, WheelError) else _lacks(wheel, entry):
                refusals[entry.offer] = reason
        return refusals

    def _unpacked(self, artifact: Artifact) -> Wheel | WheelError:
        try:
            return unpack_wheel(self._artifacts.place(artifact.sha256), artifact.sha256)
        except WheelError as error:
            return error

    def found(self, entries: Iterable[Entry]) -> Mapping[str, str]:
        """Return why the artifacts of *entries* cannot be used as they lie here, by offer.

        Nothing is fetched or written.
        """
        refusals = {}
        for entry in entries:
            if entry.artifact is not None and (reason := self._absence(entry.artifact)):
                refusals[entry.offer] = reason
        return refusals

    def _absence(self, artifact: Artifact) -> str:
        place = self._artifacts.place(artifact.sha256)
        try:
            if digest_of(place) != (artifact.length, artifact.sha256):
                return "its artifact is damaged; oneiric remote-sync fetches it anew"
            if artifact.kind == "wheel" and not _is_unpacked(place, artifact.sha256):
                return "its wheel is not unpacked here; oneiric remote-sync does so"
        except FileNotFoundError:
            return "its artifact is not here; oneiric remote-sync fetches it"
        except RefusedError as error:
            return error.message
        return ""

    def factory(self, entry: Entry) -> WheelFactory | str:
        """Return what makes the component of *entry*: its target, in its wheel if it has one."""
        artifact = entry.artifact
        if artifact is None or artifact.kind != "wheel":
            return entry.factory
        folder = self._artifacts.place(artifact.sha256).parent / UNPACKED
        return WheelFactory(folder, artifact.sha256, entry.factory)


def _with_wheel(entries: Iterable[Entry]) -> Iterable[Entry]:
    return (each for each in entries if each.artifact and each.artifact.kind == "wheel")


def _artifact(entry: Entry) -> Artifact:
    assert entry.artifact is not None
    return entry.artifact


def _lacks(wheel: Wheel, entry: Entry) -> str:
    """Return what the entry names that its wheel cannot give."""
    try:
        wheel.factory(entry.factory)
    except WheelError as error:
        return error.message
    package = (entry.settings_model or "").partition(".")[0].partition(":")[0]
    if package in wheel.modules:
        return f"{entry.settings_model} is in the wheel; a settings model has to be installed"
    return ""


def _is_unpacked(place: Path, sha256: str) -> bool:
    told = f"the wheel {sha256[:12]}"
    with Archive.opened(place, wheel=told, limits=WheelLimits()) as archive:
        return archive.is_unpacked(place.parent / UNPACKED)
