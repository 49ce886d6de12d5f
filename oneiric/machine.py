"""This machine: its system, and which versions and systems a text names include it."""

import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from operator import eq, ge, gt, le, lt, ne

SYSTEMS: Mapping[str, str] = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_ALIASES: Mapping[str, str] = {"darwin": "macos", "osx": "macos", "win32": "windows"}
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})"
_CLAUSE = re.compile(
    rf"(?:(?P<wild>==|!=)\s*(?P<family>{_NUMBER}*)\.\*"
    rf"|(?P<near>~=)\s*(?P<least>{_NUMBER}+)"
    rf"|(?P<operator>===?|!=|<=|>=|<|>)\s*(?P<version>{_NUMBER}*))\Z"
)
_COMPARE: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
    "==": eq,
    "===": eq,
    "!=": ne,
}


def system() -> str:
    """Return this machine's system: `linux`, `macos`, `windows`, or what Python calls it."""
    return SYSTEMS.get(sys.platform, sys.platform)


def runs_on(platforms: Iterable[str]) -> bool:
    """Tell whether *platforms* name this system; an empty list names all."""
    names = {_ALIASES.get(name.lower(), name.lower()) for name in platforms}
    return not names or system() in names


def wrong_system(platforms: Collection[str]) -> str:
    """Return why what is meant for *platforms* does not run here, or an empty string."""
    return "" if runs_on(platforms) else f"runs on {', '.join(platforms)}, not {system()}"


def wrong_python(specifier: str) -> str:
    """Return why what needs a version that *specifier* names does not run here, or nothing."""
    version = sys.version_info[:3]
    if python_matches(specifier, version):
        return ""
    return f"needs Python {specifier}, not {'.'.join(map(str, version))}"


def check_python(specifier: object) -> str:
    """Return what is wrong with a version specifier, or an empty string.

    >>> check_python(">=3.11,<3.14"), check_python("3.11+")
    ('', "'3.11+' is no version clause such as >=3.11")
    """
    if not isinstance(specifier, str):
        return f"it is {type(specifier).__name__}, not text"
    for clause in _clauses(specifier):
        if not _CLAUSE.match(clause):
            return f"{clause!r} is no version clause such as >=3.11"
    return ""


def python_matches(specifier: str, version: tuple[int, ...]) -> bool:
    """Tell whether *version* satisfies every clause of a checked specifier.

    >>> python_matches(">=3.11,<3.14", (3, 12, 1)), python_matches("==3.11.*", (3, 12, 1))
    (True, False)

    Source: the comparison rules of PEP 440 for release numbers.
    """
    return all(_holds(clause, version) for clause in _clauses(specifier))


def _clauses(specifier: str) -> list[str]:
    return [clause for part in specifier.split(",") if (clause := part.strip())]


def _holds(clause: str, version: tuple[int, ...]) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        return False
    operator = match["operator"] or match["wild"] or match["near"]
    number = match["version"] or match["family"] or match["least"]
    wanted = tuple(map(int, number.split(".")))
    length = max(len(version), len(wanted))
    ours, theirs = _padded(version, length), _padded(wanted, length)
    if match["near"]:
        return ours >= theirs and ours[: len(wanted) - 1] == wanted[:-1]
    if match["wild"]:
        return _COMPARE[operator](ours[: len(wanted)], wanted)
    return _COMPARE[operator](ours, theirs)


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return numbers + (0,) * (length - len(numbers))
