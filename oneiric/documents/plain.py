"""What a plain JSON value is, and where in a tree something else stands."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oneiric.documents.limits import DocumentLimits
from oneiric.documents.refused import Refused
from oneiric.errors import JSONValue

MAX_INTEGER = (1 << 53) - 1
"""The largest integer of I-JSON (RFC 7493): beyond it, doubles skip numbers."""

_EXACT = frozenset({str, bool, int, float, type(None)})
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, eq=False)
class Unfit:
    """Stand in a tree for what may not be there, until `check` knows its path.

    `key` is set when the fault is one key's of the table that this stands for.
    """

    reason: str
    problem: str
    key: str = ""


def check(root: object, limits: DocumentLimits) -> None:
    """Refuse all that is not plain JSON or beyond the limits, naming its path.

    Walks level by level, so no depth can exhaust the stack; *root* holds only
    `dict`, `list` and single values.
    """
    level: list[Any] = [root]
    nodes = depth = 0
    while level:
        depth += 1
        nodes += len(level)
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str and item.isascii():
                continue
            if kind is dict:
                below.extend(_entries(item, root))
            elif kind is list:
                below.extend(item)
            elif fault := _fault(item):
                _refuse(fault, root, item)
            if depth > limits.max_depth and (kind is dict or kind is list):
                _refuse(
                    Unfit("too-deep", f"it is deeper than {limits.max_depth} levels"), root, item
                )
        if nodes + len(below) > limits.max_nodes:
            problem = f"it holds more than {limits.max_nodes} values"
            _refuse(Unfit("too-many-values", problem), root, below[0] if below else root)
        level = below


def holds_float(root: object) -> bool:
    """Tell whether there is a float in *root*, which holds only `dict`, `list` and single values.

    Walks level by level, as `check` does.
    """
    level: list[Any] = [root]
    while level:
        if float in set(map(type, level)):
            return True
        below: list[Any] = []
        for item in level:
            if type(item) is dict:
                below.extend(item.values())
            elif type(item) is list:
                below.extend(item)
        level = below
    return False


def thaw(value: JSONValue) -> object:
    """Copy into `dict`, `list` and exact scalars, which is what encoders expect."""
    kind = type(value)
    if kind in _EXACT:
        return value
    if kind is dict:
        return {
            key if type(key) is str else _key(key): item if type(item) in _EXACT else thaw(item)
            for key, item in value.items()  # type: ignore[union-attr]
        }
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {_key(key): thaw(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [thaw(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    return value


def _key(key: object) -> object:
    return str.__str__(key) if isinstance(key, str) else key


def _entries(table: dict[Any, object], root: object) -> Iterable[object]:
    try:
        if "".join(table).isascii():
            return table.values()
    except TypeError:
        pass
    for key in table:
        if type(key) is not str:
            kind = type(key).__name__
            _refuse(Unfit("key-not-text", f"a key must be text, not {kind}"), root, table)
        elif not key.isascii() and _SURROGATE.search(key):
            _refuse(Unfit("surrogate", "a key holds a lone surrogate", key=key), root, table)
    return table.values()


def _fault(item: Any) -> Unfit | None:
    kind = type(item)
    if kind is str:
        if item.isascii() or not _SURROGATE.search(item):
            return None
        return Unfit("surrogate", "its text holds a lone surrogate")
    if item is None or kind is bool:
        return None
    if kind is int:
        fits = -MAX_INTEGER <= item <= MAX_INTEGER
        return None if fits else too_large()
    if kind is float:
        return None if math.isfinite(item) else not_finite()
    return item if isinstance(item, Unfit) else Unfit("not-json", f"{kind.__name__} is not JSON")


def too_large() -> Unfit:
    """Return the stand-in for an integer that a double cannot hold."""
    return Unfit("integer-too-large", "an integer must be between -(2^53)+1 and 2^53-1")


def not_finite() -> Unfit:
    """Return the stand-in for NaN and the infinities."""
    return Unfit("not-finite", "NaN and infinity are not JSON")


def _refuse(fault: Unfit, root: object, item: object) -> None:
    keys = _path(root, item)
    tail = (fault.key,) if fault.key else ()
    raise Refused(fault.reason, fault.problem, keys=(*keys, *tail))


def _path(root: object, target: object) -> tuple[str, ...]:
    """Return the keys that lead to *target*; only as many as there are levels are held at once."""
    keys: list[str] = []
    open_ = [iter([("", root)])]
    while open_:
        for key, value in open_[-1]:
            keys.append(key)
            if value is target:
                return tuple(keys[1:])
            open_.append(_items(value))
            break
        else:
            open_.pop()
            del keys[-1:]
    return ()


def _items(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        return ((str(key), each) for key, each in value.items())
    listed = value if isinstance(value, list) else ()
    return ((str(index), each) for index, each in enumerate(listed))
