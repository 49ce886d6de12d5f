"""What an install without extras brings."""

from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.source import PACKAGE, ROOT
from tests.benchmarks.measure import Row, Size


def brought(name: str = "oneiric") -> dict[str, Distribution]:
    """Return *name* and every distribution it requires here, directly or not, by name."""
    found: dict[str, Distribution] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    asked: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted = waiting.pop()
        if wanted in asked:
            continue
        asked.add(wanted)
        name, extras = wanted
        found[name] = distribution(name)
        for text in found[name].requires or ():
            requirement = Requirement(text)
            if _is_needed(requirement, extras):
                below = canonicalize_name(requirement.name)
                waiting.append((below, frozenset(requirement.extras)))
    return found


def _is_needed(requirement: Requirement, extras: frozenset[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def installed_bytes(found: Distribution) -> int:
    """Return the bytes of a distribution's files; byte code does not count."""
    files = [file for file in found.files or () if file.suffix != ".pyc"]
    paths = [str(file.locate()) for file in files]
    if found.metadata["Name"] == PACKAGE:  # installed from this tree, which is not recorded
        paths += [str(path) for path in (ROOT / PACKAGE).rglob("*.py")]
    return sum(_bytes(path) for path in set(paths))


def _bytes(path: str) -> int:
    file = Path(path)
    return file.stat().st_size if file.is_file() else 0


def install(_: Size) -> list[Row]:
    """Count the distributions of a mandatory install, ours included, and add up their files."""
    found = brought()
    size = sum(installed_bytes(each) for each in found.values())
    return [
        Row("mandatory install, distributions", len(found), ""),
        Row("mandatory install, size", size / 1e6, "MB"),
    ]
