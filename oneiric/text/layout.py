"""Lay out text for a terminal, never wider than it is asked to be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap

GAP = 2
_LEAST = 24
"""The columns below which a text goes under its head instead of beside it."""


def plain(text: str) -> str:
    """Return *text* on one line, without what could steer a terminal."""
    spaced = text.replace("\n", " ").replace("\t", " ")
    return "".join(char if char.isprintable() else "?" for char in spaced)


def paragraph(text: str, width: int, *, first: str = "", then: str = "") -> list[str]:
    """Return the words of *text* in lines, the first indented by *first*, the rest by *then*.

    >>> paragraph("one two three", 10, then="  ")
    ['one two', '  three']
    """
    words = plain(" ".join(text.split()))
    lines = wrap(words, width, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
    return lines or [first]


def painted(text: str, code: str, *, colour: bool) -> str:
    """Return *text* in the colour that a terminal knows by *code*, if there is to be *colour*."""
    return f"\x1b[{code}m{text}\x1b[0m" if colour and code else text


def as_list(
    entries: Sequence[tuple[str, str, str]], *, width: int, colour: bool = False
) -> Iterator[str]:
    """Yield a line for the head of each entry, and its text beside it where all have room.

    An entry is a head, the code of its colour, and its text, which is dimmed where it
    stands on lines of its own.
    """
    side = max((len(head) for head, _, _ in entries), default=0) + 2 * GAP
    beside = side + _LEAST <= width
    indent = " " * (side if beside else 2 * GAP)
    for head, code, text in entries:
        lines = paragraph(text, width, first=indent, then=indent)
        shown = " " * GAP + head
        if beside:
            shown = shown.ljust(side) + lines.pop(0)[side:]
        yield painted(shown, code, colour=colour)
        yield from (painted(line, "2", colour=colour) for line in lines)


def outline(
    head: str,
    entries: Sequence[tuple[str, str, str]],
    notes: Iterable[str],
    *,
    width: int,
    colour: bool = False,
    deeper: int = 0,
) -> str:
    """Return a head, a list of entries below it, and notes, wrapped and indented.

    What a note says beyond its first line is indented *deeper* by so many columns.

    >>> print(outline("cache", [("selected  redis", "", "level 1")], ["note: none"], width=60))
    cache
      selected  redis  level 1
      note: none
    """
    lines = [painted(head, "1", colour=colour), *as_list(entries, width=width, colour=colour)]
    first, then = " " * GAP, " " * (GAP + deeper)
    for note in notes:
        lines += paragraph(note, width, first=first, then=then)
    return "\n".join(lines)


def as_table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, width: int) -> str:
    """Return *rows* below their *headers*, no line wider than *width*.

    Text is wrapped between words, after hyphens where it must be. Where even that leaves
    no room for columns, the fields of each row are stacked.
    """
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    for hyphens in (False, True):
        lines = [list(headers), *cells]
        columns = list(zip(*lines, strict=True))
        least = [_longest(column, hyphens=hyphens) for column in columns]
        if sum(least) + GAP * (len(least) - 1) <= width:
            widths = _shrunk([max(map(len, column)) for column in columns], least, width)
            return "\n".join(_line(line, widths, hyphens=hyphens) for line in lines)
    return "\n\n".join(_stacked(headers, row, width) for row in cells)


def _longest(column: Iterable[str], *, hyphens: bool) -> int:
    """Return the length of the longest piece that cannot be broken."""
    pieces = (piece for cell in column for piece in _wrapped(cell, 1, hyphens=hyphens))
    return max(map(len, pieces), default=0)


def _wrapped(text: str, room: int, *, hyphens: bool) -> list[str]:
    return wrap(text, room, break_long_words=False, break_on_hyphens=hyphens)


def _shrunk(widths: list[int], least: list[int], width: int) -> list[int]:
    """Take room from the widest columns, but from none more than it can spare."""
    while sum(widths) + GAP * (len(widths) - 1) > width:
        spare = (number for number, room in enumerate(widths) if room > least[number])
        widths[max(spare, key=widths.__getitem__)] -= 1
    return widths


def _line(cells: Sequence[str], widths: Sequence[int], *, hyphens: bool) -> str:
    wrapped = [
        _wrapped(cell, room, hyphens=hyphens) for cell, room in zip(cells, widths, strict=True)
    ]
    lines = []
    for number in range(max(1, *map(len, wrapped))):
        shown = [parts[number] if number < len(parts) else "" for parts in wrapped]
        padded = (part.ljust(room) for part, room in zip(shown, widths, strict=True))
        lines.append((" " * GAP).join(padded).rstrip())
    return "\n".join(lines)


def _stacked(headers: Sequence[str], row: Sequence[str], width: int) -> str:
    fields = [f"{header}: {cell}" for header, cell in zip(headers, row, strict=True) if cell]
    return "\n".join(line for field in fields for line in paragraph(field, width, then="  "))
