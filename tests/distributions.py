"""Throw-away distributions: what an installer leaves behind, without an installer."""

from collections.abc import Mapping
from pathlib import Path

PLUGIN = """
from oneiric.core.candidate import Candidate
from oneiric.core.plugin import Plugin

class Thing:
    pass

PLUGIN = Plugin([{offers}])
"""


def install(
    folder: Path,
    name: str,
    *,
    entry_points: Mapping[str, str] | str,
    module: str = "",
    metadata: str | None = None,
) -> Path:
    """Put a distribution into *folder*, as unpacking its wheel would.

    *entry_points* maps a group to the target of its one entry point, or is the text of
    the file; *module* is the source of the package that the name gives. Returns *folder*.
    """
    package = name.lower().replace("-", "_").replace(".", "_")
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    known = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    if metadata != "":
        (info / "METADATA").write_text(metadata or known)
    points = (
        entry_points
        if isinstance(entry_points, str)
        else "\n".join(f"[{group}]\nmain = {target}" for group, target in entry_points.items())
    )
    (info / "entry_points.txt").write_text(points)
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text(module)
    return folder


def offers(*candidates: str) -> str:
    """Return the source of a module whose `PLUGIN` brings *candidates*, given as calls' arguments.

    `Thing` is a class of the module's own, to be their factory.

    >>> "Candidate('adapter:cache', 'mine', 'pkg:Cache')" in offers(
    ...     "'adapter:cache', 'mine', 'pkg:Cache'"
    ... )
    True
    """
    return PLUGIN.format(offers=", ".join(f"Candidate({arguments})" for arguments in candidates))
