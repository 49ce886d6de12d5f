"""What an answer says of how a service and its parts are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import NamedTuple

from oneiric.documents import parse
from oneiric.errors import DocumentError, JSONValue
from oneiric.text.printable import printable
from oneiric.validation.drift.probe import Answer

UNWELL = frozenset(
    {
        *("fail", "failed", "failing", "failure", "down", "unhealthy", "error", "critical", "bad"),
        *("unavailable", "offline", "dead", "broken", "stopped", "outage", "out of service"),
        *("ko", "nok", "not ok", "not healthy", "not ready", "red", "false"),
    }
)
"""Words of what is not well."""

DOUBTFUL = frozenset(
    {
        *("warn", "warning", "degraded", "partial", "yellow", "unknown"),
        *("starting", "initializing", "stopping", "draining", "maintenance"),
    }
)
"""Words of what is not quite well."""

FIELDS = ("status", "state", "health", "healthy", "ok", "alive", "ready", "success")
"""Under which names something says how it is."""

CONTAINERS = frozenset({"checks", "components", "details", "dependencies", "services"})
"""Under which names the parts of something stand."""

MOST_PARTS = 1_000
"""How many parts are looked at."""

DEEPEST = 8
"""How deep parts may have parts."""

_LONGEST_WORD = 40
_LONGEST_NAME = 80
_NO_FAULT = frozenset({"unknown"})  # parts that nobody uses say so of themselves


class Said(NamedTuple):
    """A word for how something is, in lower case; `of` names a part, as in `checks.db`."""

    word: str
    of: str = ""

    @property
    def is_unwell(self) -> bool:
        """Whether it is a word of what is not well."""
        return self.word in UNWELL

    @property
    def is_doubtful(self) -> bool:
        """Whether it is a word of what is not quite well; of parts, nobody doubts an `unknown`."""
        return self.word in DOUBTFUL and not (self.of and self.word in _NO_FAULT)


def said_in(answer: Answer) -> Said:
    """Return the worst that an answer says of the service or of one of its parts.

    Parts are looked for beneath `CONTAINERS` alone: by their `FIELDS`, or by a word in their place.
    """
    try:
        told = parse(answer.body, "json") if "json" in answer.media else _text(answer)
    except DocumentError:
        return Said("")
    if not isinstance(told, Mapping):
        return Said(_word(told) if isinstance(told, str) else "")
    own = _own(told)
    said = [Said(own), *islice(_parts(told, "", DEEPEST), MOST_PARTS)]
    unwell = (each for each in said if each.is_unwell)
    doubtful = (each for each in said if each.is_doubtful)
    return next(unwell, None) or next(doubtful, None) or said[0]


def _own(told: Mapping[str, JSONValue]) -> str:
    fields = {name.lower(): value for name, value in told.items()}
    words = [_word(fields[name]) for name in FIELDS if name in fields]
    worst = [each for kind in (UNWELL, DOUBTFUL) for each in words if each in kind]
    return next(iter([*worst, *filter(None, words)]), "")


def _parts(told: Mapping[str, JSONValue], above: str, depth: int) -> Iterator[Said]:
    """Yield what is said of each part, and of its parts."""
    for name, value in told.items():
        container, *rest = name.split(".")
        if not depth or container.lower() not in CONTAINERS:
            continue
        at = f"{above}.{name}".lstrip(".")
        if rest:  # as in `checks.db` or `checks.db.status`
            is_word = len(rest) == 1 or rest[-1].lower() in FIELDS
            yield from _part(value, at, depth, has_words=is_word, has_flags=is_word)
            continue
        is_fact = bool(above) and container.lower() == "details"  # what one part tells of itself
        has_flags = container.lower() == "checks"
        for key, each in _members(value):
            yield from _part(each, f"{at}.{key}", depth, has_words=not is_fact, has_flags=has_flags)


def _part(
    value: JSONValue, at: str, depth: int, *, has_words: bool, has_flags: bool
) -> Iterator[Said]:
    of = printable(at)[:_LONGEST_NAME]
    if isinstance(value, Mapping):
        yield Said(_own(value), of)
        yield from _parts(value, at, depth - 1)
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, Mapping):
                yield from _part(each, at, depth, has_words=False, has_flags=False)
    elif (has_flags and isinstance(value, bool)) or (has_words and isinstance(value, str)):
        yield Said(_word(value), of)


def _members(value: JSONValue) -> Iterator[tuple[str, JSONValue]]:
    """Yield the parts in a container with their names, or their places in a list."""
    if isinstance(value, Mapping):
        yield from value.items()
    for index, each in enumerate(value if isinstance(value, list) else ()):
        if isinstance(each, Mapping):
            name = each.get("name", each.get("component"))
            yield name if isinstance(name, str) else str(index), each


def _text(answer: Answer) -> str:
    is_text = answer.media == "text/plain" and len(answer.body) <= _LONGEST_WORD
    return answer.body.decode(errors="replace") if is_text else ""


def _word(value: JSONValue) -> str:
    """Return a value as one of the words: `NOT_READY` is `not ready`, and false is `false`."""
    if isinstance(value, bool):
        return str(value).lower()
    text = value if isinstance(value, str) else ""
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split()).rstrip(".!")
