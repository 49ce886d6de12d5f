"""JSON: read with every doubt marked, and scanned for lines."""

import json
import re
from itertools import islice

from oneiric.documents.limits import DocumentLimits
from oneiric.documents.places import Places
from oneiric.documents.plain import Unfit, not_finite, too_large
from oneiric.documents.refused import Refused

_LONGEST_INTEGER = 17
# The closing quote may be missing, so that no text is gone through from every quote in it anew.
_STRING = r'"(?:[^"\\]++|\\.)*+"?'
_TOKEN = re.compile(rf'{_STRING}|[\[\]{{}},:]|[^\s\[\]{{}},:"]++', re.DOTALL)
_VALUE = re.compile(rf'(?:[^",\[{{]++|{_STRING}|[\[{{](?=\s*+[\]}}]))*+(?:([,\[{{])|\Z)', re.DOTALL)
"""What leads to one more value: a comma, or the beginning of a list or table that has any."""


def _table(pairs: list[tuple[str, object]]) -> object:
    table = dict(pairs)
    if len(table) == len(pairs):
        return table
    seen: set[str] = set()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    return Unfit("duplicate-key", "the key is written twice", key=twice)


def _integer(text: str) -> object:
    return int(text) if len(text) <= _LONGEST_INTEGER else too_large()


def _constant(text: str) -> object:
    return not_finite()


_DECODER = json.JSONDecoder(
    object_pairs_hook=_table, parse_int=_integer, parse_constant=_constant, strict=True
)


def read(text: str, limits: DocumentLimits) -> object:
    """Return the tree, with an `Unfit` where a value may not stand.

    Values are counted before any is made: in little text there may be many.
    """
    _refuse_many(text, limits)
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        problem = (error.msg[:1].lower() + error.msg[1:]).removesuffix(" at")
        raise Refused("syntax", f"it is not JSON: {problem}", line=error.lineno) from None


def _refuse_many(text: str, limits: DocumentLimits) -> None:
    if sum(map(text.count, ",[{")) < limits.max_nodes:
        return
    marks = (found for found in _VALUE.finditer(text) if found.lastindex)
    if found := next(islice(marks, limits.max_nodes - 1, None), None):
        line = text.count("\n", 0, found.end()) + 1
        raise Refused("too-many-values", f"it holds more than {limits.max_nodes} values", line=line)


def scan(text: str, places: Places) -> None:
    """Note the line of every key and list item."""
    line, last, name, named = 1, 0, "", 1
    for token in _TOKEN.finditer(text):
        line += text.count("\n", last, token.start())
        last = token.start()
        mark = token[0]
        if mark == ":":
            places.key(name, named)
        elif mark in "{[":
            places.open(line, listed=mark == "[")
            if places.deep_line is not None:
                return
        elif mark in "}]":
            places.close()
        elif places.awaits_key:
            name, named = _text(mark), line
        elif mark != ",":
            places.value(line)


def _text(token: str) -> str:
    try:
        return str(json.loads(token, strict=False))
    except (ValueError, RecursionError):
        return token
