"""The option `--report`, which several commands take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oneiric.errors import InvalidError, NotFoundError
from oneiric.reports.forms import FORMATS


def reports_of(texts: Sequence[str]) -> list[tuple[str, Path]]:
    """Return the forms and files that options name.

    Raises:
        InvalidError: one is no FORMAT=PATH.
    """
    found = []
    for text in texts:
        form, _, path = text.partition("=")
        if form not in FORMATS or not path:
            hint = f"write it as FORMAT=PATH, the format being one of {', '.join(FORMATS)}"
            raise InvalidError(f"--report {text} names no report", hint=hint)
        found.append((form, place(Path(path))))
    return found


def place(path: Path) -> Path:
    """Return where something is to be written at the end, checked while nothing was done.

    Raises:
        NotFoundError: its folder is not there.
    """
    if not path.parent.is_dir():
        raise NotFoundError("folder", str(path.parent))
    return path
