"""Layers of settings, later over earlier, and who wrote each value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from oneiric.errors import JSONValue

Table: TypeAlias = dict[str, JSONValue]

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Layers:
    """Settings under construction: plain values, and the origin of each by dotted path.

    Tables are merged key by key; a list or a single value replaces what was there.

    >>> layers = Layers()
    >>> layers.lay({"app": {"name": "a", "debug": False}}, lambda path: "oneiric.toml:1")
    >>> layers.lay({"app": {"debug": True}}, lambda path: "profile loud")
    >>> layers.values, layers.origin("app.debug"), layers.origin("app.port")
    ({'app': {'name': 'a', 'debug': True}}, 'profile loud', 'default')
    """

    values: Table = field(default_factory=dict)
    _written: dict[str, str] = field(default_factory=dict)
    _tables: set[str] = field(default_factory=set)

    def lay(self, values: Mapping[str, JSONValue], origin: Callable[[str], str]) -> None:
        """Lay *values* over what is there; *origin* tells where each path was written."""
        self._merge(self.values, values, "", origin)

    def origin(self, path: str) -> str:
        """Return who set the value at *path*, or `default` when nobody did."""
        while path:
            if path in self._tables:
                return DEFAULT
            if path in self._written:
                return self._written[path]
            path = path.rpartition(".")[0]
        return DEFAULT

    def place(self, path: str) -> str:
        """Return where *path* was written, or else the nearest table around it."""
        while path:
            if path in self._written:
                return self._written[path]
            path = path.rpartition(".")[0]
        return DEFAULT

    def is_written(self, path: str) -> bool:
        """Tell whether somebody wrote just this value or table."""
        return path in self._written

    def _merge(
        self,
        below: Table,
        above: Mapping[str, JSONValue],
        prefix: str,
        origin: Callable[[str], str],
    ) -> None:
        for key, value in above.items():
            path = f"{prefix}{key}"
            if not isinstance(value, Mapping):
                self._forget(path)
                below[key] = value
                self._written[path] = origin(path)
                continue
            table = below.get(key)
            if path not in self._tables or not isinstance(table, dict):
                self._forget(path)
                table = below[key] = {}
                self._tables.add(path)
                self._written[path] = origin(path)
            self._merge(table, value, f"{path}.", origin)

    def _forget(self, path: str) -> None:
        if path not in self._tables:
            return
        for old in [old for old in self._written if old == path or old.startswith(f"{path}.")]:
            del self._written[old]
            self._tables.discard(old)
