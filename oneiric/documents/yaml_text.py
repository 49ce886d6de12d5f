"""YAML: the part of it that means what JSON means.

Plain scalars follow the core schema of YAML 1.2, less its octal and hexadecimal
integers: `null`, `true`, `false` and decimal numbers mean themselves, and `yes`,
`on`, `1:30`, `010` and `2026-11-20` are text.
"""

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass

import yaml

from oneiric.documents.limits import DocumentLimits
from oneiric.documents.places import Places
from oneiric.documents.plain import not_finite, too_large
from oneiric.documents.refused import Refused

_LOADER = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_WORDS: Mapping[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_LONGEST_INTEGER = 18
_NO_KEY = object()


@dataclass(frozen=True, slots=True)
class _Anchored:
    value: object
    nodes: int
    length: int
    height: int


@dataclass(slots=True)
class _Frame:
    container: dict[str, object] | list[object]
    anchor: str | None
    nodes: int
    length: int
    height: int = 1
    key: object = _NO_KEY


def read(text: str, limits: DocumentLimits) -> object:
    """Return the one document in *text*, aliases written out.

    Nothing is written out before its size is known: an alias bomb costs no more
    than its own bytes.
    """
    builder = _Builder(limits)
    for event in _events(text):
        builder.take(event)
    if not builder.documents:
        raise Refused("empty", "it holds no document", line=1)
    return builder.root


def scan(text: str, places: Places) -> None:
    """Note the line of every key and list item; what an alias stands for is left out."""
    try:
        for event in _events(text):
            line = _line(event)
            if isinstance(event, yaml.CollectionStartEvent):
                places.open(line, listed=isinstance(event, yaml.SequenceStartEvent))
            elif isinstance(event, yaml.CollectionEndEvent):
                places.close()
            elif isinstance(event, yaml.ScalarEvent | yaml.AliasEvent) and places.awaits_key:
                places.key(getattr(event, "value", f"*{event.anchor}"), line)
            elif isinstance(event, yaml.NodeEvent):
                places.value(line)
    except Refused:
        return


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = min(mark.line, text.count("\n")) + 1 if mark else 1
        raise Refused("syntax", f"it is not YAML: {error.problem}", line=line) from None
    except yaml.YAMLError:
        raise Refused("syntax", "it is not YAML", line=1) from None


def _line(event: yaml.Event) -> int:
    mark = event.start_mark
    return mark.line + 1 if mark else 1


class _Builder:
    def __init__(self, limits: DocumentLimits) -> None:
        self.limits = limits
        self.root: object = None
        self.documents = 0
        self.aliases = 0
        self.nodes = 0
        self.length = 0
        self.frames: list[_Frame] = []
        self.anchors: dict[str, _Anchored | None] = {}

    def take(self, event: yaml.Event) -> None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event, line)
        elif isinstance(event, yaml.CollectionEndEvent):
            frame = self.frames.pop()
            self._keep(frame.anchor, frame.container, frame)
            self._place(frame.container, frame.height, line)
        elif isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                raise Refused("several-documents", "it holds several documents", line=line)

    def _open(self, event: yaml.CollectionStartEvent, line: int) -> None:
        self._untagged(event.tag, line)
        self._grow(1, 0, line)
        if len(self.frames) >= self.limits.max_depth:
            self._too_deep(line)
        listed = isinstance(event, yaml.SequenceStartEvent)
        self.frames.append(_Frame([] if listed else {}, event.anchor, self.nodes - 1, self.length))
        if event.anchor is not None:
            self.anchors[event.anchor] = None

    def _scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        self._untagged(event.tag, line)
        plain = event.implicit[0]
        before = _Frame([], event.anchor, self.nodes, self.length, height=0)
        is_key = self._awaits_key
        self._grow(0 if is_key else 1, len(event.value), line)
        if is_key and plain and event.value == "<<":
            raise Refused("merge-key", "merge keys (<<) are not supported", line=line)
        value = _plain(event.value) if plain else event.value
        self._keep(event.anchor, value, before)
        self._place(value, 0, line)

    def _alias(self, name: str, line: int) -> None:
        self.aliases += 1
        if self.aliases > self.limits.max_aliases:
            problem = f"it refers back more than {self.limits.max_aliases} times"
            raise Refused("too-many-aliases", problem, line=line)
        if name not in self.anchors:
            raise Refused("unknown-anchor", f"nothing before is named &{name}", line=line)
        anchored = self.anchors[name]
        if anchored is None:
            raise Refused("recursive-alias", f"*{name} stands inside &{name}", line=line)
        self._grow(anchored.nodes, anchored.length, line)
        if len(self.frames) + anchored.height > self.limits.max_depth:
            self._too_deep(line)
        self._place(deepcopy(anchored.value), anchored.height, line)

    @property
    def _awaits_key(self) -> bool:
        frame = self.frames[-1] if self.frames else None
        return frame is not None and isinstance(frame.container, dict) and frame.key is _NO_KEY

    def _place(self, value: object, height: int, line: int) -> None:
        if not self.frames:
            self.root = value
            return
        frame = self.frames[-1]
        frame.height = max(frame.height, height + 1)
        if isinstance(frame.container, list):
            frame.container.append(value)
        elif frame.key is not _NO_KEY:
            frame.container[str(frame.key)] = value
            frame.key = _NO_KEY
        elif not isinstance(value, str):
            raise Refused("key-not-text", "a key must be text; put it in quotes", line=line)
        elif value in frame.container:
            raise Refused("duplicate-key", "the key is written twice", line=line, keys=(value,))
        else:
            frame.key = value

    def _keep(self, anchor: str | None, value: object, start: _Frame) -> None:
        if anchor is not None:
            nodes, length = self.nodes - start.nodes, self.length - start.length
            self.anchors[anchor] = _Anchored(value, nodes, length, start.height)

    def _grow(self, nodes: int, length: int, line: int) -> None:
        self.nodes += nodes
        self.length += length
        if self.nodes > self.limits.max_nodes:
            problem = f"it holds more than {self.limits.max_nodes} values"
            raise Refused("too-many-values", problem, line=line)
        if self.length > self.limits.max_bytes:
            problem = f"written out it is longer than {self.limits.max_bytes} bytes"
            raise Refused("too-large", problem, line=line)

    def _too_deep(self, line: int) -> None:
        problem = f"it is deeper than {self.limits.max_depth} levels"
        raise Refused("too-deep", problem, line=line)

    def _untagged(self, tag: str | None, line: int) -> None:
        if tag is not None:
            raise Refused("tag", "tags (!) are not supported", line=line)


def _plain(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text) if len(text) <= _LONGEST_INTEGER else too_large()
    if _FLOAT.match(text):
        return float(text)
    return not_finite() if _ENDLESS.match(text) else text
