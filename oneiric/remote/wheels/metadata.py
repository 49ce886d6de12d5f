"""What a wheel says of itself, and whether it may be loaded beside what is installed here."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from importlib import metadata
from importlib.util import find_spec
from pathlib import PurePosixPath

from oneiric.machine import check_python, wrong_python
from oneiric.remote.errors import (
    DamagedWheelError,
    WheelCollisionError,
    WheelPythonError,
    WheelRequirementError,
    WheelTagError,
)
from oneiric.remote.wheels.archive import Archive
from oneiric.remote.wheels.requirements import normalized, unmet

_LONGEST = 1 << 20
_MOST_REQUIREMENTS = 500
_TAG = re.compile(r"py[0-9]+-none-any")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]{1,100}")
_COMPILED = (".so", ".pyd", ".dylib", ".dll", ".pyc", ".pyo")
_INFO, _DATA = ".dist-info", ".data"


@dataclass(frozen=True, slots=True)
class WheelMetadata:
    """Name, version, and the top-level names that its modules are imported by."""

    name: str
    version: str
    modules: frozenset[str]


def read_metadata(archive: Archive, *, wheel: str) -> WheelMetadata:
    """Return what the wheel says of itself, if it is for every Python 3 and this one.

    Raises:
        DamagedWheelError: it lacks what every wheel has.
        WheelTagError: it is not `py3-none-any`, or has files for elsewhere.
        WheelPythonError: it is for another version of Python.
    """
    names = archive.names
    tops = {name.partition("/")[0] for name in names if "/" in name}
    infos = sorted(top for top in tops if top.endswith(_INFO))
    if len(infos) != 1:
        raise DamagedWheelError(wheel, f"it has {len(infos)} .dist-info folders, not one")
    if data := sorted(top for top in tops if top.endswith(_DATA)):
        raise WheelTagError(wheel, f"it has files for elsewhere, in {data[0]}")
    if compiled := [name for name in names if name.lower().endswith(_COMPILED)]:
        raise WheelTagError(wheel, f"it has compiled code, {compiled[0]}")
    _check_tags(_fields(archive, f"{infos[0]}/WHEEL"), wheel)
    fields = _fields(archive, f"{infos[0]}/METADATA")
    name, version = str(fields.get("Name", "")), str(fields.get("Version", ""))
    if not _NAME.fullmatch(name) or not _VERSION.fullmatch(version):
        raise DamagedWheelError(wheel, "its METADATA has no proper name or version")
    python = str(fields.get("Requires-Python", ""))
    if wrong := check_python(python) or wrong_python(python):
        raise WheelPythonError(wheel, wrong)
    _check_requirements(fields, wheel)
    modules = top_modules(names)
    if not modules:
        raise DamagedWheelError(wheel, "it holds no module")
    return WheelMetadata(name, version, modules)


def top_modules(names: Iterable[str]) -> frozenset[str]:
    """Return the names by which the modules in *names*, paths of files, are imported.

    >>> sorted(top_modules(["shop/__init__.py", "one.py", "data/a.txt", "x-1.dist-info/RECORD"]))
    ['one', 'shop']
    """
    found = set()
    for name in names:
        path = PurePosixPath(name)
        top = path.parts[0] if len(path.parts) > 1 else path.stem
        if path.suffix == ".py" and top.isidentifier():
            found.add(top)
    return frozenset(found)


def check_collisions(found: WheelMetadata, *, wheel: str) -> None:
    """Pass if nothing that is installed has the wheel's name, or one of its modules' names.

    Raises:
        WheelCollisionError: something has; two codes of one name would be one too many.
    """
    try:
        installed = metadata.version(found.name)
    except (metadata.PackageNotFoundError, KeyError, ValueError):
        installed = ""
    if installed:
        reason = f"{normalized(found.name)} {installed} is installed"
        raise WheelCollisionError(wheel, reason, hint="uninstall it, or publish under another name")
    for module in sorted(found.modules):
        if _is_taken(module):
            hint = "name the wheel's module otherwise"
            raise WheelCollisionError(wheel, f"this installation has a module {module}", hint=hint)


def _is_taken(module: str) -> bool:
    if module in sys.modules or module in sys.stdlib_module_names:
        return True
    try:
        spec = find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return True
    if spec is None:
        return False
    if spec.origin is None and spec.submodule_search_locations is not None:
        return module in metadata.packages_distributions()  # else a folder that lies about
    return True


def _check_tags(fields: Message, wheel: str) -> None:
    if not str(fields.get("Wheel-Version", "")).startswith("1."):
        raise DamagedWheelError(wheel, "it is in no format 1.x of wheels")
    tags = [str(tag).strip() for tag in fields.get_all("Tag", [])]
    if "py3-none-any" not in tags or not all(_TAG.fullmatch(tag) for tag in tags):
        raise WheelTagError(wheel, f"it is {', '.join(tags)[:100] or 'untagged'}, not py3-none-any")
    if str(fields.get("Root-Is-Purelib", "")).strip().lower() != "true":
        raise WheelTagError(wheel, "it says that it is not pure Python")


def _check_requirements(fields: Message, wheel: str) -> None:
    lines = [str(line) for line in fields.get_all("Requires-Dist", [])]
    if len(lines) > _MOST_REQUIREMENTS:
        raise WheelRequirementError(wheel, f"it has more than {_MOST_REQUIREMENTS} requirements")
    if missing := [why for line in lines if (why := unmet(line))]:
        hint = "install what it requires; nothing is installed for a wheel"
        raise WheelRequirementError(wheel, "; ".join(missing), hint=hint)


def _fields(archive: Archive, name: str) -> Message:
    return BytesHeaderParser().parsebytes(archive.read(name, limit=_LONGEST))
