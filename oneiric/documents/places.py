"""On which line each key of a document stands."""

from collections.abc import Mapping

_LONGEST = 500


class Places:
    """Collect lines by dotted path while a document is scanned from start to end.

    List items count as keys: `entries.3.key`. A path longer than 500 characters
    is left out, so that no document can make the table much larger than itself.
    With *wanted* only that path and its parents are kept.
    """

    def __init__(self, *, wanted: str | None = None, max_depth: int = 64) -> None:
        self.lines: dict[str, int] = {}
        self.deep_line: int | None = None
        self.max_depth = max_depth
        self._wanted = f"{wanted}." if wanted is not None else None
        self._frames: list[_Frame] = []

    @property
    def awaits_key(self) -> bool:
        """Whether the innermost open thing is a table between two entries."""
        return bool(self._frames) and self._frames[-1].awaits_key

    def record(self, path: str | None, line: int) -> None:
        """Keep the line of *path*; of one written twice, the last."""
        if path is None or (self._wanted is not None and not self._wanted.startswith(f"{path}.")):
            return
        self.lines[path] = line

    def key(self, name: str, line: int) -> None:
        """Note that the open table has the key *name*."""
        if self._frames:
            frame = self._frames[-1]
            frame.entry = join(frame.path, name)
            frame.awaits_key = False
            self.record(frame.entry, line)

    def value(self, line: int) -> None:
        """Note a single value."""
        self._next(line)

    def open(self, line: int, *, listed: bool) -> None:
        """Note the beginning of a list or a table."""
        path = self._next(line)
        self._frames.append(_Frame(path, listed=listed))
        if len(self._frames) > self.max_depth and self.deep_line is None:
            self.deep_line = line

    def close(self) -> None:
        """Note the end of the innermost list or table."""
        if self._frames:
            self._frames.pop()

    def _next(self, line: int) -> str | None:
        if not self._frames:
            return ""
        frame = self._frames[-1]
        if not frame.listed:
            frame.awaits_key = True
            return frame.entry
        path = join(frame.path, str(frame.index))
        frame.index += 1
        self.record(path, line)
        return path


class _Frame:
    __slots__ = ("awaits_key", "entry", "index", "listed", "path")

    def __init__(self, path: str | None, *, listed: bool) -> None:
        self.path = path
        self.listed = listed
        self.awaits_key = not listed
        self.entry: str | None = None
        self.index = 0


def join(path: str | None, name: str) -> str | None:
    """Return the path of *name* below *path*, or None when it grows too long to keep.

    An empty key is shown as `""`.
    """
    name = name or '""'
    if path is None or len(path) + len(name) >= _LONGEST:
        return None
    return f"{path}.{name}" if path else name


def line_of(lines: Mapping[str, int], path: str) -> int | None:
    """Return the line of *path*, or that of its nearest parent that has one.

    >>> line_of({"app": 1, "app.name": 2}, "app.debug")
    1
    """
    if len(path) > _LONGEST:  # none so long is kept, and a key may be all dots
        path = path[:_LONGEST].rpartition(".")[0]
    while path:
        if path in lines:
            return lines[path]
        path = path.rpartition(".")[0]
    return None
