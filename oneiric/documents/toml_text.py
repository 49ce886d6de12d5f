"""TOML: read with its dates as text, and scanned for lines."""

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

from oneiric.documents.limits import DocumentLimits
from oneiric.documents.places import Places, join
from oneiric.documents.refused import Refused

_PLACE = re.compile(r"(?s)(.*) \(at (?:line (\d+), column \d+|end of document)\)\Z")
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+')"""


def read(text: str, limits: DocumentLimits) -> object:
    """Return the tree; dates and times become RFC 3339 text."""
    _refuse_long_keys(text, limits)
    try:
        root = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, line = _told(str(error), text)
        twice = problem.startswith(("Cannot ", "Duplicate "))
        said = problem[:1].lower() + problem[1:]
        if twice:
            raise Refused("duplicate-key", f"the key is written twice: {said}", line=line) from None
        raise Refused("syntax", f"it is not TOML: {said}", line=line) from None
    except ValueError:
        raise Refused("integer-too-large", "an integer has too many digits", line=1) from None
    _write_dates(root)
    return root


def _refuse_long_keys(text: str, limits: DocumentLimits) -> None:
    longest = rf"(?:^|[\[{{,])[ \t]*+(?:{_PART}[ \t]*+\.[ \t]*+){{{limits.max_depth}}}"
    if found := re.search(longest, text, re.MULTILINE):
        line = text.count("\n", 0, found.end()) + 1
        raise Refused("too-deep", f"a key has more than {limits.max_depth} parts", line=line)


def _told(message: str, text: str) -> tuple[str, int]:
    found = _PLACE.match(message)
    if found is None:
        return message, 1
    return found[1], int(found[2]) if found[2] else text.count("\n") + 1


def _write_dates(root: dict[str, object]) -> None:
    open_: list[Any] = [root]
    while open_:
        container = open_.pop()
        entries = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in list(entries):
            if isinstance(value, dict | list):
                open_.append(value)
            elif isinstance(value, datetime | date | time):
                text = value.isoformat().replace("+00:00", "Z")
                container[key] = text


def scan(text: str, places: Places) -> None:
    """Note the line of every key and list item, as far as the text can be followed."""
    _Scanner(text, places).run()


_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)++")
_KEY = re.compile(rf"[ \t]*+({_PART})[ \t]*+")
_STRING = re.compile(
    r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}+|'
    r"'''(?:[^']++|'(?!''))*+'{3,5}+|"
    r""""(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+'""",
    re.DOTALL,
)
_BARE = re.compile(r"[^\n,\]}#]++")
_MARKS: Mapping[str, re.Pattern[str]] = {
    mark: re.compile(re.escape(mark)) for mark in ("[[", "[", "]", "{", "}", ",", "=", ".")
}


class _Scanner:
    def __init__(self, text: str, places: Places) -> None:
        self.text = text.replace("\r\n", "\n")
        self.places = places
        self.at = 0
        self.line = 1
        self.prefix: str | None = ""
        self.counts: dict[str | None, int] = {}

    def run(self) -> None:
        self._blank()
        while self.at < len(self.text) and self._statement():
            self._blank()

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.line += self.text.count("\n", self.at, found.end())
        self.at = found.end()
        return found[found.lastindex or 0]

    def _mark(self, mark: str) -> bool:
        return self._take(_MARKS[mark]) is not None

    def _blank(self) -> None:
        self._take(_BLANK)

    def _statement(self) -> bool:
        line = self.line
        repeated = self._mark("[[")
        header = repeated or self._mark("[")
        keys = self._keys()
        if not header:
            return bool(keys) and self._pair(self.prefix, keys, line, depth=0)
        self.prefix = self._table(keys, line, repeated=repeated)
        return bool(keys) and self._mark("]") and (not repeated or self._mark("]"))

    def _keys(self) -> list[str]:
        keys = []
        while (key := self._take(_KEY)) is not None:
            keys.append(_text(key))
            if not self._mark("."):
                return keys
        return []

    def _table(self, keys: list[str], line: int, *, repeated: bool) -> str | None:
        path: str | None = ""
        for number, key in enumerate(keys, start=1):
            path = join(path, key)
            self._first(path, line)
            if repeated and number == len(keys):
                self.counts[path] = self.counts.get(path, -1) + 1
            if path in self.counts:
                path = join(path, str(self.counts[path]))
                self._first(path, line)
        self.places.record(path, line)
        return path

    def _first(self, path: str | None, line: int) -> None:
        if path not in self.places.lines:
            self.places.record(path, line)

    def _pair(self, path: str | None, keys: list[str], line: int, *, depth: int) -> bool:
        for key in keys:
            path = join(path, key)
            self._first(path, line)
        self.places.record(path, line)
        return self._mark("=") and self._value(path, depth=depth + len(keys))

    def _value(self, path: str | None, *, depth: int) -> bool:
        self._blank()
        if self._take(_STRING) is not None:
            return True
        listed = self._mark("[")
        if not listed and not self._mark("{"):
            return self._take(_BARE) is not None
        if depth >= self.places.max_depth:
            self.places.deep_line = self.line
            return False
        return self._entries(path, depth=depth + 1, listed=listed)

    def _entries(self, path: str | None, *, depth: int, listed: bool) -> bool:
        index = 0
        while True:
            self._blank()
            if self._mark("]" if listed else "}"):
                return True
            if not self._entry(path, index, depth=depth, listed=listed):
                return False
            index += 1
            self._blank()
            self._mark(",")

    def _entry(self, path: str | None, index: int, *, depth: int, listed: bool) -> bool:
        line = self.line
        if not listed:
            keys = self._keys()
            return bool(keys) and self._pair(path, keys, line, depth=depth)
        here = join(path, str(index))
        self.places.record(here, line)
        return self._value(here, depth=depth)


def _text(key: str) -> str:
    if key[0] not in "\"'":
        return key
    try:
        return next(iter(tomllib.loads(f"{key} = 0")))
    except tomllib.TOMLDecodeError:
        return key[1:-1]
