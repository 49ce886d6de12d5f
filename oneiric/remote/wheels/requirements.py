"""Whether what a wheel requires is installed here; nothing is ever installed for it.

Source: the forms of PEP 508, as far as releases and this machine go; what cannot be read is
not met.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import sys
from collections.abc import Mapping
from importlib import metadata

from oneiric.machine import check_python, python_matches

_LONGEST = 1000
_REQUIREMENT = re.compile(
    r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*"
    r"(?:\[(?P<extras>[A-Za-z0-9._, -]*)\])?\s*"
    r"(?:\((?P<inside>[^();@]*)\)|(?P<clauses>[^();@]*))\s*(?:;(?P<marker>.*))?\Z"
)
_VERSION = re.compile(r"v?([0-9]{1,9}(?:\.[0-9]{1,9})*)(?:\.post[0-9]+)?(?:\+[a-z0-9.]+)?\Z")
_EXACT = re.compile(r"(===?|!=)\s*([A-Za-z0-9.!+_-]+)\Z")
_COMPARISONS: Mapping[type[ast.cmpop], tuple[str, str]] = {
    ast.Eq: ("==", "=="),
    ast.NotEq: ("!=", "!="),
    ast.Lt: ("<", ">"),
    ast.LtE: ("<=", ">="),
    ast.Gt: (">", "<"),
    ast.GtE: (">=", "<="),
}
_OF_VERSIONS = frozenset({"python_version", "python_full_version", "implementation_version"})


class UnreadableError(ValueError):
    """A requirement in a form that is not read here."""


def normalized(name: str) -> str:
    """Return a distribution's name as indexes compare it.

    >>> normalized("Zope.Interface"), normalized("a__b")
    ('zope-interface', 'a-b')
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def unmet(requirement: str, *, extra: str = "", seen: frozenset[str] = frozenset()) -> str:
    """Return why *requirement* is not met here, or an empty string.

    >>> unmet("pydantic>=2"), unmet("pydantic>=2; python_version < '3'")
    ('', '')
    >>> unmet("no-such-thing-at-all>=1")
    'no-such-thing-at-all is not installed'
    >>> unmet("thing @ https://example.org/thing.whl")
    "'thing @ https://example.org/thing.whl' cannot be read"
    """
    match = _REQUIREMENT.match(requirement) if len(requirement) <= _LONGEST else None
    try:
        if match is None:
            raise UnreadableError
        if match["marker"] and not _applies(match["marker"], extra):
            return ""
        return _unmet(match, seen)
    except UnreadableError:
        return f"{requirement[:100]!r} cannot be read"


def _unmet(match: re.Match[str], seen: frozenset[str]) -> str:
    name = match["name"]
    try:
        found = metadata.distribution(name)
        version = found.version
    except (metadata.PackageNotFoundError, KeyError):
        return f"{name} is not installed"
    clauses = [each.strip() for each in (match["inside"] or match["clauses"] or "").split(",")]
    for clause in filter(None, clauses):
        if not _holds(clause, version):
            return f"{name} {clause} is required, and {version} is installed"
    for extra in filter(None, (each.strip() for each in (match["extras"] or "").split(","))):
        key = f"{normalized(name)}[{normalized(extra)}]"
        if key in seen:
            continue
        for line in found.requires or ():
            if ";" in line and (why := unmet(line, extra=extra, seen=seen | {key})):
                return f"{name}[{extra}]: {why}"
    return ""


def _holds(clause: str, version: str) -> bool:
    """Tell whether an installed version satisfies one clause; a pre-release only if it is named."""
    release = _VERSION.match(version)
    if exact := _EXACT.match(clause):
        if exact[2] == version:
            return exact[1] != "!="
        if check_python(clause):
            return exact[1] == "!="
    if check_python(clause):
        raise UnreadableError
    return release is not None and python_matches(clause, _numbers(release[1]))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(".")))


def _applies(marker: str, extra: str) -> bool:
    try:
        tree = ast.parse(marker.strip(), mode="eval").body
        return _is_true(tree, _here(extra))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UnreadableError from None


def _is_true(node: ast.expr, here: Mapping[str, str]) -> bool:
    if isinstance(node, ast.BoolOp):
        each = [_is_true(value, here) for value in node.values]
        return all(each) if isinstance(node.op, ast.And) else any(each)
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        raise UnreadableError
    left, operator, right = node.left, node.ops[0], node.comparators[0]
    if isinstance(operator, ast.In | ast.NotIn):
        return (_text(left, here) in _text(right, here)) == isinstance(operator, ast.In)
    if type(operator) not in _COMPARISONS:
        raise UnreadableError
    forwards, backwards = _COMPARISONS[type(operator)]
    if isinstance(left, ast.Constant):
        left, right, forwards = right, left, backwards
    ours, theirs = _text(left, here), _text(right, here)
    if isinstance(left, ast.Name) and left.id in _OF_VERSIONS:
        clause = forwards + theirs
        if check_python(clause):
            raise UnreadableError
        return python_matches(clause, _numbers(ours))
    if forwards not in ("==", "!="):
        raise UnreadableError
    if isinstance(left, ast.Name) and left.id == "extra":
        ours, theirs = normalized(ours), normalized(theirs)
    return (ours == theirs) == (forwards == "==")


def _text(node: ast.expr, here: Mapping[str, str]) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and node.id in here:
        return here[node.id]
    raise UnreadableError


def _here(extra: str) -> Mapping[str, str]:
    """Return what this machine calls itself in markers."""
    full = ".".join(map(str, sys.version_info[:3]))
    return {
        "python_version": ".".join(map(str, sys.version_info[:2])),
        "python_full_version": full,
        "implementation_version": full,
        "implementation_name": sys.implementation.name,
        "platform_python_implementation": platform.python_implementation(),
        "os_name": os.name,
        "sys_platform": sys.platform,
        "platform_system": platform.system(),
        "platform_machine": platform.machine(),
        "extra": extra,
    }
