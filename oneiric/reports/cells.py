"""Text in columns of a terminal, where some characters take two and some none."""

from __future__ import annotations

from unicodedata import category, east_asian_width


def cells(text: str) -> int:
    """Return how many columns *text* takes.

    >>> cells("run"), cells("実行"), cells("e\u0301")
    (3, 4, 1)
    """
    return len(text) if text.isascii() else sum(map(_cell, text))


def _cell(character: str) -> int:
    if category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Return *text* in exactly *columns*: cut with an ellipsis, or filled with blanks."""
    if cells(text) > columns:
        kept, left = "", columns - 1
        for character in text:
            left -= _cell(character)
            if left < 0:
                break
            kept += character
        text = f"{kept}…" if columns else ""
    return text + " " * (columns - cells(text))


def wrapped(text: str, columns: int) -> list[str]:
    """Return *text* as lines of at most *columns*, broken at blanks where that is possible.

    Some characters take two columns, so fewer are none at all.
    """
    columns = max(columns, 2)
    lines, line = [], ""
    for word in text.split():
        while line and cells(line) + 1 + cells(word) > columns:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
        while cells(line) > columns:
            head = fit(line, columns + 1).rstrip()[:-1]
            lines.append(head)
            line = line[len(head) :]
    return [*lines, line] if line else lines
