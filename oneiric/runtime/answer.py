"""What every verb answers, whoever answers it, and for whom it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oneiric.text.layout import as_table
from oneiric.text.printable import printable
from oneiric.web.control.answer import Answer

__all__ = ["Answer", "View", "page", "table"]


@dataclass(frozen=True, slots=True)
class View:
    """What the terminal of a person can show; what is piped is not cut."""

    columns: int = 1_000
    colour: bool = False


def page(*parts: str) -> str:
    """Return the parts that are not empty below each other, without what steers a terminal.

    >>> page("one", "", "two")
    'one\\ntwo'
    """
    return "\n".join(printable(part) for part in parts if part)


def table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], *, columns: int, empty: str
) -> str:
    """Return rows in columns that fit; *empty* where there are none."""
    shown = list(rows)
    return as_table(headers, shown, width=columns) if shown else empty
