"""Why a part of a document is refused, before anyone knows whose document it is."""

from collections.abc import Sequence

from oneiric.errors import DocumentError

_SHOWN = 200


class Refused(Exception):  # noqa: N818  it never leaves this package
    """Carry one refusal from where it is seen to where the source is known.

    `keys` lead to the value; `line` counts from 1.
    """

    def __init__(
        self, reason: str, problem: str, *, line: int | None = None, keys: Sequence[str] = ()
    ) -> None:
        super().__init__(problem)
        self.reason = reason
        self.problem = problem
        self.line = line
        self.keys = tuple(keys)

    @property
    def path(self) -> str:
        """The keys, joined by dots; an empty one is `""`."""
        return ".".join(key or '""' for key in self.keys)

    def error(self, source: str, line: int | None) -> DocumentError:
        """Return the public error; a path is shown printable and no longer than 200 characters."""
        path = self.path if self.path.isprintable() else ascii(self.path)[1:-1]
        short = path if len(path) <= _SHOWN else f"{path[:_SHOWN]}…"
        return DocumentError(self.reason, self.problem, source=source, line=line, path=short)
