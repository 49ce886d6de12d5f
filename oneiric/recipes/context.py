"""The state that scriptlets share: JSON values by dotted key, and how they came about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock

from oneiric.documents import digest
from oneiric.documents.copies import plain
from oneiric.errors import DocumentError, InvalidError, JSONValue
from oneiric.recipes.log import get_logger

KEY = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)*_v\d+")
UNKNOWN = "unknown"
RUNNER = "_runner."
"""How keys begin that the runner writes itself."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One write: the `seq`-th, to which key, by whom, and the digest of what was there before."""

    seq: int
    key: str
    who: str
    new: JSONValue
    old_hash: str = ""
    ts: str = ""
    step: str = ""

    def __getitem__(self, name: str) -> JSONValue:
        """Return a field by its name, as the entries of older runners did."""
        found: JSONValue = getattr(self, name)
        return found

    def as_json(self) -> dict[str, JSONValue]:
        """Return `{"seq", "ts", "key", "who", "step", "old_hash", "new"}`."""
        names = ("seq", "ts", "key", "who", "step", "old_hash", "new")
        return {name: getattr(self, name) for name in names}


class History(Sequence[Entry]):
    """The writes in their order; it may be called, and then gives itself."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)

    def __call__(self) -> History:
        return self

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # as the sequence that it is
        return self._entries[index]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)


class Context:
    """Keep JSON values by key, and remember who wrote what; what is set and got are copies.

    Any thread may use it.

    >>> ctx = Context()
    >>> ctx.set("numbers.stats_v1", {"count": 3}, who="compute_numbers")
    >>> ctx.get("numbers.stats_v1"), ctx.get("numbers.none_v1") is None
    ({'count': 3}, True)
    >>> [(entry.key, entry.who) for entry in ctx.history()]
    [('numbers.stats_v1', 'compute_numbers')]

    Args:
        values: what is there already.
        strict: whether a key without a version, such as `numbers.stats_v1` has, is refused.
    """

    def __init__(
        self, values: Mapping[str, JSONValue] | None = None, *, strict: bool = False
    ) -> None:
        self._values: dict[str, JSONValue] = dict(values or {})
        self._entries: list[Entry] = []
        self._strict = strict
        self._lock = RLock()

    def set(self, key: str, value: object, who: str = UNKNOWN) -> None:
        """Set *key* to a copy of *value*, and remember that *who* did.

        Raises:
            TypeError: *key* is no text, or *value* is not JSON; names the key and the path.
            InvalidError: the key has no version, and the context is strict.
        """
        if not isinstance(key, str):
            raise TypeError(f"a key is text, not {type(key).__name__}")
        if not KEY.fullmatch(key):
            if self._strict:
                raise InvalidError(
                    f"the key {key} has no version", hint="write it as in numbers.stats_v1"
                )
            get_logger(__name__).warning("the key %s has no version, as in numbers.stats_v1", key)
        try:
            copy = plain(value)
        except DocumentError as error:
            where = f" at {error.path}" if error.path else ""
            raise TypeError(f"{key} is not JSON serializable{where}: {error.problem}") from error
        with self._lock:
            old = digest(self._values[key]) if key in self._values else ""
            self._values[key] = copy
            self._entries.append(Entry(len(self._entries) + 1, key, who, plain(copy), old))

    def get(self, key: str, default: JSONValue = None) -> JSONValue:
        """Return a copy of the value of *key*, or *default*."""
        with self._lock:
            return plain(self._values[key]) if key in self._values else default

    def to_dict(self) -> dict[str, JSONValue]:
        """Return a deep copy of all values."""
        with self._lock:
            return {key: plain(value) for key, value in self._values.items()}

    @property
    def history(self) -> History:
        """The writes made here, as an attribute and as a call."""
        with self._lock:
            return History(self._entries)

    def get_history(self, key: str) -> list[Entry]:
        """Return the writes to *key*."""
        return [entry for entry in self.history if entry.key == key]

    def last_modified(self, key: str) -> Entry | None:
        """Return the last write to *key*, if there is one."""
        return next(iter(reversed(self.get_history(key))), None)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def restore(self, values: Mapping[str, JSONValue], entries: Sequence[Entry]) -> None:
        """Take values and their history from the journal of a run."""
        with self._lock:
            self._values = dict(values)
            self._entries = list(entries)
